package socketio_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

// Of two connections that come back to one socket at once, the first becomes it; the other becomes a new socket, for which the
// Use functions are called again.
func TestTwoComeBackToOneSocket(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	inUse, goOn := make(chan bool), make(chan bool)
	var seen []bool
	one.io.Use(func(s *socketio.Socket) error {
		var auth struct{ Slow bool }
		if s.Auth(&auth); auth.Slow {
			if seen = append(seen, s.Recovered()); s.Recovered() {
				inUse <- true
				<-goOn
			}
			return s.Join("slow")
		}
		return nil
	})
	away, who := one.comeBack(comingBack{})
	m.settle()
	one.io.Emit("first")
	away.hear("first", &who)
	one.hangUp(away, 0)
	slow := one.dial()
	slow.send(`40{"pid":"` + who.PID + `","offset":"` + who.offset + `","slow":true}`)
	<-inUse
	back, is := one.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("the first is not recovered")
	}
	goOn <- true
	if text := slow.read(); !strings.HasPrefix(text, "40") || strings.Contains(text, who.PID) || strings.Contains(text, who.SID) {
		t.Errorf("the second is answered with %s", text)
	}
	if !slices.Equal(seen, []bool{true, false}) {
		t.Errorf("for the second, Use saw %v", seen)
	}
	if n := one.io.In("slow").LocalLen(); n != 1 {
		t.Errorf("%d sockets are in the room of the second", n)
	}
	one.hangUp(slow, 1)
	one.io.To(who.SID).Emit("to you")
	if got := back.read(); !strings.HasPrefix(got, `42["to you"`) {
		t.Errorf("got %s", got)
	}
}

// Without a Journal, a node hears what others emit for sockets that are away from it, until they can no longer come back.
func TestAwayFromOneOfSeveralNodes(t *testing.T) {
	inCluster(t, socketio.Config{Recovery: time.Minute}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		// A Use function that takes its time does not lose anything.
		servers[0].io.Use(func(s *socketio.Socket) error {
			if s.Recovered() {
				servers[1].io.To("x").Emit("missed meanwhile")
				synctest.Wait()
			}
			return nil
		})
		c := callers[0]
		servers[0].io.Socket(c.sid).Join("x", "y")
		synctest.Wait()
		servers[1].io.To("x").Emit("before")
		synctest.Wait()
		offset := c.offset()
		c.lose()
		synctest.Wait()
		servers[1].io.To("x").Emit("missed in x")
		servers[1].io.Emit("missed by all")
		synctest.Wait()
		again, missed := c.back(offset)
		if again.sid != c.sid || len(missed) != 3 {
			t.Errorf("was %s and is %s; missed %q", c.sid, again.sid, missed)
		}
		callers[0] = again
		again.lose()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		nodes[0].hears()
		servers[1].io.To("x").Emit("for nobody there")
		servers[1].io.To("y").Emit("for nobody there")
		synctest.Wait()
		if n := nodes[0].hears(); n != 0 {
			t.Errorf("a node without members received %d messages", n)
		}
	})
}

// A client that is refused when it comes back leaves nothing behind.
func TestRefusedWhenItComesBack(t *testing.T) {
	inCluster(t, socketio.Config{Recovery: time.Minute}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		c := callers[0]
		servers[0].io.Socket(c.sid).Join("x")
		synctest.Wait()
		offset := ""
		c.lose()
		synctest.Wait()
		servers[0].io.Use(func(*socketio.Socket) error { return errors.New("banned") })
		sid := servers[0].openCall()
		servers[0].call("POST", sid, `40{"pid":"`+c.pid+`","offset":"`+offset+`"}`)
		synctest.Wait()
		nodes[0].hears()
		servers[1].io.To("x").Emit("for nobody there")
		synctest.Wait()
		if n := nodes[0].hears(); n != 0 {
			t.Errorf("a node without members received %d messages", n)
		}
	})
}

// What Use functions do with rooms holds once the socket is connected; one that disconnects it refuses it.
func TestRoomsInUse(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Rooms: 2}})
	defer s.close()
	s.io.Use(func(one *socketio.Socket) error {
		if err := one.Join("left", "stays"); err != nil || !one.In("left") {
			t.Errorf("Join: %v", err)
		}
		if one.Join("too many") == nil {
			t.Error("it joined too many")
		}
		one.Leave("left")
		s.io.To("stays").Emit("too early")
		return nil
	})
	rooms := make(chan []string, 1)
	s.io.OnConnect(func(one *socketio.Socket) error { rooms <- one.Rooms(); return nil })
	c, more := s.caller("")
	want := []string{c.sid, "stays"}
	slices.Sort(want)
	if got := <-rooms; !slices.Equal(got, want) || len(more) != 0 {
		t.Errorf("the rooms are %v; the client got %v", got, more)
	}
	s.io.To("left").Emit("left")
	s.io.To("stays").Emit("stays")
	if got := c.get(); !slices.Equal(got, []string{`42["stays"]`}) {
		t.Errorf("got %v", got)
	}
	s.io.Use(func(one *socketio.Socket) error { one.Disconnect(false); return nil })
	sid := s.openCall()
	s.call("POST", sid, "40")
	if got := s.call("GET", sid, ""); got != `44{"message":"Disconnected by the server"}` {
		t.Errorf("got %s", got)
	}
	if n := s.io.In("stays").LocalLen(); n != 1 {
		t.Errorf("%d sockets are in the room", n)
	}
}

// A client that comes back before the server noticed its loss has one connection.
func TestTheOldConnectionEnds(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	c, _ := s.caller("")
	c.back("")
	c.call("GET", c.session, "") // the last packet
	if n := s.io.Sessions(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// What a client missed may be forgotten while the Use functions run.
func TestTooLateAfterUse(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 5000})
	defer s.close()
	s.io.Use(func(one *socketio.Socket) error {
		for range 20 {
			s.io.Emit("event", strings.Repeat("x", 950))
		}
		return nil
	})
	c, _ := s.caller("")
	c.lose()
	c.back("")
	if n := s.io.Stats(); n.Lost != 1 || n.Recovered != 0 {
		t.Errorf("%+v", n)
	}
}
