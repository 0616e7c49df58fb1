package ws

// Stuck reports whether bytes wait behind a write that waits for the peer, and 64 KiB more would have to wait to be queued.
func (s *Socket) Stuck() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.writing && s.out.queue != nil && s.out.full(64<<10)
}

// Rests reports whether the socket rests, or is about to.
func (s *Socket) Rests() bool { return s.resting.Load() }

// Tick lets the App's time go on until a socket that waits is asked to rest, or may be.
func Tick(s *Socket) {
	for range restAfter + 1 {
		s.keepAlive(s.app.clock.Add(1))
	}
}
