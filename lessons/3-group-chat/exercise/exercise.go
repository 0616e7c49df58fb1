// Package exercise is a group chat with rooms. Make its test pass:
//
//	go test ./lessons/3-group-chat/exercise
package exercise

import (
	"github.com/labstack/echo/v4"

	"echows/ws"
)

// New returns a server with a WebSocket for each room: /chat/kitchen, /chat/garden, or any other name.
func New() *echo.Echo {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	app.WS("/chat/:room", room)
	return e
}

// room welcomes a new member with {"members":2}: how many the room has now, including the new one. It sends each text, as it came,
// to everyone in the same room, including its sender, and to nobody else. A text of more than 200 characters goes to nobody, and
// its sender gets {"error":"too long"}.
func room(s *ws.Socket, c echo.Context) error {
	// Yours to write. s.Param("room") is the name of the room, s.Route().Sockets() are the sockets of all rooms.
	return nil
}
