package main

import (
	"context"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	"echows/ws"
)

// serveChat serves the chat as routes.go has it, at a URL with a path.
func serveChat(t *testing.T) (url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	app := ws.New(e, ws.Config{Logger: quiet})
	c, err := chat.Open(ctx, app, hub.New(), b, chat.Config{Secret: []byte("a secret of more than 16 bytes"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	e.POST("/at/session", c.SignIn)
	e.POST("/at/ticket", c.Ticket, c.RequireSession)
	app.WS("/at/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.RequireTicket)
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
	})
	return server.URL + "/at"
}

// clock is what the time of a message looks like.
var clock = regexp.MustCompile(`(?m)^\d\d:\d\d `)

func TestChat(t *testing.T) {
	url := serveChat(t)
	p := start(t, "-chat", "ana", "-n", "2", url)
	p.write("hello\n\n  \ttwo\n") // what is blank is not posted
	p.out.find(t, "two")
	if got := clock.ReplaceAllString(p.out.String(), "15:04 "); got != "15:04 ana: hello\n15:04 ana:   \ttwo\n" {
		t.Errorf("printed %q", got)
	}
	p.ends(0, "closed: 1000")

	// What was there before is printed, and does not count.
	q := start(t, "-chat", "bea", "-n", "1", "ws"+strings.TrimPrefix(url, "http")+"/ws/chat/lobby?x=y")
	q.out.find(t, "ana:   \ttwo\n")
	q.write("three\n")
	q.ends(0, "closed: 1000")
	if got := clock.ReplaceAllString(q.out.String(), ""); got != "ana: hello\nana:   \ttwo\nbea: three\n" {
		t.Errorf("printed %q", got)
	}

	// A script posts, and leaves when that is stored.
	r := start(t, "-chat", "clock", "-w", "0s", url+"/chat/other")
	r.write("one\ntwo\n" + strings.Repeat("long", 600) + "\n")
	r.stdin.Close()
	r.ends(1, "not sent: client: the post was refused: ")
	s := start(t, "-chat", "reader", "-w", "-1s", url+"/chat/other/")
	s.out.find(t, "clock: two\n")
	s.stop()
	s.ends(0, "closed: 1000")
}

func TestImpossibleChats(t *testing.T) {
	url := serveChat(t)
	start(t, "-chat", "ana", url+"/ws/chat/No").expect(3, "", "404")
	start(t, "-chat", strings.Repeat("n", 33), url).expect(3, "", "400")
	start(t, "-chat", "ana", "http://127.0.0.1:1").expect(3, "", "no connection")
}

func TestRoomsOfURLs(t *testing.T) {
	for url, want := range map[string]string{
		"http://host":                     "http://host lobby",
		"http://host/":                    "http://host lobby",
		"http://host/chat":                "http://host lobby",
		"http://host/chat/":               "http://host lobby",
		"http://host/chat/garden":         "http://host garden",
		"wss://host:1/ws/chat/garden":     "wss://host:1 garden",
		"wss://host:1/at/ws/chat/a?b=c":   "wss://host:1/at a",
		"https://host/at/the/chat/garden": "https://host/at/the garden",
	} {
		base, room := (&options{url: url}).room()
		if got := base + " " + room; got != want {
			t.Errorf("%s is %s, want %s", url, got, want)
		}
	}
}
