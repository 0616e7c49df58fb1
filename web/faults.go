package web

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// Recover answers a request whose handler panics with 500, and logs the panic with its stack.
func Recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler: // ends the connection, and is net/http's to recover
				panic(p)
			default:
				slog.Error("a handler panicked", append(about(c), "panic", p, "stack", string(debug.Stack()))...)
				err = echo.ErrInternalServerError
			}
		}()
		return next(c)
	}
}

// LogErrors logs the errors of handlers that answer gives no status of their own, and so 500. One that says its status, an
// *echo.HTTPError, was meant for the client, and is not logged. Nor is what failed because the client has left.
func LogErrors(answer echo.HTTPErrorHandler) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		_, meant := err.(*echo.HTTPError) // Echo, too, does not look into errors
		if !meant && !c.Response().Committed && c.Request().Context().Err() == nil {
			slog.Error("a request failed", append(about(c), "error", err)...)
		}
		answer(err, c)
	}
}

// about says which request a line is about: by its id and its route, since its path and query may have secrets.
func about(c echo.Context) []any {
	r := c.Request()
	return []any{"id", c.Response().Header().Get(echo.HeaderXRequestID), "remote", r.RemoteAddr, "method", r.Method, "route", c.Path()}
}
