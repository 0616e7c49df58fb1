// Command conformance is the server that the official tests of Engine.IO and Socket.IO test: the suites of both protocols,
// and, with the flag -client, the official client's own tests.
//
//	go run ./socketio/conformance -addr 127.0.0.1:3000
//	go run ./socketio/conformance -addr localhost:3210 -client
//
// The suites are docs/engine.io-protocol/v4-test-suite and docs/socket.io-protocol/v5-test-suite in
// github.com/socketio/socket.io, and the client's tests are packages/socket.io-client/test.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "`address` to listen on")
	client := flag.Bool("client", false, "serve the official client's tests instead of the suites of the protocols")
	flag.Parse()
	mount := mountSuites
	if *client {
		mount = mountClientTests
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, mount, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run serves what mount mounts until ctx ends, and then calls what mount has returned, which must end all connections
// before its context ends.
func run(ctx context.Context, addr string, mount func(*echo.Echo) (end func(context.Context)), out io.Writer) error {
	e := echo.New()
	end := mount(e)
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
	closing, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	end(closing)
	server.Shutdown(closing)
	return err
}
