package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// A handler's error is logged once, with the request's id and without its secrets. Clients' mistakes are not logged.
func TestFaultsAreLogged(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	for name, c := range map[string]struct {
		handle echo.HandlerFunc
		leave  bool
		status int
		want   string // in the log
	}{
		"an error":              {func(echo.Context) error { return errors.New("the disk is full") }, false, 500, `msg="a request failed"`},
		"a panic":               {func(echo.Context) error { panic("on purpose") }, false, 500, `msg="a handler panicked"`},
		"a panic with an error": {func(echo.Context) error { panic(errors.New("on purpose")) }, false, 500, `panic="on purpose" stack=`},
		"an answer":             {func(echo.Context) error { return echo.ErrNotFound }, false, 404, ""},
		"a wrapped answer":      {func(echo.Context) error { return fmt.Errorf("not here: %w", echo.ErrNotFound) }, false, 500, `msg="a request failed"`},
		"a client that left":    {func(c echo.Context) error { return c.Request().Context().Err() }, true, 500, ""},
		"what comes after the answer": {func(c echo.Context) error {
			c.NoContent(http.StatusNoContent)
			return errors.New("broken pipe")
		}, false, 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			e := echo.New()
			e.Use(RequestID, Recover)
			e.HTTPErrorHandler = LogErrors(e.DefaultHTTPErrorHandler)
			e.GET("/rooms/:room", c.handle)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.leave {
				cancel()
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/rooms/secret?ticket=secret", nil))
			if w.Code != c.status {
				t.Errorf("answered with %d", w.Code)
			}
			lines := strings.Count(log.String(), "\n")
			if c.want == "" && lines != 0 || c.want != "" && lines != 1 || !strings.Contains(log.String(), c.want) {
				t.Errorf("the log has %s", &log)
			}
			id := w.Header().Get("X-Request-Id")
			if lines == 1 && (!strings.Contains(log.String(), "id="+id+" ") || !strings.Contains(log.String(), "route=/rooms/:room") || strings.Contains(log.String(), "secret")) {
				t.Errorf("the line of request %s is %s", id, &log)
			}
		})
	}
}

// net/http closes the connection of a handler that panics with http.ErrAbortHandler.
func TestAHandlerThatAborts(t *testing.T) {
	e := echo.New()
	e.Use(Recover)
	e.GET("/", func(echo.Context) error { panic(http.ErrAbortHandler) })
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("it panics with %v", p)
		}
	}()
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}
