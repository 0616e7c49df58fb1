package ws

import (
	"bufio"
	"bytes"
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
	"golang.org/x/time/rate"

	"echows/ws/internal/wire"
)

// CheckHandshake returns an *echo.HTTPError that says why a request cannot be upgraded, or nil. It is for middleware that
// uses something up, such as a ticket, and should not do so in vain; the route itself checks in any case.
func (a *App) CheckHandshake(c echo.Context) error {
	r := a.routes[c.Path()]
	if r == nil {
		r = &Route{app: a, settings: RouteConfig{Origins: a.config.Origins}}
	}
	if _, err := r.judge(c); err != nil {
		return err
	}
	err := a.admitted.check(AddressOf(c))
	if err != nil {
		noteRefusal(c, refusedByLimit)
		a.logRefusal(c, err)
	}
	return err
}

// agreement is what a handshake settles.
type agreement struct {
	subprotocol string
	deflate     *wire.Deflate // nil without compression
	extension   string        // the header's value
}

// serve is the route's Echo handler: it answers requests that cannot be upgraded, upgrades the rest, and
// leaves the socket for own to start.
func (r *Route) serve(c echo.Context) error {
	agreed, err := r.judge(c)
	if err != nil {
		if wantsUpgrade(c.Request()) {
			r.app.logRefusal(c, err)
		}
		return err
	}
	u, ok := c.Get(upgradeKey).(*upgrade)
	if !ok {
		return echo.NewHTTPError(http.StatusInternalServerError,
			"ws: this request did not pass the App's own middleware; is the Echo server that of ws.New?")
	}
	if !r.app.enter() {
		u.refusal = refusedByShutdown
		return echo.NewHTTPError(http.StatusServiceUnavailable, "the server is shutting down; connect again in a moment")
	}
	defer r.app.engine.Release() // by then the socket has counted itself, or there is none
	u.refusal = refusedByOther
	kept, err := KeepRequest(c)
	if err != nil {
		return err
	}
	address := AddressOf(c)
	if err := r.app.Admit(address); err != nil {
		u.refusal = refusedByLimit
		r.app.logRefusal(c, err)
		return err
	}
	conn, early, err := hijack(c)
	if err != nil {
		r.app.Dismiss(address)
		return err
	}
	r.accept(c, u, conn, early, agreed, kept, address)
	return nil
}

