package socketio_test

import (
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

// An empty list of rooms means no sockets, not all sockets.
func TestToNobody(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	one.Join("stays")
	for name, to := range map[string]socketio.Emitter{
		"no rooms": s.io.To(), "an empty list": s.io.To([]string{}...), "but one": s.io.To().Except("x"), "of a socket": one.To(),
		"In": s.io.In(), "volatile": s.io.To().Volatile(), "local": s.io.To().Local(),
	} {
		if err := to.Emit("secret"); err != nil {
			t.Error(err)
		}
		if err := to.SocketsJoin("x"); err != nil {
			t.Error(err)
		}
		to.SocketsLeave("stays")
		to.DisconnectSockets(true)
		n, err := to.Len(t.Context())
		infos, err2 := to.Sockets(t.Context())
		answers, err3 := to.EmitWithAck(t.Context(), "secret")
		if n+len(infos)+len(answers)+to.LocalLen() != 0 || errors.Join(err, err2, err3) != nil {
			t.Errorf("%s: %d are meant; %v %v %v", name, n, err, err2, err3)
		}
		for range to.LocalSockets() {
			t.Errorf("%s: somebody is meant", name)
		}
	}
	if !one.Connected() || one.In("x") || !one.In("stays") {
		t.Error("somebody was meant")
	}
	s.io.To().To("stays").Emit("to a room")
	if got := c.get(); len(got) != 1 || !strings.HasPrefix(got[0], `42["to a room"`) {
		t.Errorf("got %v", got)
	}
	if _, missed := c.back(""); len(missed) != 1 {
		t.Errorf("missed %v", missed)
	}
}

func TestAMemberOfTwoRoomsHearsOnce(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	s.io.Socket(c.sid).Join("a", "b")
	s.io.To("a", "b", "a", c.sid).Emit("one")
	s.io.To("a").Except("b").Emit("none")
	s.io.Except("a").Emit("none")
	s.io.Except("a").Except("nobody").Emit("none")
	s.io.To("a").Local().Emit("two")
	s.io.To("a").To("nobody").Emit("three")
	if got := c.get(); !slices.Equal(got, []string{`42["one"]`, `42["two"]`, `42["three"]`}) {
		t.Errorf("got %v", got)
	}
	if n := s.io.To("a", "b").LocalLen(); n != 1 {
		t.Errorf("%d are meant", n)
	}
}

// All members of either room receive events in the same order.
func TestOneOrderForSeveralRooms(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	var callers []*caller
	for i := range 9 {
		c, _ := s.caller("")
		callers = append(callers, c)
		s.io.Socket(c.sid).Join([][]string{{"a"}, {"b"}, {"a", "b"}}[i%3]...)
	}
	var all sync.WaitGroup
	for g := range 3 {
		all.Go(func() {
			for n := range 200 {
				s.io.To([][]string{{"a", "b"}, {"b", "a"}}[n%2]...).Except("nobody").Emit("e", g, n)
				runtime.Gosched()
			}
		})
	}
	all.Wait()
	first := callers[0].get()
	for i, c := range callers[1:] {
		if !slices.Equal(c.get(), first) {
			t.Errorf("%d heard another order", i+1)
		}
	}
	if len(first) != 600 {
		t.Errorf("%d heard", len(first))
	}
}

// A socket has a room if and only if the room has the socket, whichever sockets join and leave concurrently.
func TestJoinAndLeaveAtOnce(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	for range 2000 {
		var both sync.WaitGroup
		both.Go(func() { one.Join("x") })
		both.Go(func() { one.Leave("x") })
		both.Wait()
		if one.In("x") != (s.io.In("x").LocalLen() == 1) {
			t.Fatal("it is and is not")
		}
		one.Leave("x")
	}
}

// OnConnect may emit more events than a client's queue holds by default, and so may the server, to all, while a client
// connects.
func TestLargeEventsWhileConnecting(t *testing.T) {
	s := start(t, socketio.Config{})
	large := strings.Repeat("x", 600_000)
	connecting, go_ := make(chan bool), make(chan bool)
	s.io.OnConnect(func(one *socketio.Socket) error {
		connecting <- true
		<-go_
		for range 5 {
			if err := one.Emit("history", large); err != nil {
				return err
			}
		}
		return nil
	})
	p := s.dial()
	p.send("40")
	<-connecting
	s.io.Emit("to all", large)
	close(go_)
	p.sid("40")
	for i, prefix := range []string{`42["to all"`, `42["history"`, `42["history"`, `42["history"`, `42["history"`, `42["history"`} {
		if got := p.read(); !strings.HasPrefix(got, prefix) {
			t.Fatalf("%d is %.50s", i, got)
		}
	}
}

// polled polls until something arrives for a client, and returns it.
func (c *caller) polled() chan []string {
	got := make(chan []string, 1)
	go func() { got <- c.get() }()
	synctest.Wait()
	return got
}

func TestVolatileEventsArriveWhereNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Minute})
		defer s.close()
		c, _ := s.caller("")
		got := c.polled()
		s.io.Volatile().Emit("arrives")
		if texts := <-got; !slices.Equal(texts, []string{`42["arrives","0"]`}) {
			t.Errorf("got %v", texts)
		}
		c.lose()
		s.io.Volatile().Emit("lost")
		s.io.To(c.sid).Volatile().Emit("lost")
		if again, missed := c.back(""); again.sid != c.sid || len(missed) != 0 {
			t.Errorf("was %s and is %s; missed %v", c.sid, again.sid, missed)
		}
	})
}

func TestVolatileEventsAreLostWhereAnythingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Minute})
		defer s.close()
		c, _ := s.caller("")
		s.io.Emit("waits")
		s.io.Socket(c.sid).Volatile().Emit("lost")
		s.io.Volatile().Emit("lost")
		begin := time.Now()
		var missing *socketio.MissingError
		if _, err := s.io.Volatile().EmitWithAck(t.Context(), "lost"); !errors.As(err, &missing) || missing.Missing != 1 || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if got := c.get(); len(got) != 1 || !strings.HasPrefix(got[0], `42["waits"`) {
			t.Errorf("got %v", got)
		}
	})
}

// The same on a WebSocket whose client is still receiving a long event.
func TestVolatileOnAWebSocket(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	idle, _ := s.connect()
	busy, id := s.connect()
	sent := make(chan error, 1)
	go func() { sent <- s.io.Socket(id).Emit("large", strings.Repeat("x", 32<<20)) }() // more than the system's buffers hold
	large, err := busy.conn.NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan error, 1)
	go func() {
		var got string
		err := websocket.Message.Receive(idle.conn, &got)
		if err == nil && got != `42["to all"]` {
			err = errors.New(got)
		}
		arrived <- err
	}()
	for waits := true; waits; { // the answer to its CONNECT may still be queued
		s.io.Volatile().Emit("to all")
		s.io.Socket(id).Volatile().Emit("to one")
		select {
		case err := <-arrived:
			if waits = false; err != nil {
				t.Fatal(err)
			}
		default:
			runtime.Gosched()
		}
	}
	if _, err := io.Copy(io.Discard, large); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	busy.send(`42["echoed"]`)
	busy.expect(`42["echoed"]`)
}

// A json.RawMessage is sent unchanged if it is valid JSON.
func TestRawMessages(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	if err := one.Emit("a", json.RawMessage(`{"b":"<&>"}`), json.RawMessage(" 1 "), 2); err != nil {
		t.Error(err)
	}
	if got := c.get(); !slices.Equal(got, []string{`42["a",{"b":"<&>"}, 1 ,2]`}) {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "{", `"a`, "1]"} {
		if err := one.Emit("a", json.RawMessage(bad)); err == nil {
			t.Errorf("%q is emitted", bad)
		}
	}
}
