package main

import (
	"log/slog"

	"github.com/labstack/echo/v4"

	"echows/nodes"
	"echows/ws"
)

// Reply tells the page to append a line of text.
type Reply struct {
	Append     bool   `json:"append"`
	ReturnText string `json:"returnText"`
}

// reply is the first lesson: whatever the page sends, the answer tells it to append a line.
func reply(s *ws.Socket, c echo.Context) error {
	s.OnMessage(func(m ws.Message) error {
		slog.Info("message", "id", s.ID(), "got", m) // the log leaves lines out where there are too many
		return s.SendJSON(Reply{Append: true, ReturnText: "I am using websockets!"})
	})
	return nil
}

// echoBack sends every message back as it came: text as text, binary as binary.
func echoBack(s *ws.Socket, c echo.Context) error {
	s.OnMessage(s.Send)
	return nil
}

// broadcast sends every message to all who are connected, including its sender: the simplest group chat
// there is. A client that sends faster than the others read is slowed down.
func broadcast(others *nodes.Nodes) ws.Handler {
	return func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			others.Tell(m) // if there are other nodes
			return s.Broadcast(m)
		})
		return nil
	}
}
