package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"echows/socketio"

	"github.com/labstack/echo/v4"
)

func TestHandlersThatFail(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "number", func(e socketio.Event, n int) error { return e.Ack(n) })
		s.On("fail", func(socketio.Event) error { return errors.New("failed") })
		return nil
	})
	p, _ := s.connect()
	p.send(`421["number","five"]`)
	if got := p.read(); !strings.HasPrefix(got, `42["error",{"event":"number","message":"`) {
		t.Errorf("got %s", got)
	}
	p.send(`422["number",5]`, `423["number"]`, `42["unknown"]`)
	p.expect(`432[5]`, `433[0]`)
	p.send(`42["fail"]`)
	p.expectClosed()
}

func TestListenersInOrder(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	var called []string
	call := func(name string) func(socketio.Event) error {
		return func(socketio.Event) error { called = append(called, name); return nil }
	}
	expect := func(event string, want ...string) {
		t.Helper()
		called = nil
		if c.post(`42["` + event + `"]`); !slices.Equal(called, want) {
			t.Errorf("called %v, want %v", called, want)
		}
	}
	offFirst := one.On("a", call("first"))
	one.Once("a", call("once"))
	one.On("a", call("second"))
	offAny := one.OnAny(call("any"))
	one.OnUnhandled(call("unhandled"))
	one.On("b", call("b"))
	expect("a", "any", "first", "once", "second")
	expect("a", "any", "first", "second")
	expect("none", "any", "unhandled")
	offFirst()
	offFirst()
	offAny()
	expect("a", "second")
	one.Off("a")
	expect("a", "unhandled")
	expect("b", "b")
	one.On("a", call("a"))
	one.Off()
	expect("a", "unhandled")
	expect("b", "unhandled")
	one.On("adds", func(socketio.Event) error { one.On("adds", call("added")); return nil })
	expect("adds")
	expect("adds", "added")
	offOnce := one.Once("c", call("c"))
	offOnce()
	expect("c", "unhandled")
}

func TestAListenersErrorKeepsTheRest(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("a", func(socketio.Event) error { return socketio.ErrArguments })
		one.On("a", func(socketio.Event) error { t.Error("the second was called"); return nil })
		return nil
	})
	c, _ := s.caller("")
	c.post(`42["a"]`)
	if got := c.get(); !slices.Equal(got, []string{`42["error",{"event":"a","message":"an argument of \"a\" is not what the server expects"}]`}) {
		t.Errorf("got %v", got)
	}
}

// Listeners may be added and removed at any time, from any goroutine.
func TestListenersComeAndGo(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	none := func(socketio.Event) error { return nil }
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 100 {
				off := one.On("a", none)
				one.Once("a", none)
				offAny := one.OnAny(none)
				one.OnUnhandled(none)
				off()
				offAny()
				one.Off("a")
				one.Off()
				one.OnDisconnect(func(string) {})
			}
		})
	}
	for range 100 {
		c.post(`42["a"]`)
	}
	all.Wait()
}

func TestUseOfEvents(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	var any []string
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.Use(func(e socketio.Event) error {
			switch e.Name {
			case "refused":
				return &socketio.Refusal{Message: "not you", Data: 7}
			case "fails":
				return errors.New("failed")
			}
			return nil
		})
		one.Use(func(e socketio.Event) error {
			if e.Name != "passes" {
				t.Errorf("%s got to the second", e.Name)
			}
			return nil
		})
		one.OnAny(func(e socketio.Event) error {
			any = append(any, e.Name)
			return nil
		})
		one.On("passes", func(e socketio.Event) error { return e.Ack() })
		one.OnUnhandled(func(e socketio.Event) error {
			t.Errorf("%s got to a listener", e.Name)
			return nil
		})
		return nil
	})
	reasons := disconnects(s.io.Namespace)
	c, _ := s.caller("")
	c.post(`421["refused"]`, `422["passes"]`)
	if got := c.get(); !slices.Equal(got, []string{`42["error",{"data":7,"event":"refused","message":"not you"}]`, `432[]`}) {
		t.Errorf("got %v", got)
	}
	c.post(`42["fails"]`)
	if reason := <-reasons; reason != "forced close" {
		t.Errorf("ended with %q", reason)
	}
	if !slices.Equal(any, []string{"refused", "passes", "fails"}) { // as in the reference, before Use
		t.Errorf("OnAny saw %v", any)
	}
}

// On says at once that it would wait for ever.
func TestListeningToAReservedName(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "OnDisconnect") {
			t.Error(text)
		}
	}()
	s.io.Socket(c.sid).On("disconnect", func(socketio.Event) error { return nil })
}

// An event has a name.
func TestEventsWithoutAName(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	if s.io.Emit("", "sneaky") == nil || s.io.Socket(c.sid).Emit("", "sneaky") == nil {
		t.Error("sent")
	}
}

type blob []byte

