package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"echows/ws"
)

// Conn is a WebSocket that comes back. Its methods may be called from any goroutine at any time, also from callbacks.
type Conn struct {
	target Target
	config Config
	ctx    context.Context // ends with the caller's, and with Close
	cancel context.CancelFunc
	done   chan struct{}
	wakeUp chan struct{} // holds one when a wait is to end

	try func() (open time.Duration, err error) // attempt, except in tests

	mu      sync.Mutex // guards the rest
	state   State
	socket  *ws.Socket     // nil while there is none
	again   bool           // Again ended the connection
	closing *ws.CloseError // what Close was called with
	err     error          // why the Conn ended
}

// Connect begins to connect, and returns immediately. The Conn lives until Close, until ctx ends, which closes it with
// code 1001, or until Config.Retry reports false. The caller of Connect must wait for Done.
func Connect(ctx context.Context, target Target, cfg Config) *Conn {
	c := newConn(ctx, target, cfg)
	go c.run()
	return c
}

func newConn(ctx context.Context, target Target, cfg Config) *Conn {
	c := &Conn{
		target: target,
		config: cfg.withDefaults(),
		done:   make(chan struct{}),
		wakeUp: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.try = c.attempt
	return c
}

// Send sends a message, as ws.Socket.Send does. The error is ErrNotConnected while there is no connection, and
// otherwise says why the message was not sent. If there is no error, the message was written or queued; only an answer
// can tell whether it arrived.
func (c *Conn) Send(m ws.Message) error {
	c.mu.Lock()
	s := c.socket
	c.mu.Unlock()
	if s == nil {
		return ErrNotConnected
	}
	err := s.Send(m)
	if errors.Is(err, ws.ErrClosed) {
		return ErrNotConnected
	}
	if err != nil {
		return fmt.Errorf("client: send: %w", err)
	}
	return nil
}

// SendText is like Send, for a text message, which must be UTF-8.
func (c *Conn) SendText(text string) error {
	return c.Send(ws.Message{Opcode: ws.Text, Data: []byte(text)})
}

// SendJSON is like Send, for v encoded as JSON in a text message.
func (c *Conn) SendJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("client: send: %w", err)
	}
	return c.Send(ws.Message{Opcode: ws.Text, Data: data})
}

// Now ends a wait between attempts. At any other time it does nothing. Call it when the network is back, for example.
func (c *Conn) Now() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket != nil || c.state == StateConnecting {
		return
	}
	select {
	case c.wakeUp <- struct{}{}:
	default: // it will wake up already
	}
}

// Again closes the connection with code 1000, if there is one, and connects again without waiting. If there is no
// connection, Again does what Now does.
func (c *Conn) Again() {
	c.mu.Lock()
	s := c.socket
	c.again = s != nil
	c.mu.Unlock()
	if s == nil {
		c.Now()
		return
	}
	s.Close(ws.CloseNormal, "")
}

// Close ends the Conn for good and returns immediately; wait for Done. Messages that were sent before go out first. Only
// the first call counts. If the code may not be sent, Close closes with 1011 instead and returns an error.
func (c *Conn) Close(code ws.CloseCode, reason string) error {
	why := &ws.CloseError{Code: code, Reason: reason}
	if !code.MayBeSent() {
		why.Code = ws.CloseInternalError
	}
	c.mu.Lock()
	if c.closing == nil {
		c.closing = why
	}
	why, s := c.closing, c.socket
	c.socket = nil
	c.mu.Unlock()
	if s != nil {
		s.Close(why.Code, why.Reason)
	}
	c.cancel()
	if !code.MayBeSent() {
		return fmt.Errorf("client: close code %d may not be sent", code)
	}
	return nil
}

// Done returns a channel that is closed when the Conn has ended and makes no more calls.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the Conn has ended: nil before that, and after Close. The error is or wraps a *ws.CloseError, a
// *ws.HandshakeError, the Target's error, or the context's.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// run is the Conn's goroutine.
func (c *Conn) run() {
	defer close(c.done)
	defer c.cancel()
	err := c.stay()
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.setState(StateClosed, 0, err)
}

// stay connects again and again, and returns why it stopped.
func (c *Conn) stay() error {
	failures := 0
	for {
		c.setState(StateConnecting, 0, nil)
		open, err := c.try()
		if open >= stableAfter {
			failures = 0
		}
		again := c.takeAgain()
		switch {
		case c.isOver():
			return c.cause()
		case again:
			continue
		case !c.config.Retry(err):
			return err
		}
		// Clients that a server told the same time must not all come back when it is over.
		wait := retryAfter(err, time.Now()) + delay(failures, c.config.random)
		failures++
		c.setState(StateWaiting, wait, err)
		if !c.wait(wait) {
			return c.cause()
		}
	}
}

// wait waits for d, or until Now is called, and reports whether to go on.
func (c *Conn) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.wakeUp:
	case <-c.ctx.Done():
		return false
	}
	return true
}

// isOver reports whether Close was called, or the context has ended. Close ends the connection before the context.
func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing != nil || c.ctx.Err() != nil
}

// cause returns why the context has ended: nil for Close.
func (c *Conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return nil
	}
	return fmt.Errorf("client: %w", context.Cause(c.ctx))
}

func (c *Conn) takeAgain() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.again
	c.again = false
	return again
}

func (c *Conn) setState(state State, wait time.Duration, err error) {
	c.mu.Lock()
	c.state = state
	if state == StateConnecting { // as an earlier Now wanted
		select {
		case <-c.wakeUp:
		default:
		}
	}
	c.mu.Unlock()
	c.config.OnState(state, wait, err)
}
