package web

import (
	"crypto/rand"

	"github.com/labstack/echo/v4"
)

// RequestID sets the header X-Request-Id of each response to a new random id, which log lines about the request can include.
// It ignores that header in requests, so that clients cannot write to the log.
func RequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text()[:13]) // 65 random bits
		return next(c)
	}
}
