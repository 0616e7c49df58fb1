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

	"echows/hub"
	"echows/socketio"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = 20 * time.Second

// server is a Socket.IO server on a port of its own.
type server struct {
	t   testing.TB
	url string
	app *ws.App
	io  *socketio.Server
	log *slog.Logger
}

func start(t testing.TB, cfg socketio.Config) *server {
	t.Helper()
	e := echo.New()
	quiet := slog.New(slog.DiscardHandler)
	app := ws.New(e, ws.Config{Logger: quiet, Origins: cfg.Engine.Origins})
	cfg.Logger = quiet
	io := socketio.New(app, hub.New(), cfg)
	h := httptest.NewServer(e)
	t.Cleanup(func() {
		io.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		app.Shutdown(ctx)
		h.Close()
		http.DefaultClient.CloseIdleConnections()
		if n := io.Len(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
	return &server{t, h.URL, app, io, quiet}
}
