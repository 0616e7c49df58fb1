// Package views holds the pages, their styles and their scripts. They are embedded in the binary and
// served as they are: there is no build step, and nothing comes from elsewhere.
package views

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Files are the scripts, styles and pictures that the pages ask for.
//
//go:embed *.js *.css *.svg
var Files embed.FS

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
