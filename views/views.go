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
		tags[entry.Name()] = fmt.Sprintf(`W/"%x"`, sha256.Sum256(data)) // weak, as the response may be compressed
	}
	if err != nil { // they are embedded, so this is a mistake in the program
		panic(err)
	}
	return tags
})

// Static serves one of Files, for a route that ends with *. A browser keeps the file, but asks each time whether it has
// changed, so that it notices a new version of the server immediately.
func Static(c echo.Context) error {
	name := c.Param("*")
	tag, ok := tags()[name]
	if !ok {
		return echo.ErrNotFound
	}
	header := c.Response().Header()
	header.Set("ETag", tag)
	header.Set(echo.HeaderCacheControl, "no-cache")
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

// Show answers with the page of a lesson: index, chat or rooms. It panics for any other name.
func (p *Pages) Show(name string) echo.HandlerFunc {
	i := slices.IndexFunc(lessons, func(one *page) bool { return one.Name == name })
	about := lessons[i]
	return func(c echo.Context) error { return p.show(c, http.StatusOK, about) }
}

func (p *Pages) show(c echo.Context, status int, about *page) error {
	var made bytes.Buffer
	if err := p.templates.ExecuteTemplate(&made, about.Name+".html", about); err != nil {
		return fmt.Errorf("page %s: %w", about.Name, err)
	}
	return c.HTMLBlob(status, made.Bytes())
}
