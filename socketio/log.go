package socketio

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
)

// log returns the Server's logger with the socket's attributes.
func (s *Socket) log() *slog.Logger {
	return s.namespace.server.log.With("id", s.conn.session.LogID(), "socket", s.id, "namespace", s.namespace.name)
}

// debug logs a line at level debug.
func (s *Socket) debug(line string, key string, value any) {
	if s.namespace.server.log.Enabled(context.Background(), slog.LevelDebug) { // With allocates
		s.log().Debug(line, key, value)
	}
}

// hasLeft reports whether a callback failed only because the client has left.
func (s *Socket) hasLeft(err error) bool {
	return !s.Connected() && (errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled))
}

// guard calls an application's function in one of the Server's goroutines. It recovers from a panic and logs it.
func (s *Server) guard(log *slog.Logger, what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("a callback panicked", "callback", what, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
}
