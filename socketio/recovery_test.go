package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
	"echows/socketio/engineio"
)

func TestRecoveryHasLimits(t *testing.T) {
	s := start(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 4000})
	left := disconnects(s.io.Namespace)
	connect := func(auth string) (p *peer, sid, pid string, missed []string) {
		p = s.dial()
		p.send("40" + auth)
		var answer struct{ SID, PID string }
		if err := json.Unmarshal([]byte(p.read()[2:]), &answer); err != nil {
			t.Fatal(err)
		}
		return p, answer.SID, answer.PID, missed
	}
	p, sid, pid, _ := connect("")
	s.io.Emit("one")
	var event []string
	json.Unmarshal([]byte(p.read()[2:]), &event)
	auth := fmt.Sprintf(`{"pid":%q,"offset":%q}`, pid, event[1])
	p.conn.Close()
	<-left
	s.io.Emit("missed")
	p, again, _, _ := connect(auth)
	if got := p.read(); again != sid || !strings.HasPrefix(got, `42["missed",`) {
		t.Errorf("came back as %s, was %s; got %s", again, sid, got)
	}
	for _, bad := range []string{`{"pid":"x","offset":"1"}`, `{"pid":5,"offset":"1"}`, `{"pid":"x","offset":"zzzzzzzzzzzzzzzzzzzzzz"}`, `{"pid":"x"}`} {
		if _, other, _, _ := connect(bad); other == sid {
			t.Errorf("%s came back", bad)
		}
	}
	p.conn.Close()
	<-left
	s.io.Emit(strings.Repeat("x", 6000)) // more than recovery keeps
	if _, other, _, _ := connect(auth); other == sid {
		t.Error("came back with a hole")
	}
}

// With recovery, too, a listener that emits a lot waits for its client to read.
func TestEmitWaitsWhereRecoveryIsOn(t *testing.T) {
	s := start(t, socketio.Config{Recovery: time.Minute})
	row := strings.Repeat("x", 1000)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("rows", func(socketio.Event) error {
			for range 3000 {
				if err := one.Emit("row", row); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	})
	p := s.dial()
	p.send("40", `42["rows"]`)
	p.read()
	for i := range 3000 {
		if got := p.read(); !strings.HasPrefix(got, `42["row",`) {
			t.Fatalf("row %d is %.50s", i, got)
		}
	}
}

// Senders of one client take turns with recovery, too: an event waits until there is room for it, whoever else waits.
func TestSendersTakeTurns(t *testing.T) {
	const most, senders, each = 100, 10, 5
	s := newServer(t, socketio.Config{Recovery: time.Minute, Engine: engineio.Config{MaxQueue: most}})
	var all sync.WaitGroup
	defer all.Wait()
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	for range senders {
		all.Go(func() {
			for range each {
				if err := one.Emit("row", strings.Repeat("x", most)); err != nil { // fills the queue
					t.Error(err)
					return
				}
			}
		})
	}
	busy, end := context.WithCancel(t.Context())
	defer end()
	all.Go(func() { // holds up senders between their wait and their turn
		for long := s.io.To(make([]string, 50_000)...).Volatile(); busy.Err() == nil; {
			long.Emit("to nobody")
		}
	})
	for i := range senders * each {
		for s.io.Stats().Sent <= uint64(i) && one.Connected() {
			runtime.Gosched()
		}
		s.io.LocalLen() // gets its turn after whoever waits for one
		if got := c.get(); len(got) != 1 {
			t.Errorf("%d events waited", len(got))
			return
		}
	}
}

func TestRecoveryIsOffByDefault(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	s.io.Emit("event", "text")
	if got := c.get(); c.pid != "" || !slices.Equal(got, []string{`42["event","text"]`}) {
		t.Errorf("got %v, and the pid %q", got, c.pid)
	}
	c.lose()
	again, _ := s.caller(fmt.Sprintf(`{"pid":"","offset":"0","sid":%q}`, c.sid))
	if again.sid == c.sid || s.io.Kept() != 0 {
		t.Error("it came back")
	}
}

// A client that changes networks comes back before the server notices the loss of its old connection.
func TestTheClientIsBackFirst(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	reasons := disconnects(s.io.Namespace)
	c, _ := s.caller("")
	s.io.Socket(c.sid).Join("room")
	s.io.Emit("one")
	offset := c.offset()
	s.io.To("room").Emit("two")
	again, missed := c.back(offset)
	if again.sid != c.sid || len(missed) != 1 || !strings.HasPrefix(missed[0], `42["two"`) {
		t.Errorf("was %s and is %s; missed %v", c.sid, again.sid, missed)
	}
	if reason := <-reasons; reason != "transport close" || s.io.LocalLen() != 1 || s.io.In("room").LocalLen() != 1 {
		t.Errorf("the first ended with %q; %d are there", reason, s.io.LocalLen())
	}
}

// A client that received all events for it has missed nothing, however many are emitted to others and however few are kept.
func TestAQuietRoomInABusyNamespace(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 20_000})
	defer s.close()
	c, _ := s.caller("")
	s.io.To(c.sid).Emit("one")
	offset := c.offset()
	for range 3 {
		for range 200 {
			s.io.To("elsewhere").Emit("talk")
		}
		c.lose()
		again, missed := c.back(offset)
		if again.sid != c.sid || len(missed) != 0 {
			t.Fatalf("was %s and is %s; missed %v", c.sid, again.sid, missed)
		}
		c = again
	}
	c.lose()
	for range 200 { // these it may have missed
		s.io.To("elsewhere").Emit("talk")
	}
	if again, _ := c.back(offset); again.sid == c.sid {
		t.Error("came back with a hole")
	}
}

