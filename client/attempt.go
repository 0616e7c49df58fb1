package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"echows/ws"
)

// attempt makes one connection and waits for its end. It returns why the connection ended, or why there was none, and
// how long it was open.
func (c *Conn) attempt() (open time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.config.Timeout)
	defer cancel()
	url, header, err := c.target(ctx)
	if err != nil {
		return 0, fmt.Errorf("client: %w", err)
	}
	cfg := c.config.Dial
	cfg.Header = merged(cfg.Header, header)
	var opened time.Time
	ended := make(chan *ws.CloseError, 1)
	s, err := ws.Dial(ctx, url, cfg, func(s *ws.Socket) error {
		opened = time.Now()
		defer s.OnClose(func(code ws.CloseCode, reason string) { // after those of OnOpen
			c.leave()
			ended <- &ws.CloseError{Code: code, Reason: reason}
		})
		return c.begin(s)
	})
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // without the URL: its query may hold a ticket, and errors end up in logs
		}
		return 0, fmt.Errorf("client: connect: %w", err)
	}
	var why *ws.CloseError
	select {
	case why = <-ended:
	case <-c.ctx.Done():
		s.Close(ws.CloseGoingAway, "") // unless Close has
		why = <-ended
	}
	return time.Since(opened), fmt.Errorf("client: the connection ended: %w", why)
}

// begin is the handler of a new connection.
func (c *Conn) begin(s *ws.Socket) error {
	c.mu.Lock()
	if c.closing != nil { // closed while dialing
		defer c.mu.Unlock()
		return c.closing
	}
	c.socket = s
	c.mu.Unlock()
	s.OnMessage(c.config.OnMessage)
	c.setState(StateOpen, 0, nil)
	return c.config.OnOpen(s)
}

func (c *Conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket = nil
}

// merged returns the fields of both headers. Where both have a field, the second's counts.
func merged(one, two http.Header) http.Header {
	both := one.Clone()
	if both == nil {
		return two.Clone()
	}
	maps.Copy(both, two)
	return both
}
