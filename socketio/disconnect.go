package socketio

import (
	"slices"

	"echows/socketio/engineio"
)

// The reasons for which a socket ends, beside those of engineio.
const (
	clientDisconnect = "client namespace disconnect"
	serverDisconnect = "server namespace disconnect"
)

// lostReasons are those after which a client may come back to its socket.
var lostReasons = []string{
	engineio.TransportClose, engineio.TransportError, engineio.PingTimeout, engineio.ForcedClose, engineio.ShuttingDown,
}

// OnDisconnect adds a function to be called, once, when the socket has ended, with the reason in the words
// of the reference: "transport close", "ping timeout", "client namespace disconnect" and so on. Rooms still tells
// the rooms it was in. It runs in a goroutine of its own, after OnConnect's functions; on a socket that has ended,
// at once.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.mu.Lock()
	s.listeners.disconnect = append(s.listeners.disconnect, f)
	s.mu.Unlock()
	s.tellEnd()
}

// Disconnect ends the socket: the client is told, and does not come back by itself. The connection stays
// for its other namespaces, unless all is set.
func (s *Socket) Disconnect(all bool) {
	sockets := []*Socket{s}
	if all {
		sockets = append(sockets, slices.DeleteFunc(s.conn.all(), func(other *Socket) bool { return other == s })...)
	}
	for _, one := range sockets {
		if one.conn.dismiss(one); one.end(serverDisconnect) {
			one.conn.session.Offer(disconnectFrame(one.namespace.name))
		}
	}
	if all {
		s.conn.session.Close()
	}
}

// end takes the socket out of its namespace, its rooms and its connection, and calls OnDisconnect's functions. It reports
// whether it was in.
func (s *Socket) end(reason string) bool {
	if s.state.Swap(ended) != connected { // where Use judges it, admit finds out
		return false
	}
	n := s.namespace
	lost := slices.Contains(lostReasons, reason)
	rooms, was := n.remove(s, lost)
	if !was { // admit finds out
		return false
	}
	if n.journal != nil && !lost {
		s.unsave()
	}
	s.conn.forget(s)
	s.mu.Lock()
	s.endLocked(reason, rooms)
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()
	for _, answer := range acks {
		answer(nil, ErrClosed)
	}
	n.server.release(n)
	s.debug("socket disconnected", "reason", reason)
	s.tellEnd()
	return true
}

// refused ends a socket that never was in its namespace: nobody is told.
func (s *Socket) refused() {
	s.state.Store(ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked("refused", nil)
}

// settle says that OnConnect's functions are through.
func (s *Socket) settle() {
	s.mu.Lock()
	s.greeted = true
	s.mu.Unlock()
	s.tellEnd()
}

// tellEnd calls OnDisconnect's functions, if it is time.
func (s *Socket) tellEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil || !s.greeted || len(s.listeners.disconnect) == 0 {
		return
	}
	functions, reason := s.listeners.disconnect, s.ending.reason
	s.listeners.disconnect = nil
	s.namespace.server.running.Go(func() {
		for _, f := range functions {
			s.namespace.server.guard(s.log(), "OnDisconnect", func() { f(reason) })
		}
	})
}
