// A small Socket.IO server: server.mjs ported, in the same order.
//
//	go run ./lessons/6-events-and-rooms/port
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	e := echo.New()
	newServer(e)
	fmt.Printf("listening on http://%s\n", l.Addr())
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, server.Serve(l))
}

// name is what Node keeps in socket.data.
var name = socketio.NewKey[string]("name")

type said struct {
	Room string `json:"room,omitempty"`
	Name string `json:"name"`
	Text string `json:"text"`
}

func newServer(e *echo.Echo) (*ws.App, *socketio.Server) {
	app := ws.New(e, ws.Config{Origins: []string{"*"}})
	io := socketio.New(app, socketio.Config{})

	io.Use(func(s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Auth(&auth); err != nil || auth.Name == "" {
			return &socketio.Refusal{Message: "who are you?", Data: map[string]string{"field": "name"}}
		}
		name.Set(s, auth.Name)
		return nil
	})

	io.OnConnect(func(s *socketio.Socket) error {
		me, _ := name.Get(s)
		s.Broadcast().Emit("joined", me)

		socketio.On(s, "say", func(e socketio.Event, text string) error {
			io.Emit("said", said{Name: me, Text: text})
			return e.Ack(map[string]bool{"ok": true})
		})
		socketio.On(s, "enter", func(e socketio.Event, room string) error {
			if err := s.Join(room); err != nil {
				return err
			}
			s.To(room).Emit("entered", room, me)
			members, err := io.In(room).Len(s.Context())
			if err != nil {
				return err
			}
			return e.Ack(members)
		})
		socketio.On2(s, "whisper", func(_ socketio.Event, room, text string) error {
			if !s.In(room) {
				return nil
			}
			return s.To(room).Emit("whispered", said{Room: room, Name: me, Text: text})
		})
		s.On("typing", func(socketio.Event) error {
			return s.Broadcast().Volatile().Emit("typing", me)
		})
		socketio.On(s, "poll", func(e socketio.Event, question string) error {
			go func() { // the others' answers take a while, and this client goes on
				ctx, cancel := context.WithTimeout(s.Context(), 2*time.Second)
				defer cancel()
				answers, _ := s.Broadcast().EmitWithAck(ctx, "question", question)
				first := make([]socketio.Arg, 0, len(answers))
				for _, one := range answers {
					first = append(first, one.Arg(0))
				}
				e.Ack(first)
			}()
			return nil
		})
		s.Once("bye", func(socketio.Event) error {
			s.Disconnect(true)
			return nil
		})
		s.OnDisconnect(func(string) {
			io.Emit("left", me)
		})
		return nil
	})

	io.Of("/admin").Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token != "let me in" {
			return errors.New("not you")
		}
		return nil
	})

	io.Of("/admin").OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "close room", func(e socketio.Event, room string) error {
			io.In(room).SocketsLeave(room)
			return e.Ack()
		})
		return nil
	})
	return app, io
}
