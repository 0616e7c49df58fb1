package ws

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/websocket"

	"echows/ws/internal/conn"
	"echows/ws/internal/wire"
)

// DialConfig holds the settings of a connection that Dial makes. The zero value is ready for use.
type DialConfig struct {
	// Header is sent with the handshake, such as Authorization or Cookie. Fields of the handshake itself are ignored.
	Header http.Header
	// Origin is sent as the Origin; the server's own by default. x/net always sends one.
	Origin string
	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string
	// Jar has the cookies to send, and stores those that the server sets.
	Jar http.CookieJar
	// TLS is used for wss:; the system's CA certificates by default.
	TLS *tls.Config
	// Proxy returns the proxy for a request, or nil; http.ProxyFromEnvironment by default.
	Proxy func(*http.Request) (*url.URL, error)

	// The rest is as in Config. Only failures of callbacks are logged. Compression is offered if it is on.
	// PingInterval is at least 1 s.
	Compression    Compression
	MaxMessage     int
	SendBuffer     int
	PingInterval   time.Duration
	WriteTimeout   time.Duration
	CloseTimeout   time.Duration
	MessageTimeout time.Duration
	Logger         *slog.Logger
}

// HandshakeError says that a server answered a handshake with something other than an upgrade.
type HandshakeError struct {
	StatusCode int
	Header     http.Header
	Body       []byte // at most 1 KiB
}

func (e *HandshakeError) Error() string {
	text := fmt.Sprintf("ws: the server answered %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if body := strings.TrimSpace(string(e.Body)); body != "" {
		text += ": " + body
	}
	return text
}

// dialed is what all dialed sockets have in common.
var dialed = sync.OnceValue(func() *base {
	b := newBase(time.Second, nil)
	return &b
})

// Dial connects to a server at a URL with ws:, wss:, http: or https:. Before anything is read, h runs and registers
// callbacks with OnMessage and the like; an error from h closes the socket. h may be nil, for a socket that only sends.
// Dial returns when h has returned. ctx bounds the handshake only: the socket lives until it is closed. If the server
// answered but did not upgrade, the error is a *HandshakeError.
//
// The socket masks what it sends, as clients must, and holds the server's frames to RFC 6455's rules for servers. It has
// no Route.
func Dial(ctx context.Context, address string, cfg DialConfig, h func(s *Socket) error) (*Socket, error) {
	s, c, err := dial(ctx, address, cfg)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) { // its text has the whole URL
			err = parse.Err
		}
		return nil, fmt.Errorf("ws: dial %s: %w", withoutSecrets(address), err)
	}
	b := dialed()
	maxMessage := cmp.Or(cfg.MaxMessage, 1<<20)
	s.base = &base{engine: b.engine, log: c.log, name: b.name, numbers: b.numbers, slowed: b.slowed}
	s.number = b.numbers.Add(1)
	s.opened = time.Now().UnixNano()
	b.engine.Open(&s.conn, c.conn, c.early, wire.Client, c.deflate, &conn.Config{
		MaxMessage:     maxMessage,
		SendBuffer:     cmp.Or(cfg.SendBuffer, max(maxMessage, leastSendBuffer)),
		PingInterval:   max(cmp.Or(cfg.PingInterval, 25*time.Second), time.Second),
		WriteTimeout:   cmp.Or(cfg.WriteTimeout, 10*time.Second),
		CloseTimeout:   cmp.Or(cfg.CloseTimeout, 3*time.Second),
		MessageTimeout: cmp.Or(cfg.MessageTimeout, time.Minute),
	}, (*events)(s))
	started := make(chan struct{})
	s.conn.Serve(func() *wire.CloseError {
		defer close(started)
		if h == nil {
			return nil
		}
		return s.guard(func() error { return h(s) })
	})
	<-started
	return s, nil
}

// withoutSecrets removes from a URL what should not be logged: the query, which may hold a ticket, and the user.
func withoutSecrets(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		if _, host, ok := strings.Cut(rest, "@"); ok {
			return scheme + "://" + host
		}
	}
	return address
}

// dialing is a connection after the handshake.
type dialing struct {
	conn    net.Conn
	early   []byte // received right after the handshake
	deflate *wire.Deflate
	log     *slog.Logger
}

