package socketio

import "time"

// Kept returns how many bytes recovery keeps.
func (s *Server) Kept() int64 { return s.kept.used.Load() }

// Users returns the number of sockets of a namespace, including those not yet connected, or -1 without such a namespace.
func (s *Server) Users(namespace string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.namespaces[namespace]; n != nil {
		return n.users
	}
	return -1
}

// KeptEvents returns how many events recovery keeps for a namespace.
func KeptEvents(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.recovery.events)
}

// Held returns how many events wait for earlier ones.
func Held(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.journal.held.events)
}

// HeldBytes returns how many bytes of events wait in all namespaces.
func HeldBytes(s *Server) int64 { return s.held.Load() }

// Pending returns how many entries of this node were not delivered yet.
func Pending(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.journal.pending)
}

// SetHoldTime replaces holdTime, before any event.
func SetHoldTime(s *Server, d time.Duration) { s.holdTime = d }

// Expire does what a timer does while entries are on their way.
func Expire(n *Namespace) { n.journal.expire() }

// Expiring reports whether a timer is to call expire.
func Expiring(n *Namespace) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.journal.expiry != nil
}

// InOrder returns how many kept sockets, and sockets that were kept, recovery has in its list.
func InOrder(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.recovery.order)
}

// Waiters returns how many Join, Leave and their like wait for earlier events.
func Waiters(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.journal.waiters)
}

// Ended reports whether Shutdown has stopped the namespaces.
func Ended(s *Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
