// Command echows-cat connects a terminal to a WebSocket: it sends lines as messages, and prints messages as lines. With
// -chat it is a member of a chat room.
//
// This file starts and ends it. options.go: the flags. cat.go: what happens in between. plain.go and chat.go: the
// two kinds of connection. print.go: how messages look.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"echows/ws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process immediately
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes, as in usage.
const (
	exitDone    = 0
	exitLost    = 1
	exitUsage   = 2
	exitRefused = 3
)

// run is the program: it ends with the connection, closes it when ctx ends, and returns the exit code. It does not wait
// for a blocked read of stdin, which on a terminal cannot be interrupted.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := readOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage())
		return exitDone
	}
	if err != nil {
		fmt.Fprintf(stderr, "echows-cat: %v (-h lists all flags)\n", err)
		return exitUsage
	}
	c := newCat(opts, stdout, stderr)
	err = c.run(ctx, stdin)
	return c.exitCode(err)
}

// exitCode says on stderr how the connection ended; err is nil if this end closed it.
func (c *cat) exitCode(err error) int {
	code := exitLost
	var closed *ws.CloseError
	var refused *ws.HandshakeError
	switch {
	case err == nil && c.opened.Load():
		code = exitDone
		c.say("closed: %d", ws.CloseNormal)
	case err == nil:
		code = exitDone
	case errors.As(err, &closed):
		if isNormal(closed.Code) {
			code = exitDone
		}
		c.say("closed: %d %s", closed.Code, closed.Reason)
	case errors.As(err, &refused), !c.opened.Load():
		code = exitRefused
		c.say("no connection: %v", err)
	default:
		c.say("%v", err)
	}
	if code == exitDone && c.failed.Load() {
		code = exitLost
	}
	return code
}

func isNormal(code ws.CloseCode) bool {
	return code == ws.CloseNormal || code == ws.CloseGoingAway || code == ws.CloseNoStatus
}
