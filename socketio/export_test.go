package socketio

// Kept is how many bytes recovery keeps.
func (s *Server) Kept() int64 { return s.kept.used.Load() }

// Partial is how many bytes of attachments wait for the rest of their packets.
func (s *Server) Partial() int64 { return s.partial.Used() }

// Users are the sockets of a namespace, and those about to be; -1 where there is no such namespace.
func (s *Server) Users(namespace string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.namespaces[namespace]; n != nil {
		return n.users
	}
	return -1
}

// KeptEvents is how many events recovery keeps of a namespace.
func KeptEvents(n *Namespace) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.recovery.events)
}
