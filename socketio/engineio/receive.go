package engineio

import "errors"

var errClientPings = errors.New("the client sends pings")

// receive handles one packet, and reports whether more may follow.
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
	return true // a pong was noted as a sign of life, and the other types mean nothing here
}
