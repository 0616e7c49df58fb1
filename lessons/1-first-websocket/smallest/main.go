// Command smallest is the smallest complete program with ws: go run ./lessons/1-first-websocket/smallest
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

func main() {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			return s.SendText("you said: " + m.Text())
		})
		return nil
	})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, func() { // Ctrl-C: everybody is told, with 1012, and comes back later
		app.Shutdown(context.Background())
		e.Close()
	})
	if err := e.Start(":3000"); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
