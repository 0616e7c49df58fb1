package socketio_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/socketio"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the longest that any test waits.
const patience = time.Minute

// server is a Socket.IO server; start gives it a port.
type server struct {
	t       testing.TB
	url     string
	address string // of the client; see call
	echo    *echo.Echo
	app     *ws.App
	io      *socketio.Server
}

func newServer(t testing.TB, cfg socketio.Config) *server {
	quiet := slog.New(slog.DiscardHandler)
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	s := &server{t: t, echo: echo.New()}
	s.app = ws.New(s.echo, ws.Config{Logger: quiet, Origins: cfg.Engine.Origins})
	s.io = socketio.New(s.app, cfg)
	return s
}

func start(t testing.TB, cfg socketio.Config) *server {
	t.Helper()
	s := newServer(t, cfg)
	s.serve()
	return s
}

// serve gives the server a port, and ends it with the test.
func (s *server) serve() {
	t := s.t
	h := httptest.NewServer(s.echo)
	s.url = h.URL
	t.Cleanup(func() {
		s.io.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.app.Shutdown(ctx)
		h.Close()
		http.DefaultClient.CloseIdleConnections()
		if n := s.io.LocalLen(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// close ends a server that newServer made.
func (s *server) close() {
	s.io.Close()
	s.app.Shutdown(context.Background())
}
