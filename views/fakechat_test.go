package views_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"echows/views"
	"echows/ws"
)

// fakeChat is a chat server that says whatever a test wants, including things that a real one rarely says.
type fakeChat struct {
	t       *testing.T
	url     string
	over    atomic.Bool      // the session is over
	broken  atomic.Bool      // a proxy answers requests for a new session
	failing atomic.Bool      // a proxy answers requests about the session
	bare    atomic.Bool      // the browser keeps no cookies, so a session is over at once
	old     atomic.Bool      // it does not know marks
	hurried atomic.Bool      // attempts to connect take no longer than the page itself allows
	name    atomic.Value     // who is signed in, a string
	joined  chan *fakeMember // each connection of the page
}

// fakeMember is one connection of the page.
type fakeMember struct {
	t      *testing.T
	socket *ws.Socket
	after  string              // of its query
	posts  chan map[string]any // sent by the page
	ended  chan ws.CloseCode   // receives the code with which the connection ended
}

// newFakeChat serves the page to ana, whose mark is k3f7, and who is signed in.
func newFakeChat(t *testing.T) *fakeChat {
	t.Helper()
	f := &fakeChat{t: t, joined: make(chan *fakeMember, 10)}
	f.name.Store("ana")
	e := echo.New()
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{ContentSecurityPolicy: views.Policy}))
	app := ws.New(e, ws.Config{})
	pages := views.New()
	e.GET("/chat/:room", pages.Show("chat"))
	unhurried(t, e, &f.hurried)
	e.StaticFS("/", views.Files)
	e.GET("/session", func(c echo.Context) error {
		if f.failing.Load() {
			return c.HTML(http.StatusBadGateway, "<p>Bad Gateway")
		}
		if f.over.Load() {
			return echo.ErrUnauthorized
		}
		if f.old.Load() {
			return c.JSON(http.StatusOK, map[string]string{"name": "ana"})
		}
		return c.JSON(http.StatusOK, map[string]string{"name": f.name.Load().(string), "mark": "k3f7"})
	})
	e.POST("/session", func(c echo.Context) error {
		if f.broken.Load() {
			return c.HTML(http.StatusBadGateway, "<p>Bad Gateway")
		}
		var asked struct{ Name string }
		if err := c.Bind(&asked); err != nil {
			return err
		}
		f.name.Store(asked.Name)
		f.over.Store(f.bare.Load())
		return c.JSON(http.StatusOK, map[string]string{"name": asked.Name, "mark": "k3f7"})
	})
	e.POST("/ticket", func(c echo.Context) error {
		if f.over.Load() {
			return echo.ErrUnauthorized
		}
		var asked struct{ Room string }
		page, _, _ := strings.Cut(c.Request().Referer(), "?")
		if err := c.Bind(&asked); err != nil || !strings.HasSuffix(page, "/chat/"+asked.Room) {
			t.Errorf("a ticket for room %q: %v", asked.Room, err)
		}
		return c.JSON(http.StatusCreated, map[string]any{"ticket": "t", "expiresIn": 30})
	})
	e.GET("/chat/:room/messages", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]any{"messages": []any{}})
	})
	app.WS("/ws/chat/:room", func(s *ws.Socket, c echo.Context) error {
		m := &fakeMember{t: t, socket: s, after: c.QueryParam("after"), posts: make(chan map[string]any, 100), ended: make(chan ws.CloseCode, 1)}
		s.OnMessage(func(message ws.Message) error {
			var said map[string]any
			if err := json.Unmarshal(message.Data, &said); err != nil {
				t.Errorf("the page said %q", message.Data)
			}
			m.posts <- said
			return nil
		})
		s.OnClose(func(code ws.CloseCode, _ string) { m.ended <- code })
		f.joined <- m
		return nil
	})
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Cleanup(func() { app.Shutdown(context.Background()) })
	f.url = server.URL + "/chat/kitchen"
	return f
}

// openChat opens the page in a browser, and sends it a history on its first connection.
func openChat(t *testing.T, history ...said) (*browser, *fakeChat, *fakeMember) {
	t.Helper()
	b, f := open(t), newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history(history...)
	return b, f, m
}

// next waits for the page's next connection.
func (f *fakeChat) next() *fakeMember {
	f.t.Helper()
	return await(f.t, f.joined, "the page did not connect")
}

// await returns what comes.
func await[T any](t *testing.T, c <-chan T, otherwise string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal(otherwise)
		panic("not reached")
	}
}

// heard waits for a message from the page.
func (m *fakeMember) heard() map[string]any {
	m.t.Helper()
	return await(m.t, m.posts, "the page said nothing")
}

func (m *fakeMember) say(text string) {
	m.t.Helper()
	if err := m.socket.SendText(text); err != nil {
		m.t.Fatal(err)
	}
}

// history sends the last page of a history.
func (m *fakeMember) history(messages ...said) {
	m.t.Helper()
	m.page(false, true, messages...)
}

func (m *fakeMember) page(more, complete bool, messages ...said) {
	m.t.Helper()
	data, err := json.Marshal(append([]said{}, messages...))
	if err != nil {
		m.t.Fatal(err)
	}
	m.say(fmt.Sprintf(`{"type":"history","messages":%s,"complete":%t,"more":%t}`, data, complete, more))
}

func (m *fakeMember) message(one said) {
	m.t.Helper()
	one.Type = "message"
	data, err := json.Marshal(one)
	if err != nil {
		m.t.Fatal(err)
	}
	m.say(string(data))
}

// said returns a message of the room.
type said struct {
	Type string    `json:"type,omitempty"`
	Seq  int       `json:"seq"`
	ID   string    `json:"id"`
	From string    `json:"from"`
	Mark string    `json:"mark,omitempty"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// line returns a message whose time does not matter.
func line(seq int, from, mark, text string) said {
	return said{Seq: seq, ID: fmt.Sprint("id-", seq), From: from, Mark: mark, Text: text, At: time.Date(2026, 11, 21, 12, 0, seq%60, 0, time.UTC)}
}
