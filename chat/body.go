package chat

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

const maxBody = 4 << 10 // bytes of a request's body

// readFields reads a request's body strictly, as a JSON object with these fields and no others, each at most
// once. It returns nil if there is no body. The error is the answer, with an example of what to send.
func (c *Chat) readFields(ctx echo.Context, example string, names ...string) (map[string]any, error) {
	ctx.Request().Body = http.MaxBytesReader(ctx.Response(), ctx.Request().Body, maxBody)
	data, err := io.ReadAll(ctx.Request().Body)
	if long := new(http.MaxBytesError); errors.As(err, &long) {
		c.counts.reached(limitBody)
	}
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "send "+example+": "+err.Error())
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if kind, _, err := mime.ParseMediaType(ctx.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "send JSON, such as "+example+", with Content-Type: application/json")
	}
	if !utf8.Valid(data) { // encoding/json would replace the invalid bytes
		return nil, echo.NewHTTPError(http.StatusBadRequest, "send "+example+", as UTF-8")
	}
	fields, err := decodeFields(data)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "send "+example+": "+err.Error())
	}
	for name := range fields {
		if !slices.Contains(names, name) {
			return nil, echo.NewHTTPError(http.StatusBadRequest, "send "+example+": no other field is allowed")
		}
	}
	return fields, nil
}

// NoStore keeps answers out of caches: they contain sessions, tickets, or messages that not everybody may read.
func NoStore(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		ctx.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		return next(ctx)
	}
}
