package web

import (
	"crypto/rand"

	"github.com/labstack/echo/v4"
)

// RequestID gives each request an id, which its answer has in X-Request-Id and log lines on it can have. What a client
// sends in that header is not read: nobody else decides what the log says.
func RequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text()[:13]) // 65 random bits
		return next(c)
	}
}
