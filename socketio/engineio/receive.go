package engineio

import "errors"

var errClientPings = errors.New("the client sends pings")

// receive waits for the packet's turn, handles it, and reports whether to handle more.
func (s *Session) receive(p packet) bool {
	s.waitForTurn(len(p.data))
	if m, ok := p.message(); ok {
		if s.isEnded() {
			return false
		}
		if s.onMessage == nil {
			return true
		}
		s.guard(func() {
			if err := s.onMessage(m); err != nil {
				s.end(ForcedClose, err)
			}
		})
		return true
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
