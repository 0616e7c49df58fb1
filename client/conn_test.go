package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// watched is a Conn whose messages and states a test waits for.
type watched struct {
	*Conn
	got  chan string
	open chan *ws.Socket

	mu     sync.Mutex
	states []string
}

func watch(t testing.TB, ctx context.Context, target Target, cfg Config) *watched {
	t.Helper()
	w := &watched{got: make(chan string, 100), open: make(chan *ws.Socket, 100)}
	cfg.random = atOnce
	cfg.OnOpen = func(s *ws.Socket) error { w.open <- s; return nil }
	cfg.OnMessage = func(m ws.Message) error { w.got <- m.Opcode.String() + " " + m.Text(); return nil }
	cfg.OnState = func(s State, _ time.Duration, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.states = append(w.states, s.String())
	}
	w.Conn = Connect(ctx, target, cfg)
	t.Cleanup(func() { w.Close(ws.CloseNormal, ""); wait(t, w.Done()) })
	return w
}

func (w *watched) expectStates(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.states, want) {
		t.Errorf("the states were %v, want %v", w.states, want)
	}
}

func TestConnComesBack(t *testing.T) {
	url, conns := serve(t, func(_ *echo.Echo, app *ws.App) { app.WS("/echo", echoBack) })
	w := watch(t, t.Context(), URL(url+"/echo"), Config{})
	for i := range 3 {
		wait(t, w.open)
		text := fmt.Sprint("number ", i)
		if err := errors.Join(w.SendText(text), w.SendJSON(i), w.Send(ws.Message{Opcode: ws.Binary, Data: []byte{1}})); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"text " + text, "text " + fmt.Sprint(i), "binary \x01"} {
			if got := wait(t, w.got); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		wait(t, conns).Close() // the server is gone, without a word
	}
	wait(t, w.open)
	if err := w.Close(4001, "enough"); err != nil {
		t.Error(err)
	}
	wait(t, w.Done())
	if err := w.Err(); err != nil {
		t.Errorf("after Close: %v", err)
	}
	round := []string{"connecting", "open", "waiting"}
	w.expectStates(t, append(slices.Repeat(round, 3), "connecting", "open", "closed")...)
}

func TestConnAgain(t *testing.T) {
	ends := make(chan ws.CloseCode, 10)
	url, _ := serve(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, _ echo.Context) error {
			s.OnClose(func(code ws.CloseCode, _ string) { ends <- code })
			return nil
		})
	})
	w := watch(t, t.Context(), URL(url), Config{Retry: func(error) bool { return false }})
	wait(t, w.open)
	w.Now() // is for waits only
	w.Again()
	if code := wait(t, ends); code != ws.CloseNormal {
		t.Errorf("ended with %d", code)
	}
	wait(t, w.open)
	w.Close(ws.CloseGoingAway, "")
	if code := wait(t, ends); code != ws.CloseGoingAway {
		t.Errorf("ended with %d", code)
	}
	wait(t, w.Done())
	w.Again()
	w.Now()
	w.expectStates(t, "connecting", "open", "connecting", "open", "closed")
}

func TestSendWhileThereIsNoConnection(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	url, _ := serve(t, func(_ *echo.Echo, app *ws.App) { app.WS("/", echoBack) })
	w := watch(t, t.Context(), func(context.Context) (string, http.Header, error) {
		asked <- struct{}{}
		<-answer
		return url, nil, nil
	}, Config{})
	wait(t, asked)
	if err := w.SendText("too early"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("while connecting: %v", err)
	}
	answer <- struct{}{}
	wait(t, w.open)
	if err := w.SendText("\xff"); err == nil || errors.Is(err, ErrNotConnected) {
		t.Errorf("what is no text: %v", err)
	}
	if err := w.SendJSON(func() {}); err == nil || !strings.HasPrefix(err.Error(), "client: send: ") {
		t.Errorf("what is no JSON: %v", err)
	}
	if err := w.SendText("in time"); err != nil {
		t.Error(err)
	}
	if got := wait(t, w.got); got != "text in time" {
		t.Errorf("got %q", got)
	}
	w.Close(ws.CloseNormal, "")
	if err := w.SendJSON("too late"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("after Close: %v", err)
	}
}

// A callback's error ends the connection, and a Close inside a callback ends it for good.
func TestCallbacksClose(t *testing.T) {
	url, _ := serve(t, func(_ *echo.Echo, app *ws.App) { app.WS("/", echoBack) })
	var c *Conn
	opened := 0
	made := make(chan struct{})
	c = Connect(t.Context(), URL(url), Config{
		random: atOnce,
		OnOpen: func(s *ws.Socket) error {
			<-made
			if opened++; opened == 1 {
				return &ws.CloseError{Code: 3001, Reason: "not this one"}
			}
			return c.SendText("hello")
		},
		OnMessage: func(ws.Message) error { return c.Close(5, "") },
	})
	close(made)
	wait(t, c.Done())
	if opened != 2 || c.Err() != nil {
		t.Errorf("%d connections, %v", opened, c.Err())
	}
}

// A Close that comes between the handshake and the connection's beginning counts.
func TestCloseWhileItBegins(t *testing.T) {
	c := newConn(t.Context(), nil, Config{})
	c.Close(4000, "enough")
	var why *ws.CloseError
	if err := c.begin(nil); !errors.As(err, &why) || why.Code != 4000 || c.Close(4001, "") != nil || c.closing.Code != 4000 {
		t.Errorf("begins with %v", err)
	}
}

// After Close there is no further attempt, even if the connection ends before the context does.
func TestNoAttemptAfterClose(t *testing.T) {
	attempts := 0
	var c *Conn
	c = newConn(t.Context(), func(context.Context) (string, http.Header, error) {
		attempts++
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closing = &ws.CloseError{Code: ws.CloseNormal} // what Close does first
		return "", nil, errors.New("no connection")
	}, Config{random: atOnce, Retry: func(error) bool { return attempts < 2 }})
	if err := c.stay(); err != nil || attempts != 1 {
		t.Errorf("%d attempts, %v", attempts, err)
	}
}