func dial(ctx context.Context, address string, cfg DialConfig) (*Socket, *dialing, error) {
	target, err := parseTarget(address)
	if err != nil {
		return nil, nil, err
	}
	nc, err := connect(ctx, target, cfg)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		if nc != nil {
			nc.Close()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s, d, err := shake(nc, target, cfg)
	if err == nil && !stop() { // the function ran, or is about to
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, err
	}
	nc.SetDeadline(time.Time{})
	return s, d, nil
}

func parseTarget(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws", "http":
		u.Scheme = "ws"
	case "wss", "https":
		u.Scheme = "wss"
	default:
		return nil, errors.New("want a URL that begins with ws: or wss:, such as ws://localhost:3000/ws")
	}
	if u.Host == "" {
		return nil, errors.New("the URL has no host")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment = ""
	return u, nil
}

// asHTTP returns the URL with the scheme that cookies and proxies know.
func asHTTP(target *url.URL) *url.URL {
	u := *target
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	return &u
}

// shake lets x/net do the opening handshake (RFC 6455 section 4.1).
func shake(nc net.Conn, target *url.URL, cfg DialConfig) (*Socket, *dialing, error) {
	plain := asHTTP(target)
	origin, err := url.Parse(cmp.Or(cfg.Origin, plain.Scheme+"://"+plain.Host))
	if err != nil {
		return nil, nil, err
	}
	header := cfg.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if cfg.Jar != nil {
		with := &http.Request{Header: header}
		for _, cookie := range cfg.Jar.Cookies(plain) {
			with.AddCookie(cookie)
		}
	}
	for _, name := range cfg.Subprotocols {
		if !httpguts.ValidHeaderFieldName(name) { // both are tokens
			return nil, nil, fmt.Errorf("%q cannot be the name of a subprotocol", name)
		}
	}
	policy, compress := cfg.Compression.policy()
	header.Del("Sec-WebSocket-Extensions")
	if compress {
		header.Set("Sec-WebSocket-Extensions", policy.Offer())
	}
	xnet := &websocket.Config{
		Location: target,
		Origin:   origin,
		Version:  websocket.ProtocolVersionHybi13,
		Protocol: cfg.Subprotocols,
		Header:   header,
	}
	answer := &answer{headReader: headReader{conn: nc}}
	if _, err = websocket.NewClient(xnet, answer); answer.err != nil {
		err = answer.err
	}
	if cfg.Jar != nil && answer.response != nil {
		cfg.Jar.SetCookies(plain, answer.response.Cookies())
	}
	if err != nil {
		return nil, nil, err
	}
	d := &dialing{conn: nc, early: answer.rest, log: cfg.Logger}
	if d.log == nil {
		d.log = slog.New(failuresOnly{slog.Default().Handler()})
	}
	agreed, ok, err := policy.Agree(answer.response.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return nil, nil, err
	}
	if ok && !compress {
		return nil, nil, errors.New("the server accepted an extension that was not offered")
	}
	if ok {
		d.deflate = &agreed
	}
	s := &Socket{subprotocol: answer.response.Header.Get("Sec-Websocket-Protocol")}
	s.request = KeptRequest{
		head:   dialedHead(target, header),
		remote: nc.RemoteAddr().String(),
		path:   target.Path,
	}
	return s, d, nil
}

// dialedHead returns what Socket.Request restores: the request without the fields of the handshake.
func dialedHead(target *url.URL, header http.Header) string {
	var b strings.Builder
	b.WriteString("GET " + target.RequestURI() + " HTTP/1.1\r\nHost: " + target.Host + "\r\n")
	header.WriteSubset(&b, handshakeFields)
	b.WriteString("\r\n")
	return b.String()
}

// headReader reads an HTTP answer's head, and keeps what comes after it.
type headReader struct {
	conn       net.Conn
	head, rest []byte
}

// maxAnswer is the size limit of an answer's head, in bytes.
const maxAnswer = 64 << 10

func (h *headReader) read() (*http.Response, error) {
	var got []byte
	for len(got) < maxAnswer {
		part := make([]byte, 1024)
		n, err := h.conn.Read(part)
		got = append(got, part[:n]...)
		if end := bytes.Index(got, []byte("\r\n\r\n")); end >= 0 {
			h.head, h.rest = got[:end+4], got[end+4:]
			// As an answer to CONNECT: what follows the head is not a body.
			return http.ReadResponse(bufio.NewReader(bytes.NewReader(h.head)), &http.Request{Method: http.MethodConnect})
		}
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the response header is too long")
}

// answer is the connection as x/net's client sees it. It handles what x/net cannot: it turns an answer that is not an
// upgrade into a HandshakeError, and hides extensions, since x/net refuses all.
type answer struct {
	headReader
	response *http.Response
	err      error
	forXNet  io.Reader
}

func (a *answer) Write(p []byte) (int, error) { return a.conn.Write(p) }
func (a *answer) Close() error                { return nil }

func (a *answer) Read(p []byte) (int, error) {
	if a.forXNet == nil {
		if a.response, a.err = a.read(); a.err != nil {
			return 0, a.err
		}
		if a.response.StatusCode != http.StatusSwitchingProtocols {
			a.err = a.refusal()
			return 0, a.err
		}
		a.forXNet = strings.NewReader(a.rewritten())
	}
	return a.forXNet.Read(p)
}

// rewritten returns the head in the only form that x/net reads.
func (a *answer) rewritten() string {
	h := a.response.Header
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + h.Get("Upgrade") + "\r\n"
	if httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") {
		head += "Connection: Upgrade\r\n"
	}
	head += "Sec-WebSocket-Accept: " + h.Get("Sec-WebSocket-Accept") + "\r\n"
	if name := h.Get("Sec-WebSocket-Protocol"); name != "" {
		head += "Sec-WebSocket-Protocol: " + name + "\r\n"
	}
	return head + "\r\n"
}

// refusal reads the beginning of the answer's body.
func (a *answer) refusal() error {
	e := &HandshakeError{StatusCode: a.response.StatusCode, Header: a.response.Header}
	all := io.MultiReader(bytes.NewReader(a.head), bytes.NewReader(a.rest), a.conn)
	if res, err := http.ReadResponse(bufio.NewReader(all), nil); err == nil {
		e.Body, _ = io.ReadAll(io.LimitReader(res.Body, maxBody))
	}
	return e
}

// maxBody is how much of a refusal's body is kept, in bytes.
const maxBody = 1 << 10

// failuresOnly is a log without the lines of each connection.
type failuresOnly struct{ slog.Handler }

func (f failuresOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && f.Handler.Enabled(ctx, level)
}
