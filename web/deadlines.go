package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"echows/settings"
)

// BodyInTime bounds how long a request's body may take, by settings.BodyTime. http.Server.ReadTimeout would end a GET
// that waits, too.
func BodyInTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().ContentLength != 0 {
			http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(settings.BodyTime)) // where there is one to set
		}
		return next(c)
	}
}

// AnswerInTime bounds how long writing an answer may take, from its first byte. http.Server.WriteTimeout would count from
// the request, and end a GET that waits, too. What is upgraded has deadlines of its own; net/http takes this one back.
func AnswerInTime(most time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() {
				http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(most)) // where there is one to set
			})
			return next(c)
		}
	}
}