// wantsUpgrade reports whether the request asks for a WebSocket (RFC 6455 section 4.2.1, points 1, 3 and 4).
func wantsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && r.ProtoMajor == 1 &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket") &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// judge returns an HTTP error if something is wrong with a handshake (section 4.2), and chooses subprotocol and
// extension.
func (r *Route) judge(c echo.Context) (agreed agreement, err error) {
	req, answer := c.Request(), c.Response().Header()
	switch {
	case !wantsUpgrade(req):
		if r.path != "" {
			r.app.metrics.refused[refusedByMethod].Add(1) // which own does not see
		}
		if req.ProtoMajor == 1 { // HTTP/2 forbids these fields
			answer.Set("Upgrade", "websocket")
			answer.Set("Connection", "Upgrade")
		}
		return agreed, echo.NewHTTPError(http.StatusUpgradeRequired,
			"this is a WebSocket: connect with a WebSocket client, such as new WebSocket(url) in a browser")
	case req.Header.Get("Sec-Websocket-Version") != websocket.SupportedProtocolVersion:
		noteRefusal(c, refusedByVersion)
		answer.Set("Sec-WebSocket-Version", websocket.SupportedProtocolVersion)
		return agreed, echo.NewHTTPError(http.StatusUpgradeRequired, "this server supports only version 13 of the WebSocket protocol")
	case !validKey(req.Header["Sec-Websocket-Key"]):
		noteRefusal(c, refusedByKey)
		return agreed, echo.NewHTTPError(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64, once")
	case req.ContentLength != 0:
		noteRefusal(c, refusedByOther)
		return agreed, echo.NewHTTPError(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	if err := r.app.judgeOrigin(req, r.settings.Origins); err != nil {
		noteRefusal(c, refusedByOrigin)
		return agreed, echo.NewHTTPError(http.StatusForbidden, err.Error())
	}
	agreed.subprotocol = r.choose(req.Header["Sec-Websocket-Protocol"])
	if policy, on := r.settings.Compression.policy(); on {
		d, extension, err := policy.Accept(req.Header["Sec-Websocket-Extensions"])
		if err != nil {
			noteRefusal(c, refusedByOther)
			return agreed, echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		if extension != "" {
			agreed.deflate, agreed.extension = &d, extension
		}
	}
	return agreed, nil
}

// choose picks the first offer that the route speaks.
func (r *Route) choose(header []string) string {
	for _, offers := range header {
		for offer := range strings.SplitSeq(offers, ",") {
			if offer = strings.TrimSpace(offer); slices.Contains(r.settings.Subprotocols, offer) {
				return offer
			}
		}
	}
	return ""
}

// policy returns what a setting means for the handshake. With context, it asks the peer for a window of 8 KiB.
func (c Compression) policy() (p wire.DeflatePolicy, on bool) {
	switch c {
	case CompressionOn:
		return wire.DeflatePolicy{}, true
	case CompressionContext:
		return wire.DeflatePolicy{Context: true, Bits: 13}, true
	}
	return p, false
}

func validKey(values []string) bool {
	if len(values) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(values[0])
	return err == nil && len(key) == 16
}

// hijack takes the connection over from net/http, with the bytes that came right after the request.
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
	return conn, early, nil
}

// accept makes the socket and sends 101. From here on there is no other HTTP answer.
func (r *Route) accept(c echo.Context, u *upgrade, nc net.Conn, early []byte, agreed agreement, kept KeptRequest, address string) {
	res := c.Response()
	res.Status, res.Committed = http.StatusSwitchingProtocols, true
	if agreed.extension != "" {
		res.Header().Set("Sec-WebSocket-Extensions", agreed.extension)
	}
	answer := handshake(c.Request().Header.Get("Sec-Websocket-Key"), agreed.subprotocol, res.Header())
	nc.SetDeadline(time.Time{}) // net/http may have set one
	s := &Socket{
		base:        &r.app.base,
		route:       r,
		number:      r.app.numbers.Add(1),
		opened:      time.Now().UnixNano(),
		subprotocol: agreed.subprotocol,
		address:     address,
		realIP:      c.RealIP(),
		request:     kept,
	}
	s.unmeasured = uint8(s.number%measuredOf) + 1 // so that short connections are measured just as often
	if per := r.settings.MessageRate; per > 0 {
		s.rate = rate.NewLimiter(rate.Limit(per), max(int(2*per), 1))
	}
	r.app.log.Info("socket opened", "id", s.ID(), requestID("request", c), "remote", s.RemoteAddr(), "path", s.Path())
	s.conn.HoldFrames()
	r.app.engine.Open(&s.conn, nc, early, wire.Server, agreed.deflate, r.config, (*events)(s))
	if r.app.isClosing() { // Shutdown may have missed it
		s.conn.Close(errRestart.Code, errRestart.Reason)
	}
	r.join(s) // before the client knows that it is connected, so that it misses no broadcast from then on
	if err := s.conn.Answer(answer); err != nil {
		s.conn.Serve(nil) // only to end: the Handler does not run
		return
	}
	u.socket, u.context = s, c
}

// handshake returns x/net's answer to the opening handshake (sections 1.3 and 4.2.2). x/net gets a request of our own, in
// the only form it reads, since judge has checked the real one.
func handshake(key, subprotocol string, header http.Header) []byte {
	server := websocket.Server{
		Config: websocket.Config{Header: header},
		Handshake: func(c *websocket.Config, _ *http.Request) error {
			if subprotocol != "" {
				c.Protocol = []string{subprotocol}
			}
			return nil
		},
		Handler: func(*websocket.Conn) {},
	}
	var answer bytes.Buffer
	server.ServeHTTP(hijacked{bufio.NewReadWriter(nil, bufio.NewWriterSize(&answer, 512))}, &http.Request{
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
	return answer.Bytes()
}

// hijacked gives x/net a place to write to instead of the connection, which was taken over earlier.
type hijacked struct{ rw *bufio.ReadWriter }

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return noConn{}, h.rw, nil }
func (hijacked) Header() http.Header                            { return nil }
func (hijacked) Write([]byte) (int, error)                      { return 0, http.ErrHijacked }
func (hijacked) WriteHeader(int)                                {}

// noConn is the connection, of which x/net only calls Close, when its handler has returned.
type noConn struct{ net.Conn }

func (noConn) Close() error { return nil }
