package views

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/internal/programtest"
)

// The Accept headers that browsers send when people open an address: Chromium, Firefox and Safari.
const fromABrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestErrorPages(t *testing.T) {
	e := echo.New()
	e.HTTPErrorHandler = New().OnError(e.DefaultHTTPErrorHandler)
	e.GET("/chat/:room", func(c echo.Context) error {
		return echo.NewHTTPError(http.StatusNotFound, "a room's name has 1 to 64 characters: a–z, 0–9, - and _")
	})
	e.GET("/code", func(c echo.Context) error {
		return echo.NewHTTPError(http.StatusTooManyRequests, map[string]string{"code": "rate_limited", "message": "too <fast>"})
	})
	e.GET("/broken", func(c echo.Context) error { return errors.New("the secret is 12345") })
	e.GET("/inner", func(c echo.Context) error {
		return echo.NewHTTPError(http.StatusBadRequest, "outer").SetInternal(echo.NewHTTPError(http.StatusForbidden, "inner"))
	})
	e.GET("/late", func(c echo.Context) error {
		c.String(http.StatusOK, "said already")
		return echo.ErrNotFound
	})
	server := httptest.NewServer(e)
	defer server.Close()
	ask := func(method, path, accept string) (*http.Response, string) {
		t.Helper()
		header := http.Header{}
		if accept != "" {
			header.Set("Accept", accept)
		}
		return programtest.Request(t, method, server.URL+path, header)
	}
	for _, c := range []struct {
		method, path string
		status       int
		says         []string
		json         string // for scripts
	}{
		{"GET", "/nothing", 404, []string{"There is nothing here", "There is no page at this address", `href="/chat"`}, `{"message":"Not Found"}`},
		{"GET", "/chat/Bad%20Room", 404, []string{"No room can have this name", "A room&#39;s name has 1 to 64", `href="/chat/bad-room"`}, `{"message":"a room's name has 1 to 64 characters: a–z, 0–9, - and _"}`},
		{"GET", "/chat/%3Cb%3E", 404, []string{"No room can have this name", `href="/chat/b"`}, `{"message":"a room's name`},
		{"GET", "/chat/%C3%A9", 404, []string{"No room can have this name", `class="button" href="/"`}, `{"message":"a room's name`},
		{"GET", "/chat/kitchen/sink", 404, []string{"No room can have this name", `href="/chat/kitchen-sink"`}, `{"message":"a room's name`},
		{"DELETE", "/chat/kitchen", 405, []string{"does not accept this method"}, `{"message":"Method Not Allowed"}`},
		{"POST", "/code", 405, []string{"does not accept this method"}, `{"message":"Method Not Allowed"}`},
		{"GET", "/code", 429, []string{"Too many requests", "Too &lt;fast&gt;."}, `"code":"rate_limited"`},
		{"GET", "/broken", 500, []string{"Something went wrong on the server", "log"}, `{"message":"Internal Server Error"}`},
		{"GET", "/inner", 403, []string{"not allowed from here", "Inner."}, `{"message":"inner"}`},
	} {
		res, body := ask(c.method, c.path, fromABrowser)
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != "text/html; charset=UTF-8" || res.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: %s, %v", c.path, res.Status, res.Header)
		}
		for _, part := range append(c.says, "<!doctype html>", `<nav class="lessons"`, "</html>") {
			if !strings.Contains(body, part) {
				t.Errorf("%s does not say %q: %s", c.path, part, body)
			}
		}
		if strings.Contains(body, "12345") || strings.Contains(body, "<script") || strings.Contains(body, "aria-current") {
			t.Errorf("%s: %s", c.path, body)
		}
		for _, accept := range []string{"", "*/*", "application/json", "application/json, text/html"} {
			res, body := ask(c.method, c.path, accept)
			if res.StatusCode != c.status || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Vary") != "Accept" || !strings.Contains(body, c.json) {
				t.Errorf("%s for %q: %s, %v: %s", c.path, accept, res.Status, res.Header, body)
			}
		}
	}
	if res, body := ask("HEAD", "/nothing", fromABrowser); res.StatusCode != 404 || body != "" {
		t.Errorf("HEAD: %s %q", res.Status, body)
	}
	if res, body := ask("GET", "/late", fromABrowser); res.StatusCode != 200 || body != "said already" {
		t.Errorf("an answer that has begun goes on with %s %q", res.Status, body)
	}
}

func FuzzWantsPage(f *testing.F) {
	for _, c := range []struct {
		accept string
		want   bool
	}{
		{fromABrowser, true},
		{"text/html", true},
		{"TEXT/HTML; charset=utf-8", true},
		{"application/xhtml+xml", true},
		{"text/html;q=0.9, application/json", false},
		{"text/html, application/json;q=0.9", true},
		{"application/json, text/html", false},
		{"text/html, application/json", true},
		{"application/json;q=0, text/html;q=0.1", true},
		{"text/html;q=0", false},
		{"text/html;q=2", false},
		{"text/html;q=-1", false},
		{"text/html;q=NaN", false},
		{"text/html;q=x, application/json", false},
		{"", false},
		{"*/*", false},
		{"text/*", false},
		{";;,,=", false},
	} {
		if got := wantsPage(c.accept); got != c.want {
			f.Errorf("wantsPage(%q) = %t", c.accept, got)
		}
		f.Add(c.accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if wantsPage(accept) && !strings.Contains(strings.ToLower(accept), "html") {
			t.Errorf("a page for %q", accept)
		}
	})
}

func FuzzGoodRoom(f *testing.F) {
	for s, want := range map[string]string{
		"":                             "",
		"Bad Room":                     "bad-room",
		"  -- a  ":                     "a",
		"-a--b":                        "-a--b",
		"a-b_c":                        "a-b_c",
		"é":                            "",
		"Küche 2":                      "k-che-2",
		strings.Repeat("a", 63) + " b": strings.Repeat("a", 63),
		strings.Repeat("a", 70):        strings.Repeat("a", 64),
	} {
		if got := goodRoom(s); got != want {
			f.Errorf("goodRoom(%q) = %q", s, got)
		}
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		good := goodRoom(s)
		if good != "" && (!broker.ValidTopic(good) || goodRoom(good) != good) {
			t.Errorf("goodRoom(%q) = %q", s, good)
		}
	})
}
