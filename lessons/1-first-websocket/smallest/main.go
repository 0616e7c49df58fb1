// Command smallest is the smallest complete program with ws: go run ./lessons/1-first-websocket/smallest
package main

import (
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
	e.Logger.Fatal(e.Start(":3000"))
}
