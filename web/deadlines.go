package web

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"echows/settings"
)

// Bodies limits how long requests' bodies may take to arrive, and counts those that take longer. Its zero value may be used,
// by any goroutine.
type Bodies struct {
	late atomic.Uint64
}

// InTime limits how long a request's body may take to arrive, to settings.BodyTime. http.Server.ReadTimeout would also end
// GETs that wait for an answer.
func (b *Bodies) InTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if r := c.Request(); r.ContentLength != 0 {
			http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(settings.BodyTime)) // if the connection supports deadlines
			// Not r itself: net/http looks at its Body's type when a handler has not read it.
			own := r.WithContext(r.Context())
			own.Body = &timedBody{r.Body, b}
			c.SetRequest(own)
		}
		return next(c)
	}
}

// timedBody is a request's body with a deadline.
type timedBody struct {
	io.ReadCloser
	bodies *Bodies // nil once it is late, since callers may read on
}

func (t *timedBody) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if t.bodies != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		t.bodies.late.Add(1)
		t.bodies = nil
	}
	return n, err
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
