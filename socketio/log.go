package socketio

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
)

// log returns the Server's log with the attributes of the socket.
func (s *Socket) log() *slog.Logger {
	return s.namespace.server.log.With("id", s.conn.session.LogID(), "socket", s.id, "namespace", s.namespace.name)
}

// debug logs a routine line.
func (s *Socket) debug(line string, key string, value any) {
	if s.namespace.server.log.Enabled(context.Background(), slog.LevelDebug) { // With allocates
		s.log().Debug(line, key, value)
	}
}

// hasLeft reports whether a callback failed only because the client left meanwhile.
func (s *Socket) hasLeft(err error) bool {
	return !s.Connected() && (errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled))
}

// guard calls a function of the application in one of our goroutines. A panic is logged, and ends nothing else.
func (s *Server) guard(log *slog.Logger, what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("a callback panicked", "callback", what, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
}
