package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"echows/settings"
)

// BodyInTime limits how long a request's body may take to arrive, to settings.BodyTime. http.Server.ReadTimeout would also
// end GETs that wait for an answer.
func BodyInTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().ContentLength != 0 {
			http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(settings.BodyTime)) // if the connection supports deadlines
		}
		return next(c)
	}
}

// AnswerInTime limits how long writing an answer may take, counted from its first byte. http.Server.WriteTimeout would count
// from the request, and so also end GETs that wait for an answer. Upgraded connections have their own deadlines: net/http
// resets this one.
func AnswerInTime(most time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() {
				http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(most)) // if the connection supports deadlines
			})
			return next(c)
		}
	}
}
