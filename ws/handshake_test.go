package ws_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"echows/ws"
)

// ask sends a raw request and returns the answer, its body read.
func ask(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, request)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestAnswersBeforeTheUpgrade(t *testing.T) {
	_, addr := serve(t, ws.Config{Origins: []string{"https://friend.example", "http://port.example:8080"}}, echoRoute)
	change := func(old, new string) string { return strings.Replace(request("/echo"), old, new, 1) }
	for _, c := range []struct {
		name    string
		request string
		status  int
		header  string // "Name: value" that the answer has
	}{
		{"a plain GET", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 426, "Upgrade: websocket"},
		{"no Connection", change("Connection: Upgrade\r\n", ""), 426, "Upgrade: websocket"},
		{"another protocol", change("Upgrade: websocket", "Upgrade: h2c"), 426, "Upgrade: websocket"},
		{"HTTP/1.0", change("HTTP/1.1", "HTTP/1.0"), 426, "Upgrade: websocket"},
		{"version 8", change("Version: 13", "Version: 8"), 426, "Sec-Websocket-Version: 13"},
		{"no version", change("Sec-WebSocket-Version: 13\r\n", ""), 426, "Sec-Websocket-Version: 13"},
		{"no key", change("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, ""},
		{"a key of 15 bytes", change("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400, ""},
		{"a key that is not base64", change("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25!ZQ=="), 400, ""},
		{"two keys", request("/echo", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, ""},
		{"a body", request("/echo", "Content-Length: 3") + "abc", 400, ""},
		{"POST", change("GET", "POST"), 405, "Allow: OPTIONS, GET"},
		{"a foreign origin", request("/echo", "Origin: https://foe.example"), 403, ""},
		{"a friend by another scheme", request("/echo", "Origin: http://friend.example"), 403, ""},
		{"a friend by another port", request("/echo", "Origin: https://friend.example:8443"), 403, ""},
		{"a host that only begins alike", request("/echo", "Origin: http://example.com.foe.example"), 403, ""},
		{"origin null", request("/echo", "Origin: null"), 403, ""},
		{"two origins", request("/echo", "Origin: http://example.com", "Origin: https://foe.example"), 403, ""},
		{"another path", change("/echo", "/nowhere"), 404, ""},

		{"no origin", request("/echo"), 101, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"the path with a slash", request("/echo/"), 101, ""},
		{"the same host", request("/echo", "Origin: http://example.com"), 101, ""},
		{"the same host behind TLS", request("/echo", "Origin: https://EXAMPLE.com"), 101, ""},
		{"the default port said", strings.Replace(request("/echo", "Origin: http://example.com"), "Host: example.com", "Host: example.com:80", 1), 101, ""},
		{"a friend", request("/echo", "Origin: https://friend.example"), 101, ""},
		{"a friend with a port", request("/echo", "Origin: http://port.example:8080"), 101, ""},
		{"tokens among others", change("Connection: Upgrade", "Connection: keep-alive, upgrade"), 101, ""},
		{"two Connection lines", change("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"), 101, ""},
		{"upper case", change("Upgrade: websocket", "Upgrade: WebSocket"), 101, ""},
		{"extensions offered, none taken", request("/echo", "Sec-WebSocket-Extensions: permessage-deflate"), 101, "Sec-Websocket-Extensions: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := ask(t, addr, c.request)
			if res.StatusCode != c.status {
				t.Fatalf("got %s %s, want %d", res.Status, body, c.status)
			}
			if name, value, ok := strings.Cut(c.header, ": "); ok && res.Header.Get(name) != value {
				t.Errorf("got %s: %q, want %q", name, res.Header.Get(name), value)
			}
			var answer struct{ Message string }
			if c.status >= 400 && (json.Unmarshal([]byte(body), &answer) != nil || answer.Message == "") {
				t.Errorf("body is not Echo's JSON error: %s", body)
			}
		})
	}
}

func TestSubprotocols(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/none", echoBack)
		app.WSWithConfig("/two", func(s *ws.Socket, c echo.Context) error { return s.SendText(s.Subprotocol()) }, ws.RouteConfig{Subprotocols: []string{"v1", "v2"}})
	})
	for _, c := range []struct {
		name, path, want string
		offers           []string
	}{
		{"none offered", "/two", "", nil},
		{"one offered that the route speaks", "/two", "v1", []string{"Sec-WebSocket-Protocol: v1"}},
		{"the client's first that the route speaks", "/two", "v2", []string{"Sec-WebSocket-Protocol: v3, v2 ,v1"}},
		{"over several lines", "/two", "v1", []string{"Sec-WebSocket-Protocol: v3", "Sec-WebSocket-Protocol: v1"}},
		{"none that the route speaks", "/two", "", []string{"Sec-WebSocket-Protocol: v3, v4"}},
		{"one at a route that speaks none", "/none", "", []string{"Sec-WebSocket-Protocol: v1"}},
		{"two at a route that speaks none", "/none", "", []string{"Sec-WebSocket-Protocol: v1, v2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, _ := ask(t, addr, request(c.path, c.offers...))
			if got := res.Header.Values("Sec-Websocket-Protocol"); res.StatusCode != 101 || strings.Join(got, "|") != c.want {
				t.Errorf("got %s with %q, want 101 with %q", res.Status, got, c.want)
			}
		})
	}
	p := dial(t, addr, "/two", "Sec-WebSocket-Protocol: v2")
	p.expect("text v2")
}

// Each of Echo's middleware that people use stands before a socket route.
func TestUnderEchosMiddleware(t *testing.T) {
	var logged, requests strings.Builder
	for name, m := range map[string]echo.MiddlewareFunc{
		//lint:ignore SA1019 it is deprecated, and everywhere
		"Logger": middleware.LoggerWithConfig(middleware.LoggerConfig{Format: "${status}", Output: &logged}),
		"RequestLogger": middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{LogStatus: true, LogValuesFunc: func(c echo.Context, v middleware.RequestLoggerValues) error {
			fmt.Fprint(&requests, v.Status)
			return nil
		}}),
		"Recover":        middleware.Recover(),
		"Gzip":           middleware.Gzip(),
		"CORS":           middleware.CORS(),
		"Secure":         middleware.Secure(),
		"RequestID":      middleware.RequestID(),
		"BodyLimit":      middleware.BodyLimit("1K"),
		"BodyDump":       middleware.BodyDump(func(echo.Context, []byte, []byte) {}),
		"ContextTimeout": middleware.ContextTimeout(time.Minute),
		"RateLimiter":    middleware.RateLimiter(middleware.NewRateLimiterMemoryStore(100)),
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
				e.Use(m)
				echoRoute(e, app)
			})
			p := dial(t, addr, "/echo", "Accept-Encoding: gzip", "Origin: http://example.com")
			p.send(whole(opText, "through"))
			p.expect("text through")
			p.send(closing(1000, ""))
			p.expectClose(ws.CloseNormal)
			if res, body := ask(t, addr, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 426 {
				t.Errorf("a plain GET got %s %s", res.Status, body)
			}
		})
	}
	if got := logged.String(); got != "101426" {
		t.Errorf("Logger logged %q, want 101 and 426", got)
	}
	if got := requests.String(); !strings.HasPrefix(got, "101") {
		t.Errorf("RequestLogger logged %q, want 101 first", got)
	}
}

