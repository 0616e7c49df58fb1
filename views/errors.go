package views

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// failure is the content of an error page.
type failure struct {
	Status     int
	StatusText string // the standard's name for the status
	Message    string // a sentence
	Room       string // the chat room that the reader probably meant, or ""
}

// OnError returns an error handler that shows a page to clients that prefer HTML, as browsers do when people open an
// address. All other clients get the response of otherwise, such as Echo's JSON.
func (p *Pages) OnError(otherwise echo.HTTPErrorHandler) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		r := c.Request()
		if c.Response().Committed {
			return
		}
		c.Response().Header().Add(echo.HeaderVary, echo.HeaderAccept)
		if !wantsPage(strings.Join(r.Header.Values(echo.HeaderAccept), ",")) || p.showError(c, err) != nil {
			otherwise(err, c)
		}
	}
}

func (p *Pages) showError(c echo.Context, why error) error {
	data, err := p.execute(errorPage(why, c.Request().URL.Path))
	if err != nil {
		return err
	}
	return c.HTMLBlob(statusOf(why), data)
}

// wantsPage reports whether a client prefers HTML to JSON, by its Accept header (RFC 9110, section 12.5.1). If it likes both
// equally, the one named first counts. A client that does not name HTML does not get it.
func wantsPage(accept string) bool {
	best, page := 0.0, false
	for part := range strings.SplitSeq(accept, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		html := kind == echo.MIMETextHTML || kind == "application/xhtml+xml"
		if !html && kind != echo.MIMEApplicationJSON {
			continue
		}
		quality := 1.0
		if q, ok := parameters["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil || quality > 1 {
				continue
			}
		}
		if quality > best {
			best, page = quality, html
		}
	}
	return page
}

func statusOf(err error) int {
	if he, ok := asHTTP(err); ok {
		return he.Code
	}
	return http.StatusInternalServerError
}

// asHTTP finds the error that Echo's own handler would answer with. Like that handler, it does not unwrap other errors.
func asHTTP(err error) (*echo.HTTPError, bool) {
	he, ok := err.(*echo.HTTPError)
	if !ok {
		return nil, false
	}
	if inner, ok := he.Internal.(*echo.HTTPError); ok {
		he = inner
	}
	return he, true
}

// errorPage returns the page for an error at a path.
func errorPage(err error, path string) *page {
	status := statusOf(err)
	f := &failure{Status: status, StatusText: http.StatusText(status), Message: explanations[status]}
	if he, ok := asHTTP(err); ok {
		if said := messageOf(he); said != "" && said != f.StatusText {
			f.Message = sentence(said)
		}
	}
	heading, ok := headings[status]
	if !ok {
		heading = "That did not work"
	}
	if rest, ok := strings.CutPrefix(path, "/chat/"); ok && status == http.StatusNotFound {
		if f.Room = goodRoom(rest); f.Room != rest {
			heading = "No room can have this name"
		}
	}
	return &page{Name: "error", Title: "echows · " + heading, Heading: heading, Lessons: lessons, Error: f}
}

// headings say what happened, by status.
var headings = map[int]string{
	http.StatusBadRequest:          "The server cannot read this request",
	http.StatusUnauthorized:        "Sign in first",
	http.StatusForbidden:           "This is not allowed from here",
	http.StatusNotFound:            "There is nothing here",
	http.StatusMethodNotAllowed:    "This address does not accept this method",
	http.StatusUpgradeRequired:     "This address is for WebSockets",
	http.StatusTooManyRequests:     "Too many requests",
	http.StatusInternalServerError: "Something went wrong on the server",
	http.StatusServiceUnavailable:  "Temporarily unavailable",
}

// explanations are for errors without a message of their own.
var explanations = map[int]string{
	http.StatusNotFound:            "There is no page at this address. It may be mistyped, or the link may be old.",
	http.StatusMethodNotAllowed:    "It is for programs; README.md lists the requests it accepts.",
	http.StatusInternalServerError: "The error is in the server's log. Try again; if that does not help, tell the people who run the server.",
}

// messageOf returns an error's message for clients: the message itself, or its field "message" if it would be sent as JSON.
func messageOf(he *echo.HTTPError) string {
	switch said := he.Message.(type) {
	case string:
		return said
	case error:
		return said.Error()
	}
	var fields struct{ Message string }
	if data, err := json.Marshal(he.Message); err != nil || json.Unmarshal(data, &fields) != nil {
		return ""
	}
	return fields.Message
}

// sentence makes s begin with a capital letter and end with a full stop.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// longestRoom is the greatest length of a room's name, in characters.
const longestRoom = 64

// goodRoom returns a valid room name similar to s, s itself if it is valid, or "" if s has no valid characters.
func goodRoom(s string) string {
	if len(s) <= longestRoom && !strings.ContainsFunc(s, func(r rune) bool { return r != '-' && !isPlain(r) }) {
		return s
	}
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !isPlain(r) })
	good := strings.Join(words, "-")
	return strings.TrimRight(good[:min(len(good), longestRoom)], "-")
}

func isPlain(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' }
