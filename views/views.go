// Package views holds the pages, their styles and their scripts. They are embedded in the binary and
// served as they are: there is no build step, and nothing comes from elsewhere.
package views

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

// Files are the scripts, styles and pictures that the pages ask for.
//
//go:embed *.js *.css *.svg
var Files embed.FS

// tags are the files' ETags, by name.
var tags = sync.OnceValue(func() map[string]string {
	tags := map[string]string{}
	entries, err := Files.ReadDir(".")
	for _, entry := range entries {
		var data []byte
		if data, err = Files.ReadFile(entry.Name()); err != nil {
			break
		}
		tags[entry.Name()] = fmt.Sprintf(`W/"%x"`, sha256.Sum256(data)) // weak: what is sent may be compressed
	}
	if err != nil { // they are embedded, so this is a mistake in the program
		panic(err)
	}
	return tags
})

// Static answers with one of Files, for a route that ends with *. A browser keeps it, and asks each time whether it has
// changed: a new version of the server is noticed at once.
func Static(c echo.Context) error {
	name := c.Param("*")
	tag, ok := tags()[name]
	if !ok {
		return echo.ErrNotFound
	}
	header := c.Response().Header()
	header.Set("ETag", tag)
	header.Set(echo.HeaderCacheControl, "no-cache")
	http.ServeFileFS(c.Response(), c.Request(), Files, name) // which knows If-None-Match
	return nil
}

//go:embed *.html
var pages embed.FS

// Policy is the Content-Security-Policy of every page: nothing inline, nothing from elsewhere.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Pages are the parsed templates.
type Pages struct{ templates *template.Template }

// New parses the templates. They are embedded, so a mistake in one is a mistake in the program, and panics.
func New() *Pages {
	return &Pages{template.Must(template.ParseFS(pages, "*.html"))}
}

// Show answers with the page of that name.
func (p *Pages) Show(name string) echo.HandlerFunc {
	return func(c echo.Context) error {
		var page bytes.Buffer
		if err := p.templates.ExecuteTemplate(&page, name+".html", nil); err != nil {
			return fmt.Errorf("page %s: %w", name, err)
		}
		return c.HTMLBlob(http.StatusOK, page.Bytes())
	}
}
