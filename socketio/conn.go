package socketio

import (
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"echows/internal/share"
	"echows/socketio/engineio"
	"echows/ws"
)

// conn is one connection with its sockets, at most one per namespace.
type conn struct {
	server  *Server
	session *engineio.Session

	// Owned by the session's callbacks.
	asked    bool          // a CONNECT was received
	connects *rate.Limiter // nil until the second CONNECT

	mu        sync.Mutex // taken before a namespace's lock
	ended     bool
	timeout   *time.Timer     // nil once the first namespace is connected
	sockets   []*Socket       // most connections have one
	dismissed map[string]bool // namespaces that the server disconnected; the client may not know yet
	partial   *partial        // nil if no packet waits
}

// partial is a packet that waits for its attachments.
type partial struct {
	packet      packet
	attachments [][]byte
	bytes       int
	late        *time.Timer // closes the connection after partialTime
}

var (
	errText         = errors.New("text arrived where an attachment was expected")
	errBinary       = errors.New("an attachment arrived without a packet before it")
	errTooMuch      = &limitError{limitAttachmentBytes, "a packet's attachments are too long"}
	errFull         = &limitError{limitPartialBytes, "the server holds too many attachments of incomplete packets"}
	errAddressFull  = &limitError{limitAddressPartialBytes, "the server holds too many attachments of incomplete packets from this address"}
	errNotConnected = errors.New("a packet is for a namespace that is not connected")
	errTwice        = errors.New("a namespace was connected twice")
	errDirection    = errors.New("only the server may send CONNECT_ERROR")
)

// accept is called with each new session.
func (s *Server) accept(session *engineio.Session) {
	c := &conn{server: s, session: session}
	c.timeout = time.AfterFunc(s.config.ConnectTimeout, func() {
		c.mu.Lock()
		alone := len(c.sockets) == 0
		c.mu.Unlock()
		if alone {
			s.counters.reached(limitConnectTime)
			session.Close()
		}
	})
	session.OnMessage(c.receive)
	session.OnClose(c.end)
}

// receive handles one message: a packet, or an attachment of the packet before it. An error ends the connection.
func (c *conn) receive(m ws.Message) error {
	err := c.take(m)
	if past := (*limitError)(nil); err != nil && errors.As(err, &past) {
		c.server.counters.reached(past.limit)
	}
	return err
}

func (c *conn) take(m ws.Message) error {
	if !m.IsText() {
		return c.attach(m.Data)
	}
	p, err := decode(m.Data, c.server.config.Limits.Attachments)
	if err != nil {
		return err
	}
	s, whole, err := c.begin(p)
	if !whole {
		return err
	}
	return c.dispatch(s, p, nil)
}

// begin returns the socket that a packet is for, or nil, and whether the packet is complete. A packet with attachments waits
// for them.
func (c *conn) begin(p packet) (s *Socket, whole bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.socketLocked(p.namespace)
	switch {
	case c.partial != nil:
		return nil, false, errText
	case p.attachments == 0:
		return s, true, nil
	case c.ended:
		return nil, false, nil
	case s == nil && !c.dismissed[p.namespace]: // do not buffer for a client without a socket
		return nil, false, errNotConnected
	}
	p.data = append([]byte(nil), p.data...) // the attachments come in later messages
	c.partial = &partial{packet: p}
	if err := c.holdLocked(len(p.data)); err != nil {
		c.partial = nil
		return nil, false, err
	}
	c.partial.late = time.AfterFunc(partialTime, func() {
		c.server.counters.reached(limitPartialTime)
		c.session.Close()
	})
	return nil, false, nil
}

// attach adds an attachment to the waiting packet, and dispatches the packet after the last one.
func (c *conn) attach(data []byte) error {
	p, attachments, err := c.attached(data)
	if err != nil || attachments == nil {
		return err
	}
	if err := checkPlaceholders(p.data, len(attachments)); err != nil {
		return err
	}
	return c.dispatch(c.socket(p.namespace), p, attachments)
}

