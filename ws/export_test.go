package ws

// Stuck reports whether bytes wait behind a write that waits for the peer, and 64 KiB more would have to wait to be queued.
func (s *Socket) Stuck() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.writing && s.out.queue != nil && s.out.full(64<<10)
}
