package exercise

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"echows/ws"
)

// caller is a connection to the server, and all that comes from it: texts, and in the end the close code.
type caller struct {
	*ws.Socket
	t    *testing.T
	came chan string
}

func call(t *testing.T) *caller {
	t.Helper()
	server := httptest.NewServer(New())
	t.Cleanup(server.Close)
	c := &caller{t: t, came: make(chan string, 10)}
	var err error
	c.Socket, err = ws.Dial(t.Context(), server.URL+"/sum", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { c.came <- m.Text(); return nil })
		s.OnClose(func(code ws.CloseCode, reason string) { c.came <- fmt.Sprint("closed with ", int(code)) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ws.CloseNormal, "") })
	return c
}

// wants fails the test if something else comes next, or nothing.
func (c *caller) wants(want string) {
	c.t.Helper()
	select {
	case got := <-c.came:
		if got != want {
			c.t.Fatalf("got %s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		c.t.Fatalf("there is no answer, want %s", want)
	}
}

func TestSum(t *testing.T) {
	c := call(t)
	c.SendText(`{"add":2}`)
	c.wants(`{"sum":2}`)
	c.SendText(`{"add":40}`)
	c.wants(`{"sum":42}`)
}

func TestEachConnectionHasItsOwn(t *testing.T) {
	a, b := call(t), call(t)
	a.SendText(`{"add":1}`)
	a.wants(`{"sum":1}`)
	b.SendText(`{"add":5}`)
	b.wants(`{"sum":5}`)
}

func TestNotJSON(t *testing.T) {
	c := call(t)
	c.SendText("two")
	c.wants(`{"error":"not JSON"}`)
	c.SendText(`{"add":7}`) // the connection stays
	c.wants(`{"sum":7}`)
}

func TestBytes(t *testing.T) {
	c := call(t)
	c.SendBinary([]byte{2})
	c.wants("closed with 1003")
}