func (c *conn) attached(data []byte) (p packet, whole [][]byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.partial
	switch {
	case c.ended:
		return p, nil, nil
	case waits == nil:
		return p, nil, errBinary
	case waits.bytes+len(data) > c.server.config.Limits.AttachmentBytes+len(waits.packet.data):
		return p, nil, errTooMuch
	}
	if err := c.holdLocked(len(data)); err != nil {
		return p, nil, err
	}
	waits.attachments = append(waits.attachments, append([]byte(nil), data...))
	if len(waits.attachments) < waits.packet.attachments {
		return p, nil, nil
	}
	p, whole = waits.packet, waits.attachments
	c.letGoLocked()
	return p, whole, nil
}

// holdLocked counts n more bytes of the waiting packet. It fails if all connections, or those of its address, hold too many.
func (c *conn) holdLocked(n int) error {
	before := c.partial.counted()
	c.partial.bytes += n
	more := c.partial.counted() - before
	if more == 0 {
		return nil
	}
	switch c.server.partial.Try(c.session.Address(), more) {
	case share.All:
		c.partial.bytes -= n
		return errFull
	case share.Address:
		c.partial.bytes -= n
		return errAddressFull
	}
	return nil
}

// counted returns how many bytes of the packet count toward Limits.PartialBytes.
func (p *partial) counted() int { return max(p.bytes-partialFree, 0) }

// letGoLocked forgets the waiting packet.
func (c *conn) letGoLocked() {
	if c.partial == nil {
		return
	}
	c.partial.late.Stop()
	c.server.partial.Add(c.session.Address(), -c.partial.counted())
	c.partial = nil
}

// dispatch passes a packet to its socket. A CONNECT creates the socket.
func (c *conn) dispatch(s *Socket, p packet, attachments [][]byte) error {
	switch {
	case p.kind == kindConnectError:
		return errDirection
	case p.kind == kindConnect && s != nil:
		return errTwice
	case p.kind == kindConnect:
		return c.connect(p)
	case s == nil && c.isDismissed(p.namespace):
		return nil
	case s == nil:
		return errNotConnected
	case p.kind == kindDisconnect:
		s.end(clientDisconnect)
		return nil
	case p.kind == kindAck || p.kind == kindBinaryAck:
		return s.acked(p, attachments)
	}
	return s.dispatch(p, attachments)
}

// socket returns the connection's socket in a namespace, or nil.
func (c *conn) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socketLocked(namespace)
}

func (c *conn) socketLocked(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.namespace.name == namespace {
			return s
		}
	}
	return nil
}

// addLocked adds s to the connection's sockets.
func (c *conn) addLocked(s *Socket) {
	c.sockets = append(c.sockets, s)
	delete(c.dismissed, s.namespace.name)
	c.stopTimeoutLocked()
}

func (c *conn) stopTimeoutLocked() {
	if c.timeout != nil {
		c.timeout.Stop()
		c.timeout = nil
	}
}

// dismiss records that the server disconnects a socket. The client may still send packets to it for a while.
func (c *conn) dismiss(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.sockets, s) {
		return
	}
	if c.dismissed == nil || len(c.dismissed) >= c.server.config.Limits.Namespaces {
		c.dismissed = map[string]bool{}
	}
	c.dismissed[s.namespace.name] = true
}

func (c *conn) isDismissed(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dismissed[namespace]
}

// forget removes a socket, so that the client can connect to its namespace again.
func (c *conn) forget(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(other *Socket) bool { return other == s })
}

func (c *conn) all() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

// send sends a packet that belongs to no socket. It returns nil if the connection has ended.
func (c *conn) send(p packet) error {
	err := c.session.Send(ws.Message{Opcode: ws.Text, Data: p.encode()})
	if errors.Is(err, engineio.ErrClosed) {
		return nil
	}
	return err
}

// end is called when the connection has ended. No socket is added afterwards.
func (c *conn) end(reason string) {
	c.mu.Lock()
	c.ended = true
	c.stopTimeoutLocked()
	c.letGoLocked()
	c.mu.Unlock()
	for _, s := range c.all() {
		s.end(reason)
	}
}
