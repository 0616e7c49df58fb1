// Command echows is a WebSocket server to learn from and then keep.
//
// This file starts it: it wires the pieces, listens, and shuts down. The settings are in settings.go,
// what the server answers in routes.go, and the first lesson in ws_handler.go.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/crypto/acme/autocert"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	about "echows/settings"
	"echows/socketio"
	"echows/socketio/engineio"
	"echows/views"
	"echows/ws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stderr))
}

// run is the program: it serves until ctx ends, and returns the exit code. What a person can mend is
// one line on stderr: 2 for a setting, 1 for anything else.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	if slices.Contains(args, "-version") || slices.Contains(args, "--version") {
		fmt.Println(about.Version()) // for scripts: on stdout, and whatever else is set
		return 0
	}
	set, err := readSettings(args, getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, "\n  -version\n      print the version, and end\n")
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "echows:", err)
		return 2
	}
	slog.SetDefault(set.logger(stderr))
	s, err := start(ctx, set)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil { // told to end while it waited for NATS
		slog.Info("shutting down")
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "echows:", err)
		return 1
	}
	slog.Info("listening", "address", s.Addr().String(), "open", s.URL())
	select {
	case <-ctx.Done():
		slog.Info("shutting down")
	case err := <-s.failed:
		fmt.Fprintln(stderr, "echows:", err)
		s.Close()
		return 1
	}
	s.Close()
	return 0
}

// shutdownTime bounds how long Close waits for sockets and requests.
const shutdownTime = 2500 * time.Millisecond

// maxPayload is what Socket.IO clients expect to be able to send, in bytes.
const maxPayload = 1_000_000

// maxBuffered is how many bytes all WebSockets may hold of messages that have arrived in part, and of what waits to be
// sent; garbage comes on top.
const maxBuffered = 96 << 20

// bodyTime bounds how long a request's body may take to arrive.
const bodyTime = 30 * time.Second

// answerTime bounds how long a client may take for an answer, from its first byte. One to a poll of Socket.IO goes on as long as its
// client reads it.
const answerTime = time.Minute

// startTime bounds a start without a cluster: a stream of many messages takes a while to be read.
const startTime = time.Minute

// server is the running program: its pieces, in the order they start.
type server struct {
	broker   *broker.Broker
	app      *ws.App
	hub      *hub.Hub
	nodes    *nodes // nil on one machine
	chat     *chat.Chat
	io       *socketio.Server
	http     *http.Server
	listener net.Listener
	secure   bool // serves https: and wss:

	messageRate float64 // a second, of one connection to the first lesson's routes; 0 for no limit

	failed chan error // serving ended by itself; holds one
}

// start wires the pieces and listens. Everything that can be wrong with the settings is an error
// here, before the first connection. For a NATS cluster it waits as long as ctx lasts.
func start(ctx context.Context, set settings) (*server, error) {
	s := &server{failed: make(chan error, 1)}
	if err := s.start(ctx, set); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *server) start(ctx context.Context, set settings) error {
	if set.nats.url == "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTime)
		defer cancel()
	}
	certificates, err := certificates(set)
	if err != nil {
		return err
	}
	s.secure = certificates != nil
	if s.broker, err = broker.Open(ctx, broker.Config{
		URL:         set.nats.url,
		Credentials: set.nats.creds,
		CA:          set.nats.ca,
		Cert:        set.nats.cert,
		Key:         set.nats.key,
		Replicas:    set.nats.replicas,
		Dir:         set.data,
		Sync:        time.Duration(set.sync),
	}); err != nil {
		return err
	}
	secret, err := secret(set)
	if err != nil {
		return err
	}
	e := echo.New()
	e.IPExtractor = clientAddress(set.proxies)
	s.app = ws.New(e, ws.Config{
		Origins:           set.origins,
		Hosts:             set.hosts,
		TrustedProxies:    set.proxies,
		MaxSockets:        set.sockets,
		MaxAddressSockets: set.addressSockets,
		MaxMessage:        int(set.maxMessage),
		MaxBuffered:       max(maxBuffered, 2*int64(set.maxMessage)),
		Compression:       compression(set.compress),
		PingInterval:      set.ping,
	})
	s.messageRate = set.messageRate
	s.hub = hub.New()
	if s.nodes, err = openNodes(ctx, s.broker, set); err != nil {
		return err
	}
	s.chat, err = chat.Open(ctx, s.app, s.hub, s.broker, chat.Config{
		Secret:   secret,
		Keep:     set.keepMessages,
		MaxAge:   set.keepTime,
		MaxBytes: int64(set.keepBytes),
		Database: set.database,
		Bus:      s.nodes.crowd(),
		Limits:   set.limits(),
	})
	if err != nil {
		return err
	}
	s.io = socketio.New(s.app, socketio.Config{
		Engine: engineio.Config{
			PingInterval:       set.ping,
			MaxPayload:         min(int(set.maxMessage), maxPayload),
			AddressMessageRate: set.addressEvents,
			Origins:            set.origins,
			WebSocketOnly:      set.webSocketOnly,
		},
		Recovery: set.recovery,
		Adapter:  s.nodes.adapter(),
		Journal:  s.nodes.keeper(),
	})
	e.Use(middleware.Recover(), bodyInTime, answerInTime(set.answerTime))
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{
		ContentTypeNosniff:    "nosniff",
		ContentSecurityPolicy: views.Policy,
		ReferrerPolicy:        "same-origin",
	}), staySecure(s.app))
	if err := routes(e, s, views.New()); err != nil {
		return err
	}

	s.http = &http.Server{
		Handler:           e,
		TLSConfig:         certificates,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10, // a socket keeps its request's header
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	s.listener, err = net.Listen("tcp", set.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use; stop what listens there or choose another with -addr", set.addr)
	}
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", set.addr, err)
	}
	go func() { s.failed <- s.serve() }() // ends with the listener, which Close closes
	return nil
}

