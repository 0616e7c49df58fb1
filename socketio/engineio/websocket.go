package engineio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// noContext is that of a request which is over.
var noContext = context.Background()

// noopWait is how long a GET may wait while an upgrade is under way: the client ends its polling with
// an answer, and has to get one.
const noopWait = 100 * time.Millisecond

// serveSocket is the route's handler: a new session, or an upgrade of one that polls.
func (s *Server) serveSocket(socket *ws.Socket, c echo.Context) error {
	if session, _ := c.Get(sessionKey).(*Session); session != nil {
		session.upgrade(socket)
		return nil
	}
	session, err := s.newSession(keep(socket.Request()), socket)
	if err != nil {
		return &ws.CloseError{Code: ws.CloseTryAgainLater, Reason: "no more sessions at the moment"}
	}
	session.serve(socket)
	return nil
}

// serve makes a socket the session's own.
func (s *Session) serve(socket *ws.Socket) {
	socket.OnMessage(s.receiveMessage)
	socket.OnClose(func(code ws.CloseCode, _ string) {
		reason := TransportClose
		switch code {
		case ws.CloseProtocolError, ws.CloseInvalidPayload, ws.CloseTooBig, ws.CloseTryAgainLater:
			reason = TransportError
		}
		s.end(reason, nil)
	})
	if s.isEnded() { // meanwhile
		socket.Close(ws.CloseNormal, "")
	}
}

func (s *Session) receiveMessage(m ws.Message) error {
	if len(m.Data) > s.server.config.MaxPayload {
		return &ws.CloseError{Code: ws.CloseTooBig, Reason: fmt.Sprintf("a message has at most %d bytes", s.server.config.MaxPayload)}
	}
	p, err := fromWire(m)
	if err != nil {
		s.end(ParseError, err)
		return nil
	}
	s.dispatching.Lock()
	defer s.dispatching.Unlock()
	s.receive(p)
	return nil
}

// upgrade probes a socket, and goes over to it when the client says so. Until then the session polls, and
// whatever goes wrong with the socket ends the socket alone.
func (s *Session) upgrade(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.transport != polling || s.probe != nil {
		socket.Close(ws.CloseNormal, "")
		return
	}
	s.probe = socket
	probed := false
	late := time.AfterFunc(s.server.config.UpgradeTimeout, func() { s.giveUp(socket) })
	socket.OnClose(func(ws.CloseCode, string) {
		late.Stop()
		s.giveUp(socket)
	})
	socket.OnMessage(func(m ws.Message) error {
		switch {
		case !probed && m.IsText() && string(m.Data) == "2probe":
			probed = true
			time.AfterFunc(noopWait, func() { s.noop(socket) })
			return socket.SendText("3probe")
		case probed && m.IsText() && len(m.Data) == 1 && m.Data[0] == packetUpgrade:
			late.Stop()
			return s.goOver(socket)
		}
		s.giveUp(socket)
		return nil
	})
}

// giveUp ends an upgrade that was not decided.
func (s *Session) giveUp(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe == socket {
		s.probe = nil
		socket.Close(ws.CloseNormal, "")
	}
}

// noop answers a GET that waits, again and again while the socket is being probed.
func (s *Session) noop(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe != socket {
		return
	}
	if s.pending != nil {
		s.queue = append(s.queue, packet{kind: packetNoop})
		s.answerLocked()
	}
	time.AfterFunc(noopWait, func() { s.noop(socket) })
}

// goOver makes the socket the transport. What waited to be polled goes out first; what is sent meanwhile
// waits behind it.
func (s *Session) goOver(socket *ws.Socket) error {
	s.mu.Lock()
	if s.probe != socket {
		s.mu.Unlock()
		return errors.New("the upgrade was given up")
	}
	s.probe, s.socket, s.transport = nil, socket, flushing
	if s.pending != nil { // the client ended its polling before, or breaks the protocol
		s.pending.answer <- answer{bad: true}
		s.pending = nil
	}
	for len(s.queue) > 0 && !s.ended {
		var messages []ws.Message
		for _, p := range s.queue {
			messages = append(messages, p.wire())
		}
		s.queue, s.queued = nil, 0
		s.mu.Unlock()
		f, err := ws.Prepare(messages...)
		if err == nil {
			err = socket.SendPrepared(f)
		}
		s.mu.Lock()
		if err != nil {
			break // the socket's end ends the session
		}
	}
	if !s.ended {
		s.transport = websocket
	}
	s.mu.Unlock()
	s.serve(socket)
	return nil
}

// wire is the packet as a message of a WebSocket.
func (p packet) wire() ws.Message {
	if p.kind == packetBinary {
		return ws.Message{Opcode: ws.Binary, Data: p.data}
	}
	return ws.Message{Opcode: ws.Text, Data: appendPacket(nil, p)}
}
