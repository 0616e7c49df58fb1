// Package views contains the pages, their styles and their scripts. They are embedded in the binary and
// served unchanged: there is no build step, and nothing is loaded from other sites.
package views

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Files contains the scripts, styles and pictures that the pages request.
//
//go:embed *.js *.css *.svg
var Files embed.FS

// tags are the ETags of the files, by name.
var tags = sync.OnceValue(func() map[string]string {
	tags := map[string]string{}
	entries, err := Files.ReadDir(".")
	for _, entry := range entries {
		var data []byte
		if data, err = Files.ReadFile(entry.Name()); err != nil {
			break
		}
		tags[entry.Name()] = tagOf(data)
	}
	if err != nil { // they are embedded, so this is a mistake in the program
		panic(err)
	}
	return tags
})

// tagOf returns the ETag of a file or a page. It is weak, as the response may be compressed.
func tagOf(data []byte) string { return fmt.Sprintf(`W/"%x"`, sha256.Sum256(data)) }

// kept lets browsers keep an answer, and ask each time whether it has changed, so that they notice a new version of the server
// immediately.
func kept(c echo.Context, tag string) {
	c.Response().Header().Set("ETag", tag)
	c.Response().Header().Set(echo.HeaderCacheControl, "no-cache")
}

// Static serves one of Files, for a route that ends with *.
func Static(c echo.Context) error {
	name := c.Param("*")
	tag, ok := tags()[name]
	if !ok {
		return echo.ErrNotFound
	}
	kept(c, tag)
	http.ServeFileFS(c.Response(), c.Request(), Files, name) // handles If-None-Match
	return nil
}

//go:embed *.html
var pages embed.FS

// Policy is the Content-Security-Policy of every page: nothing inline, nothing from other sites.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// page is the data of a template.
type page struct {
	Name     string // of its template
	Path     string // its address; empty for errors
	Title    string // of the browser's window
	Heading  string // text of the links to it
	Script   string // its script, unless it needs none
	Style    string // a stylesheet besides style.css, or ""
	Lessons  []*page
	Previous *page // the lesson before it, or nil
	Next     *page
	Error    *failure // for error pages only
}

// lessons are the pages, in order.
var lessons = []*page{
	{Name: "index", Path: "/", Title: "echows · your first WebSocket", Heading: "First WebSocket", Script: "/local.js", Style: "/local.css"},
	{Name: "chat", Path: "/chat", Title: "echows · chat", Heading: "Group chat", Script: "/chat.js", Style: "/chat.css"},
	{Name: "rooms", Path: "/rooms", Title: "echows · rooms", Heading: "Events and rooms", Script: "/rooms.js", Style: "/rooms.css"},
}

func init() {
	for i, one := range lessons {
		one.Lessons = lessons
		if one.Name == "chat" {
			continue // it takes the whole window, and has no footer
		}
		if i > 0 {
			one.Previous = lessons[i-1]
		}
		if i+1 < len(lessons) {
			one.Next = lessons[i+1]
		}
	}
}

// Pages are the parsed templates.
type Pages struct{ templates *template.Template }

// New parses the templates. They are embedded, so a mistake in one is a mistake in the program, and panics.
func New() *Pages {
	return &Pages{template.Must(template.ParseFS(pages, "*.html"))}
}

// Show answers with the page of a lesson: index, chat or rooms. It panics for any other name. The page is the same for
// everybody, so it may be compressed.
func (p *Pages) Show(name string) echo.HandlerFunc {
	i := slices.IndexFunc(lessons, func(one *page) bool { return one.Name == name })
	data, err := p.execute(lessons[i])
	if err != nil {
		panic(err)
	}
	tag := tagOf(data)
	return func(c echo.Context) error {
		kept(c, tag)
		c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(data)) // handles If-None-Match
		return nil
	}
}

func (p *Pages) execute(about *page) ([]byte, error) {
	var made bytes.Buffer
	if err := p.templates.ExecuteTemplate(&made, about.Name+".html", about); err != nil {
		return nil, fmt.Errorf("page %s: %w", about.Name, err)
	}
	return made.Bytes(), nil
}
