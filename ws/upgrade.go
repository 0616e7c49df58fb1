package ws

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/websocket"
)

// CheckHandshake says, as an *echo.HTTPError, why a request cannot be upgraded, or returns nil. It is for
// middleware that spends something on an upgrade, such as a ticket; the route checks by itself.
func (a *App) CheckHandshake(c echo.Context) error {
	_, err := (&Route{app: a}).judge(c)
	return err
}

// CheckOrigin says why pages of the request's origin may not use this server, or returns nil: for other
// requests that are to follow Config.Origins (RFC 6455 section 10.2).
func (a *App) CheckOrigin(r *http.Request) error { return a.judgeOrigin(r) }

// serve is the route's Echo handler: it answers what cannot be upgraded, upgrades the rest, and
// leaves the socket for own to start.
func (r *Route) serve(c echo.Context) error {
	subprotocol, err := r.judge(c)
	if err != nil {
		return err
	}
	u, ok := c.Get(upgradeKey).(*upgrade)
	if !ok {
		return echo.NewHTTPError(http.StatusInternalServerError,
			"ws: this request did not pass the App's own middleware; is the Echo server that of ws.New?")
	}
	if err := r.app.enter(); err != nil {
		return echo.NewHTTPError(http.StatusServiceUnavailable, err.Error())
	}
	defer r.app.running.Done() // the socket's goroutine has counted itself by then, or never comes
	conn, early, err := hijack(c)
	if err != nil {
		return err
	}
	return r.accept(c, u, conn, early, subprotocol)
}

// wantsUpgrade reports whether the request asks for a WebSocket (RFC 6455 section 4.2.1, points 1, 3 and 4).
func wantsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && r.ProtoMajor == 1 &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket") &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// judge answers, as HTTP, what is wrong with a handshake (section 4.2), and chooses the subprotocol.
func (r *Route) judge(c echo.Context) (subprotocol string, err error) {
	req, answer := c.Request(), c.Response().Header()
	switch {
	case !wantsUpgrade(req):
		if req.ProtoMajor == 1 { // HTTP/2 forbids these fields
			answer.Set("Upgrade", "websocket")
			answer.Set("Connection", "Upgrade")
		}
		return "", echo.NewHTTPError(http.StatusUpgradeRequired,
			"this is a WebSocket: connect with a WebSocket client, such as new WebSocket(url) in a browser")
	case req.Header.Get("Sec-Websocket-Version") != websocket.SupportedProtocolVersion:
		answer.Set("Sec-WebSocket-Version", websocket.SupportedProtocolVersion)
		return "", echo.NewHTTPError(http.StatusUpgradeRequired, "only version 13 of the WebSocket protocol is spoken here")
	case !validKey(req.Header["Sec-Websocket-Key"]):
		return "", echo.NewHTTPError(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64, once")
	case req.ContentLength != 0:
		return "", echo.NewHTTPError(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	if err := r.app.judgeOrigin(req); err != nil {
		return "", echo.NewHTTPError(http.StatusForbidden, err.Error())
	}
	for _, offers := range req.Header["Sec-Websocket-Protocol"] {
		for offer := range strings.SplitSeq(offers, ",") {
			if offer = strings.TrimSpace(offer); slices.Contains(r.subprotocols, offer) {
				return offer, nil
			}
		}
	}
	return "", nil
}

func validKey(values []string) bool {
	if len(values) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(values[0])
	return err == nil && len(key) == 16
}

// judgeOrigin lets in scripts, which send no Origin, pages of the host itself, and those on the allow
// list (section 10.2).
func (a *App) judgeOrigin(r *http.Request) error {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return nil
	}
	origin, err := parseOrigin(values[0])
	if err == nil && len(values) == 1 {
		if strings.EqualFold(origin.Host, withoutDefaultPort(origin.Scheme, r.Host)) {
			return nil
		}
		for _, allowed := range a.config.Origins {
			if o, err := parseOrigin(allowed); err == nil && o.Scheme == origin.Scheme && strings.EqualFold(o.Host, origin.Host) {
				return nil
			}
		}
	}
	if slices.Contains(a.config.Origins, "*") {
		return nil
	}
	return fmt.Errorf("pages of origin %q may not connect here; the server's list of allowed origins can name it", values[0])
}

// ParseOrigin reports what is wrong with an entry for Config.Origins.
func ParseOrigin(s string) error {
	if s == "*" {
		return nil
	}
	_, err := parseOrigin(s)
	return err
}

func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("ws: %q is not an origin; it looks like https://example.com", s)
	}
	u.Host = withoutDefaultPort(u.Scheme, u.Host)
	return u, nil
}

