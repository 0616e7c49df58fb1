package ws

// Stuck reports whether so many bytes wait that sending waits.
func (s *Socket) Stuck() bool { return s.Buffered() >= s.route.config.SendBuffer }

// Rests reports whether the socket waits without a goroutine of its own.
func (s *Socket) Rests() bool { return s.conn.IsParked() }

// Tick lets the App's time go on until a socket that waits is asked to park.
func Tick(s *Socket) {
	for range 4 {
		s.base.engine.Step()
	}
}

// IsClosing reports whether Shutdown has begun.
func (a *App) IsClosing() bool { return a.isClosing() }

// Hold keeps sockets from joining the route until release is called.
func (r *Route) Hold() (release func()) {
	r.mu.Lock()
	return r.mu.Unlock
}
