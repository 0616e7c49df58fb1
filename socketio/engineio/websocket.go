package engineio

import (
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// noopWait is how long a GET may wait during an upgrade: the client stops polling only after an answer, and so needs one.
const noopWait = 100 * time.Millisecond

var errGivenUp = errors.New("the upgrade was abandoned")

// serveSocket is the handler of the WebSocket route. A socket begins a new session, or upgrades a session that polls.
func (s *Server) serveSocket(socket *ws.Socket, c echo.Context) error {
	if session, _ := c.Get(sessionKey).(*Session); session != nil {
		session.upgrade(socket)
		return nil
	}
	session := &Session{realIP: socket.RealIP(), transport: websocket, socket: socket}
	if err := s.begin(session, ws.AddressOf(c)); err != nil {
		s.refuseWith(c, err)
		return &ws.CloseError{Code: ws.CloseTryAgainLater, Reason: "no more sessions at the moment"}
	}
	session.serve(socket)
	return nil
}

// serve makes a socket the session's transport.
func (s *Session) serve(socket *ws.Socket) {
	socket.OnMessage(s.receiveMessage)
	socket.OnClose(func(code ws.CloseCode, _ string) { s.socketClosed(code) })
	if reason, ended := s.endReason(); ended { // before the callbacks were set
		socket.Close(closeCode(reason), reason)
	}
}

// socketClosed ends the session after its socket was closed.
func (s *Session) socketClosed(code ws.CloseCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch code {
	case ws.CloseTryAgainLater:
		s.endSlowLocked(nil)
	case ws.CloseProtocolError, ws.CloseInvalidPayload, ws.CloseTooBig:
		s.endLocked(TransportError, nil)
	default:
		s.endLocked(TransportClose, nil)
	}
}

func (s *Session) receiveMessage(m ws.Message) error {
	if len(m.Data) > s.server.config.MaxPayload {
		s.server.counters.tooLong.Add(1)
		return &ws.CloseError{Code: ws.CloseTooBig, Reason: fmt.Sprintf("a message has at most %d bytes", s.server.config.MaxPayload)}
	}
	p, err := fromWire(m)
	if err != nil {
		s.end(ParseError, err)
		return nil
	}
	s.receive(p)
	return nil
}

// upgrade probes a socket, and makes it the transport when the client asks for it. Until then, the session keeps polling, and
// an error on the socket ends only the socket.
func (s *Session) upgrade(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.transport != polling || s.probe != nil {
		socket.Close(ws.CloseNormal, "")
		return
	}
	s.probe = socket
	probed := false
	late := time.AfterFunc(s.server.config.UpgradeTimeout, func() {
		s.server.counters.lateUpgrades.Add(1)
		s.giveUp(socket)
	})
	socket.OnClose(func(ws.CloseCode, string) {
		late.Stop()
		s.giveUp(socket)
	})
	socket.OnMessage(func(m ws.Message) error {
		s.hear()
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

// giveUp ends an upgrade that is not complete.
func (s *Session) giveUp(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe == socket {
		s.probe = nil
		socket.Close(ws.CloseNormal, "")
	}
}

// noop answers a waiting GET and a POST that is being handled, and schedules itself again, while the socket is being probed:
// the client does not complete the upgrade before it has both answers.
func (s *Session) noop(socket *ws.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe != socket {
		return
	}
	if s.pending != nil {
		s.sendPacketLocked(packet{kind: packetNoop})
	}
	s.answerPostLocked()
	time.AfterFunc(noopWait, func() { s.noop(socket) })
}

// goOver makes the socket the transport. It sends the queue first; messages sent in the meantime wait behind it. Packets
// from POSTs are handled before anything else is read from the socket.
func (s *Session) goOver(socket *ws.Socket) error {
	s.mu.Lock()
	if s.probe != socket {
		s.mu.Unlock()
		return errGivenUp
	}
	if s.ended {
		s.probe = nil
		packets, held := s.takeLastLocked()
		s.dropLocked()
		s.mu.Unlock()
		return s.sayLast(socket, packets, held)
	}
	s.server.counters.upgraded.Add(1)
	s.server.counters.polling.Add(-1)
	s.probe, s.socket, s.transport = nil, socket, flushing
	if s.pending != nil { // a client that follows the protocol has stopped polling
		s.pending.answer <- answer{bad: true}
		s.pending = nil
	}
	s.flushLocked()
	if s.ended {
		s.dropLocked()
	} else {
		s.transport = websocket
	}
	s.wakeLocked()
	handled := s.handled
	s.mu.Unlock()
	s.dismiss()
	s.debug("session upgraded to a WebSocket", "websocket", socket.ID())
	s.serve(socket)
	if handled != nil {
		<-handled // callbacks may already send on the socket
	}
	return nil
}

// sayLast sends the last messages of a session that ended during its upgrade, and closes the socket.
func (s *Session) sayLast(socket *ws.Socket, packets []packet, held holding) error {
	defer held.release()
	for _, p := range packets {
		if _, is := p.message(); is {
			if err := socket.Send(p.wire()); err != nil {
				return err
			}
		}
	}
	socket.Close(closeCode(s.reason), s.reason)
	return nil
}

// flushLocked sends the queue, including packets queued in the meantime. It unlocks mu while it sends. It terminates because
// senders that wait for room keep waiting.
func (s *Session) flushLocked() {
	for len(s.queue) > 0 && (!s.ended || s.reason == ForcedClose) {
		var messages []ws.Message
		packets, held := s.takeLocked()
		for _, p := range packets {
			messages = append(messages, p.wire())
		}
		s.mu.Unlock()
		f, err := ws.Prepare(messages...)
		if err == nil {
			err = s.socket.SendPrepared(f)
		}
		held.release()
		s.mu.Lock()
		if err != nil {
			return // the socket's end ends the session
		}
	}
}
