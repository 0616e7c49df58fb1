// Package exercise is a classroom where pupils raise their hands: server.mjs, ported. Make its test pass:
//
//	go test ./lessons/6-events-and-rooms/exercise
package exercise

import (
	"errors"

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

// name is what a client is called.
var name = socketio.NewKey[string]("name")

// classroom is what server.mjs does with its constant of that name.
func classroom(n *socketio.Namespace) {
	n.Use(func(s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Auth(&auth); err != nil || auth.Name == "" {
			return errors.New("who are you?")
		}
		name.Set(s, auth.Name)
		return nil
	})

	n.OnConnect(func(s *socketio.Socket) error {
		me, _ := name.Get(s)

		s.On("raise", func(e socketio.Event) error {
			if err := s.Join("hands"); err != nil {
				return err
			}
			if err := s.Broadcast().Emit("raised", me); err != nil {
				return err
			}
			hands, err := n.In("hands").Len(s.Context())
			if err != nil {
				return err
			}
			return e.Ack(hands)
		})
		s.On("lower", func(e socketio.Event) error {
			s.Leave("hands")
			return e.Ack()
		})
		socketio.On(s, "hint", func(_ socketio.Event, text string) error {
			return n.To("hands").Emit("hint", me, text)
		})
		return nil
	})
}
