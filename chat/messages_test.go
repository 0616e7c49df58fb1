package chat

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/hub"
	"echows/ws"
)

// openChat is a chat in memory, with a log that nobody reads.
func openChat(t *testing.T) *Chat {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	b, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	app := ws.New(echo.New(), ws.Config{Logger: quiet})
	app.Echo().IPExtractor = echo.ExtractIPDirect()
	t.Cleanup(func() { app.Shutdown(context.Background()) })
	c, err := Open(t.Context(), app, hub.New(), b, Config{Secret: []byte("sixteen bytes at least"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Answers with older messages wait for one another, and no longer than their clients.
func TestAnswersUnderWay(t *testing.T) {
	c := openChat(t)
	c.app.Echo().GET("/chat/:room/messages", c.Messages)
	ask := func(address string) (status int, body string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/chat/lobby/messages", nil)
		r.RemoteAddr = address + ":80"
		w := httptest.NewRecorder()
		c.app.Echo().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for i := range answersAtOnce {
		address := fmt.Sprint("192.0.2.", i/addressAnswers)
		if _, err := c.answers.enter(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		if i == addressAnswers-1 {
			if status, body := ask(address); status != 429 || !strings.HasPrefix(body, `{"code":"rate_limited","message":"`) {
				t.Errorf("one more of an address: %d %s", status, body)
			}
		}
	}
	if status, body := ask("192.0.2.200"); status != 503 || !strings.HasPrefix(body, `{"code":"unavailable","message":"`) {
		t.Errorf("one more in all: %d %s", status, body)
	}
}

// Who joins after a post was acknowledged waits until this node has seen it: its room knows how far that is, whichever
// way the post came.
func TestWhatIsStoredIsNoted(t *testing.T) {
	c := openChat(t)
	if _, _, err := c.store(t.Context(), "closed", User{"id", "ana"}, post{"1", "hello"}); err != nil || c.Rooms() != 0 {
		t.Errorf("%v; %d rooms are open", err, c.Rooms())
	}
	r, err := c.enter(t.Context(), "lobby")
	if err != nil {
		t.Fatal(err)
	}
	defer c.leave(r)
	seq, before, err := c.store(t.Context(), "lobby", User{"id", "ana"}, post{"1", "hello"})
	if err != nil || before {
		t.Errorf("before %v, %v", before, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored != seq {
		t.Errorf("the room knows of %d, stored is %d", r.stored, seq)
	}
}
