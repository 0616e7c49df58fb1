package client

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = time.Minute

// wait receives from ch.
func wait[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// atOnce is chance without a wait.
func atOnce() float64 { return 0 }

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// accepted is a listener whose connections a test can cut.
type accepted struct {
	net.Listener
	conns chan net.Conn
}

func (l *accepted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns <- c
	}
	return c, err
}

// serve starts a real server on port 0, and shuts it down with the test.
func serve(t testing.TB, setup func(e *echo.Echo, app *ws.App)) (url string, conns <-chan net.Conn) {
	t.Helper()
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	app := ws.New(e, ws.Config{PingInterval: time.Hour, Logger: quiet})
	setup(e, app)
	server := httptest.NewUnstartedServer(e)
	cut := &accepted{server.Listener, make(chan net.Conn, 100)}
	server.Listener = cut
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
	})
	return "ws://" + server.Listener.Addr().String(), cut.conns
}

func echoBack(s *ws.Socket, _ echo.Context) error {
	s.OnMessage(s.Send)
	return nil
}
