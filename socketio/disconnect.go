package socketio

import (
	"slices"

	"echows/socketio/engineio"
)

// The reasons why a socket ends, in addition to those of package engineio.
const (
	clientDisconnect = "client namespace disconnect"
	serverDisconnect = "server namespace disconnect"
)

// lostReasons are the reasons after which a client may come back to its socket.
var lostReasons = []string{
	engineio.TransportClose, engineio.TransportError, engineio.PingTimeout, engineio.ForcedClose, engineio.ShuttingDown,
}

// OnDisconnect adds a function that is called once after the socket has ended, with the reason as in the reference:
// "transport close", "ping timeout", "client namespace disconnect" and so on. Rooms still returns the rooms that the socket
// was in. The function runs in another goroutine, after the OnConnect functions have returned. If the socket has already
// ended, it is called immediately.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.mu.Lock()
	s.listeners.disconnect = append(s.listeners.disconnect, f)
	s.mu.Unlock()
	s.tellEnd()
}

// Disconnect ends the socket and tells the client. The official client does not reconnect by itself. If all is true,
// Disconnect also ends the client's sockets in other namespaces and closes the connection. With a Journal, it waits for up to
// two seconds until the events that this node emitted before were sent.
func (s *Socket) Disconnect(all bool) {
	s.namespace.journal.waitForOwn(noContext)
	s.disconnect(all)
}

func (s *Socket) disconnect(all bool) {
	sockets := []*Socket{s}
	if all {
		sockets = append(sockets, slices.DeleteFunc(s.conn.all(), func(other *Socket) bool { return other == s })...)
	}
	for _, one := range sockets {
		if one.conn.dismiss(one); one.end(serverDisconnect) {
			one.namespace.server.counters.disconnected.Add(1)
			one.conn.session.Offer(disconnectFrame(one.namespace.name))
		}
	}
	if all {
		s.conn.session.Close()
	}
}

// end removes the socket from its namespace, its rooms and its connection, and calls the OnDisconnect functions. It reports
// whether the socket was connected.
func (s *Socket) end(reason string) bool {
	if s.state.Swap(ended) != connected { // if the Use functions are running, add sees the state
		return false
	}
	n := s.namespace
	lost := slices.Contains(lostReasons, reason)
	rooms := n.remove(s, lost)
	if n.journal != nil && !lost {
		n.server.running.Go(s.unsave) // it may wait, and the journal may have called end
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

// refused ends a socket that was never connected. No OnDisconnect function is called.
func (s *Socket) refused() {
	s.state.Store(ended)
	s.stayAway()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked("refused", nil)
}

// settle records that the OnConnect functions have returned.
func (s *Socket) settle() {
	s.mu.Lock()
	s.greeted = true
	s.mu.Unlock()
	s.tellEnd()
}

// tellEnd calls the OnDisconnect functions if the socket has ended and the OnConnect functions have returned.
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
