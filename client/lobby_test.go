package client_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	"echows/ws"
)

// lobby serves the chat for an example, and returns where, and what ends it.
func lobby() (url string, end func()) {
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	dir, err := os.MkdirTemp("", "echows-example-")
	check(err)
	b, err := broker.Open(ctx, broker.Config{Dir: dir, Logger: quiet})
	check(err)
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: quiet})
	c, err := chat.Open(ctx, app, hub.New(), b, chat.Config{Secret: []byte("a secret of more than 16 bytes"), Logger: quiet})
	check(err)
	e.POST("/session", c.SignIn)
	e.POST("/ticket", c.Ticket, c.RequireSession)
	app.WS("/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.RequireTicket)
	server := httptest.NewServer(e)
	return server.URL, func() {
		app.Shutdown(ctx)
		server.Close()
		c.Close()
		b.Close()
		os.RemoveAll(dir)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