func TestRecoveryOfOneThatHeardNothingYet(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	s.io.Emit("before")
	c, _ := s.caller("")
	c.lose()
	s.io.Emit("missed")
	again, missed := c.back("")
	if again.sid != c.sid || len(missed) != 1 || !strings.HasPrefix(missed[0], `42["missed"`) {
		t.Errorf("was %s and is %s; missed %v", c.sid, again.sid, missed)
	}
}

func TestWhoComesBackPassesUse(t *testing.T) {
	for _, skips := range []bool{false, true} {
		s := newServer(t, socketio.Config{Recovery: time.Minute, RecoverySkipsUse: skips})
		defer s.close()
		banned := false
		s.io.Use(func(*socketio.Socket) error {
			if banned {
				return errors.New("banned")
			}
			return nil
		})
		c, _ := s.caller("")
		c.lose()
		banned = true
		session := s.openCall()
		s.call("POST", session, fmt.Sprintf(`40{"pid":%q}`, c.pid))
		if got, want := s.call("GET", session, ""), `44{"message":"banned"}`; (got == want) == skips {
			t.Errorf("RecoverySkipsUse %v: got %s", skips, got)
		}
	}
}

// A pid lets a client skip the Use functions only as its earlier socket.
func TestWhoCannotComeBackPassesUse(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute, RecoverySkipsUse: true})
	defer s.close()
	c, _ := s.caller("")
	c.lose()
	s.io.Use(func(*socketio.Socket) error { return errors.New("banned") })
	session := s.openCall()
	s.call("POST", session, fmt.Sprintf(`40{"pid":%q,"offset":"zzz"}`, c.pid))
	if got := s.call("GET", session, ""); got != `44{"message":"banned"}` {
		t.Errorf("got %s", got)
	}
}

// The mistakes of one client do not cost another what it missed.
func TestAStrangersMistakesAreNotRemembered(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 8000})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "number", func(socketio.Event, int) error { return nil })
		one.Use(func(e socketio.Event) error {
			if e.Name == "refused" {
				return &socketio.Refusal{Message: "no"}
			}
			return nil
		})
		return nil
	})
	c, _ := s.caller("")
	s.io.Emit("one")
	offset := c.offset()
	c.lose()
	s.io.Emit("missed")
	foe, _ := s.caller("")
	for range 100 {
		foe.post(`42["number","five"]`, `42["refused"]`)
		foe.get()
	}
	if again, missed := c.back(offset); again.sid != c.sid || len(missed) != 1 {
		t.Errorf("was %s and is %s; missed %v", c.sid, again.sid, missed)
	}
}

