package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"echows/client"
)

// session is a connection of either kind.
type session interface {
	// send returns when the line is sent, or ctx has ended.
	send(ctx context.Context, line string) error
	close()
	wait() // for its end
	Done() <-chan struct{}
	Err() error
}

// cat is the running program.
type cat struct {
	options options
	printer *printer
	opened  atomic.Bool   // there was a connection
	failed  atomic.Bool   // a line could not be sent or printed
	came    chan struct{} // holds one when a message has come
	enough  chan struct{} // closed when -n messages have come, or no more can be printed

	// Owned by the callbacks, and by nobody when the session is done.
	count int
	full  bool  // enough is closed
	lost  error // why the only connection ended, without -reconnect

	mu     sync.Mutex // held while something is written to stderr
	stderr io.Writer
}

func newCat(opts options, stdout, stderr io.Writer) *cat {
	return &cat{
		options: opts,
		printer: newPrinter(stdout, opts.pretty),
		came:    make(chan struct{}, 1),
		enough:  make(chan struct{}),
		stderr:  stderr,
	}
}

// say prints a line on stderr.
func (c *cat) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.stderr, "echows-cat:", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// state is the OnState of both kinds of connection: without -reconnect the first end is the last.
func (c *cat) state(closeIt func()) func(client.State, time.Duration, error) {
	return func(state client.State, wait time.Duration, err error) {
		switch {
		case state == client.StateOpen:
			c.opened.Store(true)
		case state == client.StateWaiting && c.options.reconnect:
			c.say("%v; trying again within %v", err, wait.Round(time.Millisecond))
		case state == client.StateWaiting:
			c.lost = err
			closeIt()
		}
	}
}

// run connects, and returns why the connection ended: nil if this end closed it.
func (c *cat) run(ctx context.Context, stdin io.Reader) error {
	var s session
	if c.options.chat != "" {
		s = c.joinChat()
	} else {
		s = c.connect()
	}
	ctx, cancel := context.WithCancel(ctx)
	lines, sent := read(ctx, stdin), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(sent)
		c.sendAll(ctx, s, lines)
	})
	c.wait(ctx, s, sent)
	cancel()
	s.close()
	s.wait()
	writer.Wait()
	if c.lost != nil {
		return c.lost
	}
	return s.Err()
}

// wait returns when it is time to close, or the session has ended.
func (c *cat) wait(ctx context.Context, s session, sent <-chan struct{}) {
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	closes := c.options.n == 0 && c.options.quiet >= 0
	for {
		select {
		case <-sent:
			sent = nil
		case <-c.came:
		case <-c.enough:
			return
		case <-quiet.C:
			return
		case <-ctx.Done():
			return
		case <-s.Done():
			return
		}
		if sent == nil && closes {
			quiet.Reset(c.options.quiet)
		}
	}
}

// sendAll sends line after line, until there are no more or ctx ends.
func (c *cat) sendAll(ctx context.Context, s session, lines <-chan string) {
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			err := s.send(ctx, line)
			if err != nil && ctx.Err() == nil {
				c.failed.Store(true)
				c.say("not sent: %v", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// received prints a message and counts it.
func (c *cat) received(line []byte, counts bool) {
	if c.full {
		return // it came after this end closed
	}
	if counts {
		c.count++
		c.full = c.count == c.options.n
	}
	if err := c.printer.print(line); err != nil {
		c.failed.Store(true)
		c.say("%v", err)
		c.full = true
	}
	if c.full {
		close(c.enough)
		return
	}
	select {
	case c.came <- struct{}{}:
	default:
	}
}

// read reads lines until the end of stdin, or until ctx ends; but it cannot interrupt a blocked read.
func read(ctx context.Context, stdin io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReader(stdin)
		for {
			line, err := r.ReadString('\n')
			if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
				return
			}
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
