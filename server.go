// Command echows is a WebSocket server to learn from and then keep.
//
// This file starts it: it wires the pieces, listens, and shuts down. The settings are in package settings, the URLs
// in routes.go, and the first lesson in ws_handler.go.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	"echows/metrics"
	"echows/nodes"
	"echows/rooms"
	"echows/settings"
	"echows/socketio"
	"echows/socketio/engineio"
	"echows/views"
	"echows/web"
	"echows/ws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stderr))
}

// run is the program: it serves until ctx ends, and returns the exit code. An error that a person can fix
// is one line on stderr, and the code is 2 for a wrong setting, 1 for anything else.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	if slices.Contains(args, "-version") || slices.Contains(args, "--version") {
		fmt.Println(settings.Version()) // for scripts: on stdout, whatever else is set
		return 0
	}
	set, err := settings.Read(args, getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "echows:", err)
		return 2
	}
	if set.Ask != "" {
		if err := web.Ask(ctx, set.AskURL(), set.TLS.Domain); err != nil {
			fmt.Fprintln(stderr, "echows:", err)
			return 1
		}
		return 0
	}
	logger, flush := set.Logger(stderr)
	slog.SetDefault(logger)
	defer flush()
	s, err := start(ctx, set)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil { // told to end while it waited for NATS
		slog.Info("shutting down")
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "echows:", err)
		return 1
	}
	if s.inner != nil {
		slog.Info("listening for metrics", "address", s.inner.Addr().String())
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

// server is the running program: its pieces, in the order they start.
type server struct {
	broker *broker.Broker
	app    *ws.App
	hub    *hub.Hub
	nodes  *nodes.Nodes // nil on one machine
	chat   *chat.Chat
	io     *socketio.Server
	rooms  *rooms.Served
	conns  *web.Conns  // to public
	bodies web.Bodies  // of requests to public
	public *web.Server // -addr
	inner  *web.Server // -metrics-addr; nil without
	secure bool        // serves https: and wss:

	messageRate float64 // a second, of one connection to the first lesson's routes; 0 for no limit

	serving sync.WaitGroup
	failed  chan error // why serving ended by itself; holds one error for each address
}

// start wires the pieces and listens. Anything wrong with the settings is an error here, before the
// first connection. It waits for a NATS cluster for as long as ctx lasts.
func start(ctx context.Context, set settings.Settings) (*server, error) {
	s := &server{failed: make(chan error, 2)}
	if err := s.start(ctx, set); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *server) start(ctx context.Context, set settings.Settings) error {
	if set.NATS.URL == "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, settings.StartTime)
		defer cancel()
	}
	certificates, err := set.Certificates()
	if err != nil {
		return err
	}
	s.secure = certificates != nil
	if s.broker, err = broker.Open(ctx, broker.Config{
		URL:         set.NATS.URL,
		Credentials: set.NATS.Creds,
		CA:          set.NATS.CA,
		Cert:        set.NATS.Cert,
		Key:         set.NATS.Key,
		Replicas:    set.NATS.Replicas,
		Dir:         set.Data,
		Sync:        set.Sync,
	}); err != nil {
		return err
	}
	secret, err := set.SigningSecret()
	if err != nil {
		return err
	}
	e := echo.New()
	e.IPExtractor = web.ClientAddress(set.Proxies)
	s.app = ws.New(e, ws.Config{
		Origins:           set.Origins,
		Hosts:             set.Hosts,
		TrustedProxies:    set.Proxies,
		MaxSockets:        set.Sockets,
		MaxAddressSockets: set.AddressSockets,
		MaxMessage:        int(set.MaxMessage),
		MaxBuffered:       max(settings.MaxBuffered, 8*set.MaxMessage),
		Compression:       compression(set.Compress),
		PingInterval:      set.Ping,
	})
	s.messageRate = set.MessageRate
	s.hub = hub.New()
	if set.NATS.URL != "" { // a cluster, where other nodes may be
		s.nodes, err = nodes.Open(ctx, s.broker, nodes.Config{
			Recovery: set.Recovery,
			MaxEvent: settings.MaxEvent,
			MaxBytes: settings.JournalBytes,
		})
		if err != nil {
			return err
		}
	}
	s.chat, err = chat.Open(ctx, s.app, s.hub, s.broker, chat.Config{
		Secret:   secret,
		Keep:     set.KeepMessages,
		MaxAge:   set.KeepTime,
		MaxBytes: set.KeepBytes,
		Database: set.Database,
		Bus:      s.nodes.Chat(),
		Limits:   chatLimits(set),
	})
	if err != nil {
		return err
	}
	s.io = socketio.New(s.app, socketio.Config{
		Engine: engineio.Config{
			PingInterval:       set.Ping,
			MaxPayload:         min(int(set.MaxMessage), settings.MaxPayload),
			AddressMessageRate: set.AddressEvents,
			WebSocketOnly:      set.WebSocketOnly,
		},
		Recovery: set.Recovery,
		Adapter:  s.nodes.Adapter(),
		Journal:  s.nodes.Journal(),
	})
	e.Logger.SetOutput(io.Discard) // Echo itself logs only that a client has left before it got an error's answer
	e.Use(web.RequestID, web.LogRequests, web.Recover, s.bodies.InTime, web.AnswerInTime(set.AnswerTime))
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{
		ContentTypeNosniff:    "nosniff",
		ContentSecurityPolicy: views.Policy,
		ReferrerPolicy:        "same-origin",
	}), web.StaySecure(s.app))
	all, ofAddress := set.HTTPLimits()
	s.conns = web.NewConns(web.ConnLimits{Most: all, MostAddress: ofAddress, Proxies: set.Proxies})
	pages := views.New()
	e.HTTPErrorHandler = web.LogErrors(pages.OnError(e.DefaultHTTPErrorHandler))
	if err := routes(e, s, pages, set.MetricsAddr == ""); err != nil {
		return err
	}
	return s.listen(set, e, certificates)
}

