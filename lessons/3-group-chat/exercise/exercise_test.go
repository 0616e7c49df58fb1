package exercise

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"echows/ws"
)

// member is somebody in a room, and what comes there.
type member struct {
	*ws.Socket
	t     *testing.T
	heard chan string
}

func open(t *testing.T) string {
	server := httptest.NewServer(New())
	t.Cleanup(server.Close)
	return server.URL
}

// join joins a room, and reads the welcome.
func join(t *testing.T, url, room, welcome string) *member {
	t.Helper()
	m := &member{t: t, heard: make(chan string, 100)}
	var err error
	m.Socket, err = ws.Dial(t.Context(), url+"/chat/"+room, ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(message ws.Message) error { m.heard <- message.Text(); return nil })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(ws.CloseNormal, "") })
	m.hears(welcome)
	return m
}

// hears fails the test if something else comes next, or nothing.
func (m *member) hears(want string) {
	m.t.Helper()
	select {
	case got := <-m.heard:
		if got != want {
			m.t.Fatalf("heard %.40q, want %.40q", got, want)
		}
	case <-time.After(10 * time.Second):
		m.t.Fatalf("heard nothing, want %.40q", want)
	}
}

func TestARoomHearsItsOwn(t *testing.T) {
	url := open(t)
	ana := join(t, url, "kitchen", `{"members":1}`)
	bo := join(t, url, "garden", `{"members":1}`)
	cem := join(t, url, "kitchen", `{"members":2}`)

	ana.SendText("soup")
	ana.hears("soup")
	cem.hears("soup")
	bo.SendText("rain") // had bo heard of the soup, it would have come before
	bo.hears("rain")
	cem.SendText("salt")
	ana.hears("salt")
	cem.hears("salt")
}

func TestTooLong(t *testing.T) {
	url := open(t)
	ana := join(t, url, "kitchen", `{"members":1}`)
	bo := join(t, url, "kitchen", `{"members":2}`)

	longest := strings.Repeat("ü", 200) // 200 characters, and 400 bytes
	ana.SendText(longest)
	bo.hears(longest)
	ana.hears(longest)
	ana.SendText(longest + "!")
	ana.hears(`{"error":"too long"}`)
	ana.SendText("sorry")
	bo.hears("sorry")
}
