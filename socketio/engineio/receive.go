package engineio

import (
	"errors"

	"echows/ws"
)

var errClientPings = errors.New("the client sends pings")

// receive waits for the packet's turn, handles it, and reports whether to handle more.
func (s *Session) receive(p packet) bool {
	s.waitForTurn(len(p.data))
	if m, ok := p.message(); ok {
		return s.call(m)
	}
	switch p.kind {
	case packetClose:
		s.end(TransportClose, nil)
		return false
	case packetPing:
		s.end(TransportError, errClientPings)
		return false
	}
	return true // a pong already counted as a sign of life, and the other types have no meaning here
}

// call calls onMessage, unless the session has ended, and reports whether to handle more.
func (s *Session) call(m ws.Message) bool {
	s.mu.Lock()
	ended := s.ended
	s.calling = !ended
	s.mu.Unlock()
	if ended {
		return false
	}
	defer s.called()
	if s.onMessage != nil {
		s.guard(func() {
			if err := s.onMessage(m); err != nil {
				s.end(ForcedClose, err)
			}
		})
	}
	return true
}

func (s *Session) called() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calling = false
	if s.awaited {
		s.awaited = false
		s.server.running.Done()
	}
}
