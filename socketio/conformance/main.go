// Command conformance is the server that the official test suites of Engine.IO and Socket.IO test:
//
//	go run ./socketio/conformance -addr 127.0.0.1:3000
//
// The suites are docs/engine.io-protocol/v4-test-suite and docs/socket.io-protocol/v5-test-suite in
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
	// pingInterval and the engine's settings in run are the values that the suites expect.
	pingInterval = 300 * time.Millisecond
	// connectTimeout is longer than the heartbeat tests run, even on a busy machine. The test without a CONNECT does not
	// need it: its client does not answer pings, so its session ends.
	connectTimeout = 10 * time.Second
)

// run serves until ctx ends.
func run(ctx context.Context, addr string, out io.Writer) error {
	e := echo.New()
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