func withoutDefaultPort(scheme, host string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// hijack takes the connection over from net/http, with the bytes that came right behind the request.
func hijack(c echo.Context) (net.Conn, []byte, error) {
	conn, rw, err := c.Response().Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return nil, nil, echo.NewHTTPError(http.StatusInternalServerError,
			"ws: a middleware keeps this connection from being upgraded; for middleware.Timeout use middleware.ContextTimeout").SetInternal(err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ws: hijack: %w", err)
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	return conn, slices.Clone(early), nil
}

// accept sends 101 and makes the socket. From here on the HTTP answer is given.
func (r *Route) accept(c echo.Context, u *upgrade, conn net.Conn, early []byte, subprotocol string) error {
	res := c.Response()
	res.Status, res.Committed = http.StatusSwitchingProtocols, true
	conn.SetDeadline(time.Now().Add(r.app.config.WriteTimeout))
	rw := bufio.NewReadWriter(bufio.NewReaderSize(conn, 0), bufio.NewWriterSize(conn, 512))
	if handshake(conn, rw, c.Request().Header.Get("Sec-Websocket-Key"), subprotocol, res.Header()) == nil {
		conn.Close()
		return nil
	}
	conn.SetDeadline(time.Time{})
	s := r.newSocket(c, conn, subprotocol)
	if len(early) > 0 {
		s.in.frames = framesPool.Get().(*frames)
		s.in.frames.socket, s.in.frames.early = s, early
	}
	u.socket, u.context = s, c
	r.app.log.Info("socket opened", "id", s.ID(), "remote", s.RemoteAddr(), "path", s.Path())
	r.app.running.Add(1) // for own, which starts it
	r.app.open(s)
	return nil
}

func (r *Route) newSocket(c echo.Context, conn net.Conn, subprotocol string) *Socket {
	a := r.app
	number := a.numbers.Add(1)
	s := &Socket{
		app:         a,
		route:       r,
		number:      number,
		firstPing:   a.firstPing(number),
		opened:      time.Now(),
		subprotocol: subprotocol,
		request:     keepRequest(c),
	}
	s.out.transport = newTransport(conn)
	s.out.socket, s.out.limit = s, a.config.Outbox
	s.readable = s.tryRead
	s.resting.Store(s.out.raw == nil) // such a one cannot
	s.seen.Store(awake)
	return s
}

// handshake lets x/net answer the opening handshake (sections 1.3 and 4.2.2) and returns its
// connection, or nil where the answer could not be written. It gets a request of our own, in the one
// form it reads, since the real one has been judged already.
func handshake(conn net.Conn, rw *bufio.ReadWriter, key, subprotocol string, header http.Header) (made *websocket.Conn) {
	server := websocket.Server{
		Config: websocket.Config{Header: header},
		Handshake: func(c *websocket.Config, _ *http.Request) error {
			if subprotocol != "" {
				c.Protocol = []string{subprotocol}
			}
			return nil
		},
		Handler: func(c *websocket.Conn) { made = c },
	}
	server.ServeHTTP(hijacked{conn, rw}, &http.Request{
		Method: http.MethodGet,
		Host:   "localhost",
		URL:    &url.URL{Path: "/"},
		Header: http.Header{
			"Connection":            {"Upgrade"},
			"Upgrade":               {"websocket"},
			"Sec-Websocket-Key":     {key},
			"Sec-Websocket-Version": {websocket.SupportedProtocolVersion},
		},
	})
	return made
}

// hijacked hands x/net a connection that was taken over before.
type hijacked struct {
	conn net.Conn
	rw   *bufio.ReadWriter
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return kept{h.conn}, h.rw, nil }
func (hijacked) Header() http.Header                            { return nil }
func (hijacked) Write([]byte) (int, error)                      { return 0, http.ErrHijacked }
func (hijacked) WriteHeader(int)                                {}

// kept is a connection that x/net does not get to close when its handler returns.
type kept struct{ net.Conn }

func (kept) Close() error { return nil }
