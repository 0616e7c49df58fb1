package engineio

import (
	"context"
	"errors"
	"log/slog"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// errLeft means that a session ended because its client left, which is not a mistake.
var errLeft = errors.New("the client left")

// debug logs a line at level debug.
func (s *Session) debug(line string, more ...any) {
	if log := s.server.config.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(line, append([]any{"id", s.LogID(), "remote", s.realIP}, more...)...)
	}
}

// logEnd logs the session's end. Lines about mistakes help the authors of clients; their rate is limited, since a flood must
// not fill the log.
func (s *Session) logEnd(reason string, why error) {
	if why == nil || errors.Is(why, errLeft) {
		s.debug("session ended", "reason", reason)
		return
	}
	if leftOut, ok := s.server.ends.OK(); ok {
		s.server.config.Logger.Info("session ended", append([]any{"id", s.LogID(), "remote", s.realIP, "reason", reason, "error", why}, leftOut...)...)
	}
}

// logRefusal logs refused requests, at most one a second. A request that is merely invalid, for example because its session has
// ended, does not deserve a warning.
func (s *Server) logRefusal(c echo.Context, status int, why string) {
	leftOut, ok := s.refusals.OK()
	if !ok {
		return
	}
	line := []any{"remote", ws.AddressOf(c), "path", c.Request().URL.Path, "status", status, "reason", why}
	if id := c.Response().Header().Get(echo.HeaderXRequestID); id != "" { // set by the application's middleware
		line = append(line, "id", id)
	}
	if origin := c.Request().Header.Get("Origin"); origin != "" {
		line = append(line, "origin", origin)
	}
	level := slog.LevelWarn
	if status == errRequest.status() {
		level = slog.LevelInfo
	}
	s.config.Logger.Log(context.Background(), level, "session refused", append(line, leftOut...)...)
}
