// Package exercise is a classroom where one raises one's hand: server.mjs, ported. Make its test pass:
//
//	go test ./lessons/6-events-and-rooms/exercise
package exercise

import (
	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

// New returns a server with the namespace /class.
func New() *echo.Echo {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	io := socketio.New(app, socketio.Config{})
	classroom(io.Of("/class"))
	return e
}

// classroom is what server.mjs does with its constant of that name:
//
//	a client connects with {"name":…}, or is refused with "who are you?"
//	"raise"  raises its hand, tells the others "raised" and its name, and is acknowledged with how many hands are up
//	"lower"  lowers it, and is acknowledged
//	"hint"   with a text is for all that have a hand up: "hint", the name, the text
func classroom(n *socketio.Namespace) {
	// Yours to write.
}