// compression is what -compress says.
func compression(on bool) ws.Compression {
	if on {
		return ws.CompressionOn
	}
	return ws.CompressionOff
}

// staySecure has browsers that came by https: come by it for a month (RFC 6797).
func staySecure(app *ws.App) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if r := c.Request(); app.IsSecure(r) && !strings.HasPrefix(r.Host, "localhost") { // where other servers are http:
				c.Response().Header().Set(echo.HeaderStrictTransportSecurity, "max-age=2592000")
			}
			return next(c)
		}
	}
}

// bodyInTime bounds how long a request's body may take. http.Server.ReadTimeout would end a GET that
// waits, too.
func bodyInTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().ContentLength != 0 {
			http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(bodyTime)) // where there is one to set
		}
		return next(c)
	}
}

// answerInTime bounds how long writing an answer may take, from its first byte. http.Server.WriteTimeout would count from
// the request, and end a GET that waits, too. What is upgraded has deadlines of its own; net/http takes this one back.
func answerInTime(most time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() {
				http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(most)) // where there is one to set
			})
			return next(c)
		}
	}
}

// certificates is how TLS is served, or nil.
func certificates(set settings) (*tls.Config, error) {
	switch {
	case set.tls.domain != "":
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(filepath.Join(set.data, "certificates")),
			HostPolicy: autocert.HostWhitelist(set.tls.domain),
		}
		return m.TLSConfig(), nil
	case set.tls.cert != "":
		pair, err := tls.LoadX509KeyPair(set.tls.cert, set.tls.key)
		if err != nil {
			return nil, fmt.Errorf("certificate (-tls-cert, -tls-key): %w", err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
	}
	return nil, nil
}

// secret is what signs sessions: the one that was set, or the data folder's, made at the first start.
func secret(set settings) ([]byte, error) {
	if set.secret != "" {
		return []byte(set.secret), nil
	}
	if set.nats.url != "" {
		slog.Warn("without -secret this node's sessions are good on this node only")
	}
	if err := os.MkdirAll(set.data, 0o700); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	name := filepath.Join(set.data, "secret")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(rand.Text() + rand.Text())
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(name)
			return nil, fmt.Errorf("secret: %w", err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("secret: %w", err)
	}
	made, err := os.ReadFile(name)
	if err == nil && len(made) < 16 {
		err = fmt.Errorf("%s is too short; remove it, and a new one is made", name)
	}
	return made, err
}

// clientAddress is how an address is found that limits count: the connection's own, unless that is a
// proxy's we trust.
func clientAddress(proxies networks) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, proxy := range proxies {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP:   proxy.Addr().AsSlice(),
			Mask: net.CIDRMask(proxy.Bits(), proxy.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

func (s *server) serve() error {
	if s.secure {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// Addr is the address listened on.
func (s *server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// URL is the first page's, for a browser on this machine.
func (s *server) URL() string {
	scheme := "http"
	if s.secure {
		scheme = "https"
	}
	host := "localhost"
	if ip := s.Addr().IP; !ip.IsUnspecified() {
		host = ip.String()
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, strconv.Itoa(s.Addr().Port)))
}

// Ready says what is missing for the server to be of use, or nil.
func (s *server) Ready(ctx context.Context) error {
	ready := make(chan error, 1)
	go func() { ready <- s.broker.Ready(ctx) }() // beside the chat's: each may wait a second
	err := s.chat.Ready(ctx)
	return errors.Join(<-ready, err)
}

// Close accepts no more connections, closes the sockets with 1012, waits, within shutdownTime, for them
// and for requests under way, and then ends the pieces, the last first. It takes a server that started
// in part.
func (s *server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if s.io != nil {
		s.io.Close() // first: GETs that wait are answered, and clients told
	}
	if s.app != nil {
		sockets := make(chan error, 1)
		go func() { sockets <- s.app.Shutdown(ctx) }()
		if s.http != nil {
			if err := s.http.Shutdown(ctx); err != nil {
				slog.Warn("requests did not end in time", "error", err)
				s.http.Close()
			}
		}
		if err := <-sockets; err != nil {
			slog.Warn("sockets did not end in time", "error", err)
		}
	}
	if s.chat != nil {
		s.chat.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
}