// RecoveryBytes bounds sockets as well as events, in all namespaces together.
func TestRecoveryKeepsNoMoreThanItMay(t *testing.T) {
	const most = 20_000
	s := newServer(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: most})
	defer s.close()
	var lost []*caller
	for range 100 {
		c, _ := s.caller("")
		c.lose()
		lost = append(lost, c)
		if kept := s.io.Kept(); kept > most*5/4 {
			t.Fatalf("%d bytes are kept", kept)
		}
	}
	if first, _ := lost[0].back(""); first.sid == lost[0].sid {
		t.Error("the oldest was kept")
	}
	if last, _ := lost[99].back(""); last.sid != lost[99].sid {
		t.Error("the newest was not kept")
	}
	before := s.io.Kept()
	s.io.Of("/other").Emit("event", strings.Repeat("x", most))
	if kept := s.io.Kept(); kept != before {
		t.Errorf("%d bytes are kept, %d before", kept, before)
	}
}

// An event emitted in a namespace that has ended reaches nobody and is not kept.
func TestANamespaceThatEndedKeepsNothing(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	made := make(chan *socketio.Namespace, 1)
	s.io.OfMatch(regexp.MustCompile("/a")).OnConnect(func(one *socketio.Socket) error { made <- one.Namespace(); return nil })
	session := s.openCall()
	s.call("POST", session, "40/a,")
	n := <-made
	n.Emit("kept")
	if s.io.Kept() == 0 {
		t.Error("nothing is kept")
	}
	s.call("POST", session, "41/a,")
	n.Emit("not kept")
	if kept := s.io.Kept(); kept != 0 || s.io.Users("/a") != -1 {
		t.Errorf("%d bytes are kept for %d", kept, s.io.Users("/a"))
	}
}

func TestWhatIsKeptExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Minute})
		defer s.close()
		c, _ := s.caller("")
		c.lose()
		s.io.Emit("missed")
		time.Sleep(59 * time.Second)
		again, missed := c.back("")
		if again.sid != c.sid || len(missed) != 1 {
			t.Fatalf("was %s and is %s; missed %v", c.sid, again.sid, missed)
		}
		again.lose()
		time.Sleep(time.Minute)
		if late, _ := again.back(""); late.sid == c.sid {
			t.Error("came back when its time was over")
		}
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		if kept := s.io.Kept(); kept != 0 {
			t.Errorf("%d bytes are kept", kept)
		}
	})
}

// A client cannot come back to its socket if an event that it missed is too old.
func TestEventsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: 30 * time.Second})
		defer s.close()
		c, _ := s.caller("")
		s.io.Emit("lost on the way")
		c.get()
		time.Sleep(31 * time.Second)
		c.post("3")
		c.lose()
		if again, _ := c.back(""); again.sid == c.sid {
			t.Error("came back with a hole")
		}
	})
}

func TestOneThatMissedTooMuch(t *testing.T) {
	for _, n := range []int{9, 11} {
		s := newServer(t, socketio.Config{Recovery: time.Minute, Engine: engineio.Config{MaxQueue: 10_000}})
		defer s.close()
		c, _ := s.caller("")
		c.lose()
		for range n {
			s.io.Emit("missed", strings.Repeat("x", 950))
		}
		again, missed := c.back("")
		if came := again.sid == c.sid; came != (n == 9) || came != (len(missed) == n) {
			t.Errorf("%d events: was %s and is %s; missed %d", n, c.sid, again.sid, len(missed))
		}
	}
}

func TestGoodbyesAreForGood(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	for name, leave := range map[string]func(*caller){
		"the client's": func(c *caller) { c.post("41") },
		"the server's": func(c *caller) { s.io.Socket(c.sid).Disconnect(false) },
		"for all":      func(c *caller) { s.io.Socket(c.sid).Disconnect(true) },
	} {
		c, _ := s.caller("")
		if leave(c); s.io.Kept() != 0 {
			t.Errorf("%s: the socket is kept", name)
		}
		if again, _ := c.back(""); again.sid == c.sid {
			t.Errorf("%s: it came back", name)
		}
	}
}

