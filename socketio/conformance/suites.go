package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/socketio/engineio"
	"echows/ws"
)

const (
	// pingInterval and the engine's settings in mountSuites are the values that the suites expect.
	pingInterval = 300 * time.Millisecond
	// connectTimeout is longer than the heartbeat tests run, even on a busy machine. The test without a CONNECT does not
	// need it: its client does not answer pings, so its session ends.
	connectTimeout = 10 * time.Second
)

// mountSuites serves the suites of both protocols.
func mountSuites(e *echo.Echo) (end func(context.Context)) {
	quiet := slog.New(slog.DiscardHandler)
	app := ws.New(e, ws.Config{Origins: []string{"*"}, PingInterval: pingInterval, Logger: quiet}) // PingInterval sets the precision of the App's clock
	engine := engineio.Config{
		PingInterval: pingInterval,
		PingTimeout:  200 * time.Millisecond,
		MaxPayload:   1_000_000,
		Origins:      []string{"*"},
		Logger:       quiet,
	}
	sessions := engineio.New(app, "/engine.io/", engine, func(s *engineio.Session) { s.OnMessage(s.Send) })
	sockets := socketio.New(app, socketio.Config{Engine: engine, ConnectTimeout: connectTimeout, Logger: quiet})
	sockets.OnConnect(answer)
	sockets.Of("/custom").OnConnect(greet)
	return func(ctx context.Context) {
		sessions.Shutdown(ctx)
		sockets.Shutdown(ctx)
		app.Shutdown(ctx)
	}
}

// greetWait separates the answer to CONNECT from the event after it, so that they are sent in separate TCP packets. The
// suite listens for one message at a time: if two arrive in one read, it loses the second, with any server.
const greetWait = 10 * time.Millisecond

// greet emits the payload of CONNECT back to the client.
func greet(s *socketio.Socket) error {
	time.AfterFunc(greetWait, func() { s.Emit("auth", s.Handshake().Auth) }) // fails if the socket has ended
	return nil
}

// answer serves the namespace "/".
func answer(s *socketio.Socket) error {
	s.On("message", func(e socketio.Event) error { return s.Emit("message-back", anys(e.Args)...) })
	s.On("message-with-ack", func(e socketio.Event) error { return e.Ack(anys(e.Args)...) })
	return greet(s)
}

func anys(args []socketio.Arg) []any {
	all := make([]any, len(args))
	for i, arg := range args {
		all[i] = arg
	}
	return all
}