// listen listens on the addresses, and starts serving them.
func (s *server) listen(set settings.Settings, e *echo.Echo, certificates *tls.Config) (err error) {
	s.public, err = web.Listen(web.Config{Addr: set.Addr, Flag: "-addr", Handler: e, TLS: certificates, Conns: s.conns})
	if err != nil {
		return err
	}
	if set.MetricsAddr != "" {
		s.inner, err = web.Listen(web.Config{
			Addr:         set.MetricsAddr,
			Flag:         "-metrics-addr",
			Handler:      innerRoutes(s),
			Conns:        web.NewConns(web.ConnLimits{Most: settings.InnerHTTPConns, MostAddress: settings.InnerHTTPConns}),
			ReadTimeout:  settings.BodyTime,
			WriteTimeout: settings.AnswerTime,
		})
		if err != nil {
			return err
		}
		s.serve(s.inner)
	}
	s.serve(s.public)
	return nil
}

// serve starts serving an address, until it is shut down.
func (s *server) serve(at *web.Server) {
	s.serving.Go(func() {
		if err := at.Serve(); err != nil {
			s.failed <- err
		}
	})
}

// metrics serves the metrics of all pieces. It may be called once, when all have started.
func (s *server) metrics() http.Handler {
	return metrics.Handler(s.app.Collector(), s.hub.Collector(), s.chat.Collector(), s.broker.Collector(), s.io.Collector(),
		s.rooms.Collector(), s.conns.Collector(), s.bodies.Collector())
}

func compression(on bool) ws.Compression {
	if on {
		return ws.CompressionOn
	}
	return ws.CompressionOff
}

// chatLimits returns the chat's limits.
func chatLimits(set settings.Settings) chat.Limits {
	limits := chat.Limits{
		Posts:        rate.Limit(set.PostRate),
		AddressPosts: rate.Limit(set.AddressPosts),
		Connects:     rate.Limit(set.AddressRate),
	}
	if set.AddressPosts == 0 {
		limits.AddressPosts = rate.Inf
	}
	return limits
}

// Addr is the address listened on.
func (s *server) Addr() *net.TCPAddr { return s.public.Addr() }

// URL returns the address of the first page, for a browser on this machine.
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

// Ready returns an error that says what the server lacks to be usable, or nil.
func (s *server) Ready(ctx context.Context) error {
	ready := make(chan error, 1)
	go func() { ready <- s.broker.Ready(ctx) }() // while the chat's runs: each may wait a second
	err := s.chat.Ready(ctx)
	return errors.Join(<-ready, err)
}

// Close accepts no more connections, closes the sockets with 1012, waits up to settings.ShutdownTime for them and
// for requests in progress, and then ends the pieces, the last first. The server may have started only in part.
func (s *server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), settings.ShutdownTime)
	defer cancel()
	if s.io != nil {
		s.io.Close() // first, so that waiting GETs are answered, and clients told
	}
	if s.rooms != nil {
		s.rooms.End()
	}
	if s.app != nil {
		sockets := make(chan error, 1)
		go func() { sockets <- s.app.Shutdown(ctx) }()
		shutdown(ctx, s.public)
		if err := <-sockets; err != nil {
			slog.Warn("sockets did not end in time", "error", err)
		}
		shutdown(ctx, s.inner) // last, so that the shutdown can be watched
	}
	s.serving.Wait()
	if s.chat != nil {
		s.chat.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
}

func shutdown(ctx context.Context, at *web.Server) {
	if at == nil {
		return
	}
	if err := at.Shutdown(ctx); err != nil {
		slog.Warn("requests did not end in time", "address", at.Addr().String(), "error", err)
	}
}
