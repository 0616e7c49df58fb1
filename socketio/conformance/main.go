// Command conformance serves what the official test suites of Engine.IO and Socket.IO drive:
//
//	go run ./socketio/conformance -addr 127.0.0.1:3000
//
// The suites are docs/engine.io-protocol/v4-test-suite and docs/socket.io-protocol/v5-test-suite of
// github.com/socketio/socket.io.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/socketio/engineio"
	"echows/ws"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "`address` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

const (
	// pingInterval and the settings below are the suites'.
	pingInterval = 300 * time.Millisecond
	// connectTimeout is longer than the pings of the heartbeat's cases take, on a busy machine too. The case without a
	// CONNECT needs none: its client answers no ping, so its session ends.
	connectTimeout = 10 * time.Second
)

// run serves until ctx ends.
func run(ctx context.Context, addr string, out io.Writer) error {
	e := echo.New()
	quiet := slog.New(slog.DiscardHandler)
	app := ws.New(e, ws.Config{Origins: []string{"*"}, PingInterval: pingInterval, Logger: quiet}) // its clock is as fine
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

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", listener.Addr())
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	sessions.Close()
	sockets.Close()
	closing, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	server.Shutdown(closing)
	app.Shutdown(closing)
	return err
}

// greetWait keeps the answer to CONNECT and the event after it in packets of TCP of their own. The suite
// listens for one message at a time: of two in one read it loses the second, whoever the server is.
const greetWait = 10 * time.Millisecond

// greet tells the client what it sent with CONNECT.
func greet(s *socketio.Socket) error {
	time.AfterFunc(greetWait, func() { s.Emit("auth", s.Handshake().Auth) }) // fails where the socket has gone
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
