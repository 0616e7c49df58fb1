package main

import (
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"echows/nodes"
	"echows/ws"
)

// Reply tells the page to append a line of text.
type Reply struct {
	Append     bool   `json:"append"`
	ReturnText string `json:"returnText"`
}

// logged keeps one client from filling the log: it gets the first messages, and then twenty a second.
var logged = rate.Sometimes{First: 100, Interval: time.Second / 20}

// reply is the first lesson: whatever the page says, it is told to append a line.
func reply(s *ws.Socket, c echo.Context) error {
	s.OnMessage(func(m ws.Message) error {
		logged.Do(func() { slog.Info("message", "id", s.ID(), "got", m) })
		return s.SendJSON(Reply{Append: true, ReturnText: "I am using websockets!"})
	})
	return nil
}

// echoBack sends every message back as it came: text as text, binary as binary.
func echoBack(s *ws.Socket, c echo.Context) error {
	s.OnMessage(s.Send)
	return nil
}

// broadcast sends every message to all who are connected, its sender too: the simplest group chat there
// is. One that sends faster than the others read is slowed down.
func broadcast(others *nodes.Nodes) ws.Handler {
	return func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			others.Tell(m) // where there are any
			return s.Broadcast(m)
		})
		return nil
	}
}
