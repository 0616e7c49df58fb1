// Package exercise is a classroom where pupils raise their hands: server.mjs, ported. Make its test pass:
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
//	"hint"   with a text goes to everybody with a hand up, as "hint", the name and the text
func classroom(n *socketio.Namespace) {
	// Yours to write.
}