var nick = socketio.NewKey[string]("nick")

// A client that cannot come back gets a new socket, also in Use functions, without any state of the old one.
func TestOffsetsThatAreNone(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	claims := make(chan bool, 1)
	s.io.Use(func(one *socketio.Socket) error { claims <- one.Recovered(); return nil })
	for _, offset := range []string{"zzz", "-1", "+1", "1.5", "0x1", "ünïcode", "99999999999999999999", strings.Repeat("1", 10_000), "4", "1"} {
		s.io.Emit("before")
		s.io.Emit("before")
		c, _ := s.caller("")
		<-claims
		nick.Set(s.io.Socket(c.sid), "ann")
		c.lose()
		again, missed := c.back(offset)
		one := s.io.Socket(again.sid)
		if _, has := nick.Get(one); <-claims || one.Recovered() || again.sid == c.sid || has || len(missed) != 0 || again.pid == c.pid {
			t.Errorf("%.20q came back, with %v", offset, missed)
		}
	}
	for _, said := range []string{`{"pid":5,"offset":"1"}`, `{"pid":"x","offset":"1"}`, `{"pid":["x"]}`, `{"offset":"1"}`, `{"pid":""}`} {
		if c, _ := s.caller(said); <-claims || s.io.Socket(c.sid).Recovered() {
			t.Errorf("%s came back", said)
		}
	}
}

// A client is not recovered if it has missed too much by the time the Use functions return.
func TestWhoCanComeBackNoMoreAfterUse(t *testing.T) {
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
	again, missed := c.back("")
	if again.sid == c.sid || again.pid == c.pid || s.io.Socket(again.sid).Recovered() || len(missed) != 0 {
		t.Errorf("was %s and is %s; missed %d", c.sid, again.sid, len(missed))
	}
}

// Only a socket's last memberships are remembered: events that it missed in earlier ones cannot be found.
func TestOneThatLeftManyRooms(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	for _, rooms := range []int{64, 65} {
		c, _ := s.caller("")
		one := s.io.Socket(c.sid)
		for i := range rooms {
			room := fmt.Sprint("room", i)
			one.Join(room)
			s.io.To(room).Emit("on its way")
			one.Leave(room)
		}
		c.lose()
		again, missed := c.back("")
		if came := again.sid == c.sid; came != (rooms == 64) || came != (len(missed) == rooms) {
			t.Errorf("%d rooms: was %s and is %s; missed %d", rooms, c.sid, again.sid, len(missed))
		}
	}
}

// A client cannot have the offset of an event that was for others.
func TestAnOffsetThatItWasNotTold(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	for offset, recovers := range map[string]bool{"1": true, "2": false, "3": false} {
		name := "/of-" + offset
		made := make(chan *socketio.Socket, 2)
		n := s.io.Of(name)
		n.OnConnect(func(one *socketio.Socket) error { made <- one; return nil })
		session := s.openCall()
		s.call("POST", session, "40"+name)
		var answer struct{ PID string }
		json.Unmarshal([]byte(strings.TrimPrefix(s.call("GET", session, ""), "40"+name+",")), &answer)
		n.Emit("one")
		n.To("elsewhere").Emit("two")
		n.To("elsewhere").Emit("three")
		s.call("POST", s.openCall(), fmt.Sprintf(`40%s,{"pid":%q,"offset":%q}`, name, answer.PID, offset))
		if <-made; (<-made).Recovered() != recovers {
			t.Errorf("with offset %s: recovered %v", offset, !recovers)
		}
	}
}

// The names of rooms count toward RecoveryBytes.
func TestNamesOfRoomsCount(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	long := strings.Repeat("x", 10_000)
	s.io.To(long).Emit("a")
	if n := s.io.Kept(); n < 10_000 {
		t.Errorf("an event's rooms: %d", n)
	}
	before := s.io.Kept()
	c, _ := s.caller("")
	s.io.Socket(c.sid).Join(long)
	c.lose()
	if n := s.io.Kept() - before; n < 10_000 {
		t.Errorf("a socket's rooms: %d", n)
	}
}
