package web

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// Each request has a line at level debug, with its status and its id, but not with what may be secret.
func TestRequestsAreLogged(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	for name, c := range map[string]struct {
		handle echo.HandlerFunc
		level  slog.Level
		want   string // in the log
	}{
		"an answer":     {func(c echo.Context) error { return c.NoContent(204) }, slog.LevelDebug, " method=POST path=/rooms/lobby status=204 took="},
		"a refusal":     {func(echo.Context) error { return echo.NewHTTPError(415, "secret") }, slog.LevelDebug, " method=POST path=/rooms/lobby status=415 took="},
		"an error":      {func(echo.Context) error { return errors.New("the disk is full") }, slog.LevelDebug, " method=POST path=/rooms/lobby status=500 took="},
		"no debug line": {func(echo.Context) error { return echo.ErrNotFound }, slog.LevelInfo, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: c.level})))
			e := echo.New()
			e.Use(RequestID, LogRequests)
			answers := 0
			e.HTTPErrorHandler = func(err error, c echo.Context) {
				if !c.Response().Committed {
					answers++
				}
				e.DefaultHTTPErrorHandler(err, c)
			}
			e.POST("/rooms/:room", c.handle)
			r := httptest.NewRequest("POST", "/rooms/lobby?ticket=secret", strings.NewReader("secret"))
			r.Header.Set("Authorization", "Bearer secret")
			r.Header.Set("Cookie", "echows_session=secret")
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			line := "msg=request id=" + w.Header().Get("X-Request-Id") + " remote=192.0.2.1:1234" + c.want
			if c.want != "" && strings.Count(log.String(), line) != 1 || c.want == "" && log.Len() != 0 || strings.Contains(log.String(), "secret") {
				t.Errorf("the log has %s", &log)
			}
			if answers > 1 {
				t.Errorf("%d answers", answers)
			}
		})
	}
}
