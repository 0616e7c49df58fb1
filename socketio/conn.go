package socketio

import (
	"cmp"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"echows/socketio/engineio"
	"echows/ws"
)

// conn is one connection with its sockets, at most one of each namespace.
type conn struct {
	server  *Server
	session *engineio.Session
	timeout *time.Timer // until the first namespace is joined

	// Owned by the session's callbacks.
	partial     packet // waits for its attachments
	attachments [][]byte

	mu      sync.Mutex
	ended   string // the reason, once the connection is
	sockets map[string]*Socket
}

var (
	errText         = errors.New("text came where an attachment was to")
	errBinary       = errors.New("an attachment came with no packet before it")
	errNotConnected = errors.New("a packet is for a namespace that is not connected")
	errTwice        = errors.New("a namespace was connected twice")
	errDirection    = errors.New("CONNECT_ERROR is the server's to send")
)

// invalidNamespace is an error in the protocol's own words.
type invalidNamespace struct{}

func (invalidNamespace) Error() string { return "Invalid namespace" }

// accept is called with each new session.
func (s *Server) accept(session *engineio.Session) {
	c := &conn{server: s, session: session, sockets: map[string]*Socket{}}
	c.timeout = time.AfterFunc(s.config.ConnectTimeout, func() {
		c.mu.Lock()
		alone := len(c.sockets) == 0
		c.mu.Unlock()
		if alone {
			session.Close()
		}
	})
	session.OnMessage(c.receive)
	session.OnClose(c.end)
}

// receive takes one message: a packet, or an attachment of the one before. An error ends the connection.
func (c *conn) receive(m ws.Message) error {
	if m.IsText() {
		if c.partial.attachments > 0 {
			return errText
		}
		p, err := decode(m.Data)
		if err != nil {
			return err
		}
		if p.attachments > 0 {
			p.data = append([]byte(nil), p.data...) // what follows comes in messages of its own
			c.partial = p
			return nil
		}
		return c.dispatch(p, nil)
	}
	if c.partial.attachments == 0 {
		return errBinary
	}
	c.attachments = append(c.attachments, append([]byte(nil), m.Data...))
	if len(c.attachments) < c.partial.attachments {
		return nil
	}
	p, attachments := c.partial, c.attachments
	c.partial, c.attachments = packet{}, nil
	if err := checkPlaceholders(p.data, len(attachments)); err != nil {
		return err
	}
	return c.dispatch(p, attachments)
}

// dispatch hands a packet to its socket.
func (c *conn) dispatch(p packet, attachments [][]byte) error {
	c.mu.Lock()
	s := c.sockets[p.namespace]
	c.mu.Unlock()
	switch {
	case p.kind == kindConnectError:
		return errDirection
	case p.kind == kindConnect && s != nil:
		return errTwice
	case p.kind == kindConnect:
		return c.connect(p)
	case s == nil:
		return errNotConnected
	case p.kind == kindDisconnect:
		c.remove(s)
		s.end(clientDisconnect)
		return nil
	case p.kind == kindAck || p.kind == kindBinaryAck:
		return s.acked(p, attachments)
	}
	return s.dispatch(p, attachments)
}

// connect answers a CONNECT: with CONNECT, or CONNECT_ERROR.
func (c *conn) connect(p packet) error {
	n := c.server.use(p.namespace)
	if n == nil {
		return c.refuse(p.namespace, invalidNamespace{})
	}
	s := n.newSocket(c, p.data)
	admitted := false
	defer func() {
		if !admitted { // also when a callback panics
			c.remove(s)
			s.end(cmp.Or(c.endReason(), serverDisconnect))
		}
	}()
	if err := c.admit(s); err != nil {
		return c.refuse(p.namespace, err)
	}
	admitted = true
	return s.open()
}

// admit runs what a new socket has to pass.
func (c *conn) admit(s *Socket) error {
	n := s.namespace
	use, onConnect := n.handlers()
	recovered := n.recovery != nil && n.recovery.restore(s)
	if !recovered {
		for _, f := range use {
			if err := f(s); err != nil {
				return err
			}
		}
	}
	c.mu.Lock()
	if c.ended != "" {
		c.mu.Unlock()
		return errors.New("the connection has ended")
	}
	c.sockets[n.name] = s
	c.timeout.Stop()
	c.mu.Unlock()
	if !recovered {
		n.add(s)
	}
	for _, f := range onConnect {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// endReason is why the connection has ended, or "".
func (c *conn) endReason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// remove takes a socket out, so that its namespace can be connected again.
func (c *conn) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sockets[s.namespace.name] == s {
		delete(c.sockets, s.namespace.name)
	}
}

// refuse answers a CONNECT with the reason why not.
func (c *conn) refuse(namespace string, why error) error {
	answer := struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{Message: why.Error()}
	var r *Refusal
	if errors.As(why, &r) {
		answer.Data = r.Data
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return c.send(packet{kind: kindConnectError, namespace: namespace, data: data})
}

// Refusal is an error of Use or OnConnect with data for the client beside its message.
type Refusal struct {
	Message string
	Data    any
}

func (r *Refusal) Error() string { return r.Message }

// send sends a packet that is the connection's own. That the connection has ended is no error.
func (c *conn) send(p packet) error {
	err := c.session.Send(ws.Message{Opcode: ws.Text, Data: p.encode()})
	if errors.Is(err, engineio.ErrClosed) {
		return nil
	}
	return err
}

// end is called when the connection has ended.
func (c *conn) end(reason string) {
	c.timeout.Stop()
	c.mu.Lock()
	c.ended = reason
	sockets := make([]*Socket, 0, len(c.sockets))
	for _, s := range c.sockets {
		sockets = append(sockets, s)
	}
	clear(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(reason)
	}
}