func TestMiddlewareTimeoutIsAClearError(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		//lint:ignore SA1019 it is deprecated, and this is about those who use it still
		e.Use(middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Minute}))
		echoRoute(e, app)
	})
	res, body := ask(t, addr, request("/echo"))
	if res.StatusCode != 500 || !strings.Contains(body, "use middleware.ContextTimeout") {
		t.Errorf("got %s %s", res.Status, body)
	}
}

func TestMiddlewareRefusesBeforeTheUpgrade(t *testing.T) {
	auth := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("X-Request-Id", "r1")
			c.SetCookie(&http.Cookie{Name: "seen", Value: "1"})
			if c.QueryParam("ticket") != "good" {
				return echo.ErrUnauthorized
			}
			return next(c)
		}
	}
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.Group("/admin", auth).Group("/deep").WS("/log", echoBack)
	})
	res, body := ask(t, addr, request("/admin/deep/log"))
	if res.StatusCode != 401 || !strings.Contains(body, `"message":"Unauthorized"`) {
		t.Errorf("got %s %s", res.Status, body)
	}
	res, _ = ask(t, addr, request("/admin/deep/log/?ticket=good"))
	if res.StatusCode != 101 || res.Header.Get("X-Request-Id") != "r1" || !strings.HasPrefix(res.Header.Get("Set-Cookie"), "seen=1") {
		t.Errorf("got %s %v; want 101 with what middleware set", res.Status, res.Header)
	}
}

type wrapped struct{ echo.Context }

type contextKey struct{}

