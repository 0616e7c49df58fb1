package web

import (
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
)

// LogRequests logs each request at level debug when it has been answered or upgraded. It needs RequestID before it. The lines
// have the path, which no secret is in, but neither the query, which may hold a ticket, nor headers and bodies.
func LogRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !slog.Default().Enabled(r.Context(), slog.LevelDebug) {
			return next(c)
		}
		since := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err) // now, since the answer has the status; Echo does not answer twice
		}
		slog.Debug("request", "id", c.Response().Header().Get(echo.HeaderXRequestID), "remote", r.RemoteAddr,
			"method", r.Method, "path", r.URL.Path, "status", c.Response().Status, "took", time.Since(since))
		return err
	}
}
