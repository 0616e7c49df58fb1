package socketio_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

func TestRoomsAndCounts(t *testing.T) {
	s := start(t, socketio.Config{})
	left := disconnects(s.io.Namespace)
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "join", func(e socketio.Event, room string) error { s.Join(room); return e.Ack(s.Rooms()) })
		socketio.On(s, "leave", func(e socketio.Event, room string) error { s.Leave(room); return e.Ack() })
		return nil
	})
	a, aID := s.connect()
	b, bID := s.connect()
	c, _ := s.connect()
	if s.io.LocalLen() != 3 {
		t.Errorf("%d are connected", s.io.LocalLen())
	}
	for _, p := range []*peer{a, b} {
		p.send(`421["join","x"]`)
		if got := p.read(); !strings.Contains(got, `"x"`) {
			t.Errorf("joined: %s", got)
		}
	}
	c.send(`421["join","y"]`)
	c.read()
	s.io.To("x").Emit("1")
	s.io.To("x", "y").Emit("2")
	s.io.To("x", "y").Except("y").Emit("3")
	s.io.Except("x").Emit("4")
	s.io.To(bID).Emit("5")
	s.io.Socket(aID).To("x").Emit("6")
	s.io.Socket(aID).Broadcast().Emit("7")
	s.io.To("nobody").Emit("8")
	s.io.Emit("9", map[string]any{"bytes": []byte{7}})
	a.expect(`42["1"]`, `42["2"]`, `42["3"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	b.expect(`42["1"]`, `42["2"]`, `42["3"]`, `42["5"]`, `42["6"]`, `42["7"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	c.expect(`42["2"]`, `42["4"]`, `42["7"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	if n := s.io.In("x").LocalLen(); n != 2 {
		t.Errorf("x has %d", n)
	}
	ids := []string{}
	for one := range s.io.In("x").LocalSockets() {
		ids = append(ids, one.ID())
	}
	slices.Sort(ids)
	if want := []string{aID, bID}; !slices.Equal(ids, want) && !slices.Equal(ids, []string{bID, aID}) {
		t.Errorf("x has %v, want %v", ids, want)
	}
	a.send(`422["leave","x"]`)
	a.expect(`432[]`)
	b.conn.Close()
	<-left
	if s.io.In("x").LocalLen() != 0 || s.io.LocalLen() != 2 || s.io.Socket(bID) != nil {
		t.Error("who left is still there")
	}
	if err := s.io.Emit("disconnect"); err == nil {
		t.Error("a reserved name was emitted")
	}
	if err := s.io.Emit("a", func() {}); err == nil {
		t.Error("a function was emitted")
	}
}

// Clients that stay receive all events in the same order while others come and go.
func TestManyComeAndGo(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "say", func(e socketio.Event, text string) error { return s.Namespace().Emit("said", text) })
		return nil
	})
	var stay []*peer
	for range 10 {
		p, _ := s.connect()
		stay = append(stay, p)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				conn, err := s.open()
				if err != nil {
					t.Error(err)
					return
				}
				var hello, answer string
				websocket.Message.Receive(conn, &hello)
				websocket.Message.Send(conn, "40")
				if err := websocket.Message.Receive(conn, &answer); err != nil || !strings.HasPrefix(answer, "40") {
					t.Errorf("CONNECT is answered with %q, %v", answer, err)
				}
				conn.Close()
			}
		})
	}
	heard := make([][]string, len(stay))
	for i, p := range stay {
		all.Go(func() {
			for n := range 20 {
				websocket.Message.Send(p.conn, fmt.Sprintf(`42["say","%d-%d"]`, i, n))
			}
		})
		all.Go(func() {
			for range 20 * len(stay) {
				var text string
				if err := websocket.Message.Receive(p.conn, &text); err != nil {
					t.Error(err)
					return
				}
				heard[i] = append(heard[i], text)
			}
		})
	}
	all.Wait()
	for i := range heard {
		if !slices.Equal(heard[i], heard[0]) {
			t.Errorf("%d heard another order", i)
		}
	}
}

func TestTheRoomWithoutAName(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, id := s.connect()
	s.io.Socket(id).Leave("")
	if s.io.LocalLen() != 1 {
		t.Error("leaving a room left the namespace")
	}
	s.io.To("").Emit("to nobody")
	s.io.Emit("to all")
	p.expect(`42["to all"]`)
}
