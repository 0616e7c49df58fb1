package engineio_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// lines collects log output.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// take returns the output since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.all.Reset()
	return l.all.String()
}

// Refusals are counted, passed to OnRefused, and logged at most once a second.
func TestRefusalsAreSeen(t *testing.T) {
	var log lines
	var seen []string
	cfg := engineio.Config{
		MaxSessions: 1,
		Logger:      slog.New(slog.NewTextHandler(&log, nil)),
		OnRefused: func(r *http.Request, status int, reason string) {
			seen = append(seen, fmt.Sprint(r.Method, " ", status, " ", reason))
		},
	}
	bubbleOn(t, ws.Config{MaxAddressSockets: 2}, cfg, func(t *testing.T, s *server) {
		ctx := t.Context()
		expectSeen := func(want string) {
			t.Helper()
			if len(seen) != 1 || !strings.HasPrefix(seen[0], want) {
				t.Errorf("saw %q, want %q", seen, want)
			}
			seen = nil
		}
		s.openCall(ctx)
		s.call(ctx, "GET", "", "")
		expectSeen("GET 503 no more sessions")
		if got := log.take(); !strings.Contains(got, "session refused") || !strings.Contains(got, "192.0.2.1") || !strings.Contains(got, "status=503") || !strings.Contains(got, "no more sessions") {
			t.Errorf("logged %q", got)
		}
		s.call(ctx, "POST", "", "")
		expectSeen("POST 400 Bad handshake method")
		s.call(ctx, "GET", "&sid=unknown", "")
		expectSeen("GET 400 Session ID unknown")
		if got := log.take(); got != "" {
			t.Errorf("logged %q", got)
		}
		time.Sleep(time.Second)
		s.call(ctx, "GET", "&sid=unknown", "")
		if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `such line"=2`) {
			t.Errorf("logged %q", got)
		}
		if n := s.engine.Stats(); n.Refused != 4 || n.Opened != 1 || n.Sessions != 1 {
			t.Errorf("got %+v", n)
		}
	})
}

func TestForeignOriginsAreSeen(t *testing.T) {
	var log lines
	refused := make(chan string, 10)
	s := newServer(t, engineio.Config{
		Logger:    slog.New(slog.NewTextHandler(&log, nil)),
		OnRefused: func(r *http.Request, status int, reason string) { refused <- fmt.Sprint(status, " ", reason) },
	})
	s.echo.Use(middleware.RequestIDWithConfig(middleware.RequestIDConfig{Generator: func() string { return "an-id" }}))
	s.start()
	s.request("GET", "EIO=4&transport=polling", "", "Origin", "https://foe.example")
	if got := <-refused; !strings.HasPrefix(got, "403 ") || !strings.Contains(got, "foe.example") {
		t.Errorf("got %q", got)
	}
	if got := log.take(); !strings.Contains(got, "origin=https://foe.example") || !strings.Contains(got, "list of allowed origins") || !strings.Contains(got, "id=an-id") {
		t.Errorf("logged %q", got)
	}
	if _, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"?EIO=4&transport=websocket", "", "https://foe.example"); err == nil {
		t.Error("it was let in")
	}
	if got := <-refused; !strings.HasPrefix(got, "403 ") {
		t.Errorf("got %q", got)
	}
}

// Refusals by the WebSocket route are reported, too.
func TestRefusedWebSocketsAreSeen(t *testing.T) {
	var mu sync.Mutex
	refused := map[int]int{}
	s := newServerOn(t, ws.Config{MaxAddressSockets: 2}, engineio.Config{OnRefused: func(_ *http.Request, status int, _ string) {
		mu.Lock()
		defer mu.Unlock()
		refused[status]++
	}}).start()
	s.request("GET", "EIO=4&transport=websocket", "") // without an upgrade
	s.open()
	s.dial("EIO=4&transport=websocket")
	for _, transport := range []string{"polling", "websocket"} { // one more session than the address may have
		upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
		if transport == "polling" {
			upgrade = nil
		}
		if status, body, _ := s.request("GET", "EIO=4&transport="+transport, "", upgrade...); status != http.StatusTooManyRequests {
			t.Errorf("%s: %d %s", transport, status, body)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if refused[400] != 1 || refused[429] != 2 {
		t.Errorf("got %v", refused)
	}
}

// Sessions that end with an error do not fill the log.
func TestManyEnds(t *testing.T) {
	var log lines
	bubble(t, engineio.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, s *server) {
		for range 300 {
			s.call(t.Context(), "POST", "&sid="+s.openCall(t.Context()), "4fail")
		}
		if n := strings.Count(log.take(), "session ended"); n != 100 {
			t.Errorf("%d lines about 300 sessions", n)
		}
		for range 10 {
			time.Sleep(time.Second / 10)
			s.call(t.Context(), "POST", "&sid="+s.openCall(t.Context()), "4fail")
		}
		got := log.take()
		if n := strings.Count(got, "session ended"); n != 5 {
			t.Errorf("%d lines in a second", n)
		}
		for _, leftOut := range []int{201, 1} {
			if want := fmt.Sprintf(`"left out since the last such line"=%d`, leftOut); !strings.Contains(got, want) {
				t.Errorf("no line has %s: %s", want, got)
			}
		}
	})
}

// Allow is asked about WebSockets, too.
func TestAllowIsAskedAboutWebSockets(t *testing.T) {
	s := start(t, engineio.Config{Allow: func(*http.Request) error { return io.EOF }})
	if conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"?EIO=4&transport=websocket", "", s.base()); err == nil {
		conn.Close()
		t.Error("let in")
	}
}
