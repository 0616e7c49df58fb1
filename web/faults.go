package web

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// Recover answers 500 if the handler panics, and logs the panic with its stack.
func Recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler: // net/http recovers it and closes the connection
				panic(p)
			default:
				slog.Error("a handler panicked", append(about(c), "panic", p, "stack", string(debug.Stack()))...)
				err = echo.ErrInternalServerError
			}
		}()
		return next(c)
	}
}

// LogErrors wraps answer, and logs the errors of handlers that lead to the status 500 because they have none of their own.
// It does not log an *echo.HTTPError, which has a status and is meant for the client, or errors after the client has left.
func LogErrors(answer echo.HTTPErrorHandler) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		_, meant := err.(*echo.HTTPError) // Echo does not unwrap errors either
		if !meant && !c.Response().Committed && c.Request().Context().Err() == nil {
			slog.Error("a request failed", append(about(c), "error", err)...)
		}
		answer(err, c)
	}
}

// about returns attributes that identify a request in the log. It has the route instead of the URL, whose query may hold a ticket.
func about(c echo.Context) []any {
	r := c.Request()
	return []any{"id", c.Response().Header().Get(echo.HeaderXRequestID), "remote", r.RemoteAddr, "method", r.Method, "route", c.Path()}
}