// A Handler's callbacks may keep its context, although Echo reuses its own contexts.
func TestContextMayBeCaptured(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				c.Set("user", c.QueryParam("user"))
				r := c.Request()
				c.SetRequest(r.WithContext(context.WithValue(r.Context(), contextKey{}, "value")))
				return next(wrapped{c})
			}
		}, middleware.ContextTimeout(time.Minute))
		app.WS("/room/:id", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				_, isWrapped := c.(wrapped)
				ctx := c.Request().Context()
				if !isWrapped || ctx.Err() != nil || ctx.Value(contextKey{}) != "value" || c.Response().Status != 101 {
					t.Errorf("wrapped %v, context %v %v, status %d", isWrapped, ctx.Err(), ctx.Value(contextKey{}), c.Response().Status)
				}
				if err := c.String(200, "x"); err == nil {
					t.Error("an HTTP answer after the upgrade is no error")
				}
				return s.SendText(c.Get("user").(string) + " " + c.Param("id") + " " + c.RealIP() + " " + c.Path())
			})
			return nil
		})
		e.GET("/other/:id", func(c echo.Context) error { return c.String(200, "other") })
	})
	p := dial(t, addr, "/room/7?user=ana")
	for range 20 { // Echo's pool gets its contexts back, and hands them out
		ask(t, addr, "GET /other/9?user=eve HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	p.send(whole(opText, "who"))
	p.expect("text ana 7 127.0.0.1 /room/:id")
}

func TestRequestOfASocket(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/room/:id/:part", func(s *ws.Socket, c echo.Context) error {
			sockets <- s
			return nil
		})
	})
	p := dial(t, addr, "/room/a%20b/c?q=1&q=2", "Cookie: session=abc", "User-Agent: test")
	s := wait(t, sockets)
	r := s.Request()
	cookie, err := r.Cookie("session")
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		s.Param("id"):                 "a b",
		s.Param("part"):               "c",
		s.Param("none"):               "",
		s.Path():                      "/room/a b/c",
		s.RemoteAddr():                p.conn.LocalAddr().String(),
		r.RemoteAddr:                  s.RemoteAddr(),
		r.Host:                        "example.com",
		r.URL.RawQuery:                "q=1&q=2",
		cookie.Value:                  "abc",
		r.Header.Get("User-Agent"):    "test",
		r.Header.Get("Upgrade") + "-": "-",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Nothing of the request lives on with the socket, where no callback captured it.
func TestContextCostsNothingUncaptured(t *testing.T) {
	freed := make(chan struct{})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/echo", func(s *ws.Socket, c echo.Context) error {
			kept := new([64]byte)
			runtime.AddCleanup(kept, func(c chan struct{}) { close(c) }, freed)
			c.Set("kept", kept)
			return echoBack(s, c)
		})
	})
	p := dial(t, addr, "/echo")
	p.send(whole(opText, "open"))
	p.expect("text open")
	eventually(t, func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
	p.send(whole(opText, "still"))
	p.expect("text still")
}

// The size of a request that is kept with its socket is bounded.
func TestAHeaderThatIsTooLarge(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	if res, _ := ask(t, addr, request("/echo", "X-Large: "+strings.Repeat("x", 20<<10))); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s", res.Status)
	}
}

// So is the size of a request that is kept for a client without a socket.
func TestKeepRequest(t *testing.T) {
	keep := func(head string) (ws.KeptRequest, error) {
		r := httptest.NewRequest(http.MethodGet, "/a%20b?q=1", nil)
		r.Header.Set("Cookie", "session=abc")
		r.Header.Set("X-Large", head)
		return ws.KeepRequest(echo.New().NewContext(r, httptest.NewRecorder()))
	}
	kept, err := keep("small")
	if err != nil {
		t.Fatal(err)
	}
	r := kept.Request()
	if cookie, err := r.Cookie("session"); err != nil || cookie.Value != "abc" || r.URL.Path != "/a b" || r.Host != "example.com" || r.RemoteAddr != "192.0.2.1:1234" {
		t.Errorf("got %v", r)
	}
	var he *echo.HTTPError
	if _, err := keep(strings.Repeat("x", 20<<10)); !errors.As(err, &he) || he.Code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large one: %v", err)
	}
}

// AllowsOrigin judges as CheckOrigin does.
func TestAllowsOrigin(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            bool
	}{
		{"https://app.example:443", "https://app.example", true},
		{"https://app.example", "https://App.Example:443", true},
		{"https://app.example", "http://app.example", false},
		{"https://app.example", "https://app.example:8443", false},
		{"https://app.example", "https://app.example.foe.example", false},
		{"https://app.example", "null", false},
		{"https://app.example", "", false},
		{"https://app.example", "https://ana@app.example", false},
		{"*", "https://foe.example", true},
	} {
		if got := ws.AllowsOrigin([]string{c.allowed}, c.origin); got != c.want {
			t.Errorf("%q allows %q: %v", c.allowed, c.origin, got)
		}
	}
}

// CheckHandshake judges as the route will.
func TestCheckHandshakeKnowsTheRoute(t *testing.T) {
	_, addr := serve(t, ws.Config{MaxSockets: 1}, func(e *echo.Echo, app *ws.App) {
		check := func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if err := app.CheckHandshake(c); err != nil {
					return err
				}
				return next(c)
			}
		}
		app.Group("/g").WSWithConfig("/:id", echoBack, ws.RouteConfig{Origins: []string{"https://friend.example"}}, check)
	})
	friend := "Origin: https://friend.example"
	if res, _ := ask(t, addr, request("/g/1", "Origin: https://foe.example")); res.StatusCode != http.StatusForbidden {
		t.Errorf("a foe gets %s", res.Status)
	}
	dial(t, addr, "/g/1", friend)
	if res, _ := ask(t, addr, request("/g/2", friend)); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the second gets %s", res.Status)
	}
}