// Bytes are sent as such in maps, slices and pointers of any type, but not in structs.
func TestBytesInValues(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	b, text, number := []byte{1, 2, 3}, "x", 7
	for _, one := range []struct {
		value any
		want  string
		bytes int
	}{
		{echo.Map{"b": b}, `{"b":{"_placeholder":true,"num":0}}`, 1},
		{map[string][]byte{"b": b}, `{"b":{"_placeholder":true,"num":0}}`, 1},
		{[][]byte{b, b}, `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, 2},
		{[]map[string]any{{"b": b}, nil}, `[{"b":{"_placeholder":true,"num":0}},null]`, 1},
		{&b, `{"_placeholder":true,"num":0}`, 1},
		{map[string]any{"a": []echo.Map{{"b": &b}}}, `{"a":[{"b":{"_placeholder":true,"num":0}}]}`, 1},
		{blob(b), `{"_placeholder":true,"num":0}`, 1},
		{struct{ B []byte }{b}, `{"B":"AQID"}`, 0},
		{map[string]any{"a": json.RawMessage(`[1]`), "n": (*[]byte)(nil), "t": &text, "i": []int{number}}, `{"a":[1],"i":[7],"n":null,"t":"x"}`, 0},
		{map[int][]byte{1: b}, `{"1":"AQID"}`, 0},
		{net.IPv4(1, 2, 3, 4), `"1.2.3.4"`, 0},
		{[]any{nil, true}, `[null,true]`, 0},
	} {
		if err := s.io.Emit("a", one.value); err != nil {
			t.Error(err)
		}
		want := []string{`42["a",` + one.want + `]`}
		if one.bytes > 0 {
			want = []string{fmt.Sprintf(`45%d-["a",%s]`, one.bytes, one.want)}
		}
		for range one.bytes {
			want = append(want, "bAQID")
		}
		if got := c.get(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// Bytes that a client sent stay bytes without types, so that they can be sent on.
func TestBytesWithoutTypes(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "map", func(e socketio.Event, m map[string]any) error { return e.Ack(m) })
		socketio.On(one, "list", func(e socketio.Event, l []any) error { return e.Ack(l) })
		socketio.On(one, "any", func(e socketio.Event, v any) error { return e.Ack(v) })
		return nil
	})
	c, _ := s.caller("")
	const bytes = `{"_placeholder":true,"num":0}`
	for event, value := range map[string]string{"map": `{"a":[{"b":` + bytes + `}]}`, "list": `["x",` + bytes + `]`, "any": bytes} {
		c.post(`451-1["`+event+`",`+value+`]`, "bAQID")
		if got := c.get(); !slices.Equal(got, []string{`461-1[` + value + `]`, "bAQID"}) {
			t.Errorf("%s: got %v", event, got)
		}
	}
	c.post(`451-1["map",`+bytes+`]`, "bAQID")
	if got := c.get(); len(got) != 1 || !strings.Contains(got[0], `must be an object`) {
		t.Errorf("got %v", got)
	}
}

func TestTypedListeners(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On2(one, "two", func(e socketio.Event, n int, text string) error { return e.Ack(n, text) })
		socketio.On3(one, "three", func(e socketio.Event, n int, text string, raw []byte) error { return e.Ack(n, text, len(raw)) })
		one.On("args", func(e socketio.Event) error {
			return e.Ack(e.Arg(0), e.Arg(1), e.Arg(-1), e.Arg(0).IsBinary(), e.Arg(1).IsBinary(), string(e.Arg(7).JSON()))
		})
		return nil
	})
	c, _ := s.caller("")
	for sent, want := range map[string]string{
		`421["two",1,"x"]`:                      `431[1,"x"]`,
		`421["two",1]`:                          `431[1,""]`,
		`421["two"]`:                            `431[0,""]`,
		`421["two",1,"x",2]`:                    `431[1,"x"]`,
		`421["two",1,2]`:                        `42["error",{"event":"two","message":"argument 2 of \"two\" must be text, not a number"}]`,
		`421["three",1,"x"]`:                    `431[1,"x",0]`,
		`421["three","1"]`:                      `42["error",{"event":"three","message":"argument 1 of \"three\" must be a whole number, not text"}]`,
		`421["args"]`:                           `431[null,null,null,false,false,"null"]`,
		`421["args",{"_placeholder":true},[1]]`: `431[{"_placeholder":true},[1],null,false,false,"null"]`,
	} {
		c.post(sent)
		if got := c.get(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %s, want %s", sent, got, want)
		}
	}
	c.post(`451-1["args",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":0}]]`, "bAQID") // too many placeholders
	c, _ = s.caller("")
	c.post(`452-1["args",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]`, "bAQID", "bBAUG")
	if got := c.get(); !slices.Equal(got, []string{`462-1[{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}],null,true,false,"null"]`, "bAQID", "bBAUG"}) {
		t.Errorf("got %v", got)
	}
}

func TestOutgoingEventsAreSeen(t *testing.T) {
	for _, recovery := range []time.Duration{0, time.Minute} {
		s := newServer(t, socketio.Config{Recovery: recovery})
		defer s.close()
		c, _ := s.caller("")
		other, _ := s.caller("")
		one := s.io.Socket(c.sid)
		var seen []string
		one.OnAnyOutgoing(func(event string, args []any) { seen = append(seen, fmt.Sprint(event, args)) })
		one.Emit("own", 1)
		s.io.Emit("all", 2)
		one.To(other.sid).Emit("other")
		one.Broadcast().Emit("others")
		s.io.To(one.ID()).Emit("id", "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		one.EmitWithAck(ctx, "ask")
		s.io.EmitWithAck(ctx, "ask all")
		if want := []string{"own[1]", "all[2]", "id[x]", "ask[]", "ask all[]"}; !slices.Equal(seen, want) {
			t.Errorf("seen %q, want %q", seen, want)
		}
	}
}

// A binary argument stays binary when it is forwarded inside something else.
func TestForwardingABinaryArgument(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("a", func(e socketio.Event) error { return e.Ack(map[string]any{"data": e.Arg(0)}) })
		return nil
	})
	c, _ := s.caller("")
	c.post(`451-7["a",{"_placeholder":true,"num":0}]`, "bAQID")
	if got := c.get(); !slices.Equal(got, []string{`461-7[{"data":{"_placeholder":true,"num":0}}]`, "bAQID"}) {
		t.Errorf("got %v", got)
	}
}
