package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/socketio/engineio"
	"echows/ws"
)

// handshakeWait delays each handshake. Some of the client's tests let it give up at once, and need a server that has not
// answered by then.
const handshakeWait = 10 * time.Millisecond

// mountClientTests serves the official client's own tests. Its namespaces, events and settings are those of their own
// server, packages/socket.io-client/test/support/server.ts.
func mountClientTests(e *echo.Echo) (end func(context.Context)) {
	cfg := clientTestsConfig()
	app := ws.New(e, ws.Config{Origins: cfg.Engine.Origins, Logger: cfg.Logger})
	sockets := socketio.New(app, cfg)
	var asking sync.WaitGroup
	sockets.OnConnect(func(s *socketio.Socket) error {
		onCalls(s)
		onValues(s)
		onBinary(s)
		s.On("ack", func(socketio.Event) error {
			asking.Go(func() { askForAck(s) }) // the answer is read only after this listener has returned
			return nil
		})
		return nil
	})
	mountNamespaces(sockets)
	return func(ctx context.Context) {
		sockets.Shutdown(ctx)
		asking.Wait() // EmitWithAck returns when its socket ends
		app.Shutdown(ctx)
	}
}

func clientTestsConfig() socketio.Config {
	quiet := slog.New(slog.DiscardHandler)
	return socketio.Config{
		Engine: engineio.Config{
			PingInterval: 2 * time.Second,
			Allow: func(*http.Request) error {
				time.Sleep(handshakeWait)
				return nil
			},
			Origins: []string{"*"}, // in a browser, the tests run on a page of another origin
			Logger:  quiet,
		},
		Recovery:         2 * time.Minute,
		RecoverySkipsUse: true,
		Logger:           quiet,
	}
}

// mountNamespaces mounts the namespaces besides "/". Clients also ask for others, which must be refused.
func mountNamespaces(sockets *socketio.Server) {
	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		sockets.Of(name)
	}
	sockets.Of("/foo").OnConnect(func(s *socketio.Socket) error {
		s.On("getId", ackID)
		return nil
	})
	sockets.Of("/abc").OnConnect(func(s *socketio.Socket) error { return s.Emit("handshake", handshakeOf(s)) })
	sockets.Of("/no").Use(func(*socketio.Socket) error {
		return &socketio.Refusal{Message: "Auth failed (custom namespace)"}
	})
}

// onCalls answers events that ask for an acknowledgement.
func onCalls(s *socketio.Socket) {
	s.On("echo", func(e socketio.Event) error { return e.Ack(e.Arg(0)) })
	s.On("getId", ackID)
	s.On("getHandshake", func(e socketio.Event) error { return e.Ack(handshakeOf(s)) })
	s.On("getAckDate", func(e socketio.Event) error { return e.Ack(time.Now()) })
}

func ackID(e socketio.Event) error { return e.Ack(e.Socket.ID()) }

// onValues answers events with values that are easy to spoil on the way.
func onValues(s *socketio.Socket) {
	s.On("hi", func(socketio.Event) error { return s.Emit("hi") })
	s.On("false", func(socketio.Event) error { return s.Emit("false", false) })
	s.On("getDate", func(socketio.Event) error { return s.Emit("takeDate", time.Now()) })
	s.On("getDateObj", func(socketio.Event) error {
		return s.Emit("takeDateObj", map[string]time.Time{"date": time.Now()})
	})
	s.On("getUtf8", func(socketio.Event) error {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			if err := s.Emit("takeUtf8", text); err != nil {
				return err
			}
		}
		return nil
	})
}

// onBinary serves the tests with binary values. An event that is not as the tests send it gets no answer, so the test
// fails. Only browsers send Blobs.
func onBinary(s *socketio.Socket) {
	s.On("doge", func(socketio.Event) error { return s.Emit("doge", []byte("asdfasdf")) })
	s.On("getbin", func(socketio.Event) error { return s.Emit("takebin", []byte("asdfasdf")) })
	confirm(s, "buffack", isBinary("buffa"))
	confirm(s, "back", isBinary("blob"))
	confirm(s, "jsonbuff-ack", isMixed("jsonbuff"))
	confirm(s, "jsonblob-ack", isMixed("jsonblob"))
	confirm(s, "abuff2-ack", isBinary("abuff1"), isText("abuff2"))
	confirm(s, "blob3-ack", isBinary("blob1"), isText("blob2"), isBinary("blob3"))
}

// step is an event of a test, and whether it arrived as it was sent.
type step struct {
	event string
	valid func(socketio.Event) bool
}

func isBinary(event string) step {
	return step{event, func(e socketio.Event) bool { return e.Arg(0).IsBinary() }}
}

func isText(event string) step {
	return step{event, func(e socketio.Event) bool { return e.Arg(0).Decode(new(string)) == nil }}
}

func isMixed(event string) step {
	return step{event, func(e socketio.Event) bool {
		var v struct {
			Hello, Goodbye string
			Message        []byte
		}
		return e.Decode(&v) == nil && v.Hello == "lol" && v.Goodbye == "gotcha" && len(v.Message) > 0
	}}
}

// confirm emits answer when all steps have arrived, in this order.
func confirm(s *socketio.Socket, answer string, steps ...step) {
	arrived := 0 // listeners of one socket run one at a time
	for i, next := range steps {
		s.On(next.event, func(e socketio.Event) error {
			if arrived != i || !next.valid(e) {
				return nil
			}
			arrived = (i + 1) % len(steps)
			if arrived > 0 {
				return nil
			}
			return s.Emit(answer)
		})
	}
}

// askForAck asks the client for an acknowledgement, and tells it when the right one has arrived.
func askForAck(s *socketio.Socket) {
	answer, err := s.EmitWithAck(s.Context(), "ack")
	if err != nil || len(answer) != 2 {
		return // a test that never acknowledges is one of them
	}
	var number int
	var object struct{ Test bool }
	if answer[0].Decode(&number) == nil && answer[1].Decode(&object) == nil && number == 5 && object.Test {
		s.Emit("got it")
	}
}

// handshake is what the tests read of socket.handshake.
type handshake struct {
	Query map[string]string `json:"query"`
	Auth  json.RawMessage   `json:"auth"`
}

func handshakeOf(s *socketio.Socket) handshake {
	from := s.Handshake()
	query := map[string]string{}
	for name, values := range from.Request.URL.Query() {
		query[name] = values[0]
	}
	return handshake{Query: query, Auth: from.Auth}
}
