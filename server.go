// Command echows is a WebSocket server to learn from and then keep.
//
// This file starts it: it reads the settings, wires the pieces, listens, and shuts down. What the
// server answers is in routes.go, and the first lesson in ws_handler.go.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

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
	set, err := readSettings(args, getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "echows:", err)
		return 2
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(stderr, nil)))
	s, err := start(set)
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

// settings is what can be set from outside. Each flag has an environment variable of the same meaning.
type settings struct {
	addr       string
	origins    origins
	tlsCert    string
	tlsKey     string
	maxMessage size
	ping       time.Duration
}

func readSettings(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	set := settings{addr: ":3000", maxMessage: 1 << 20, ping: 25 * time.Second}
	flags := flag.NewFlagSet("echows", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one line says more than the list of all flags
	env := map[string]string{}
	name := func(flag, variable string) string { env[flag] = variable; return flag }
	flags.StringVar(&set.addr, name("addr", "PORT"), set.addr, "`address` to listen on; in PORT the number alone")
	flags.Var(&set.origins, name("origins", "ALLOWED_ORIGINS"), "foreign `origins` whose pages may connect, with commas, such as https://example.com; * for all (the same host always may)")
	flags.StringVar(&set.tlsCert, name("tls-cert", "TLS_CERT"), "", "`file` with the TLS certificate (PEM), to serve https: and wss:")
	flags.StringVar(&set.tlsKey, name("tls-key", "TLS_KEY"), "", "`file` with its private key (PEM)")
	flags.Var(&set.maxMessage, name("max-message", "MAX_MESSAGE"), "longest message taken, in `bytes`, or with KiB or MiB")
	flags.DurationVar(&set.ping, name("ping", "PING_INTERVAL"), set.ping, "`time` between two pings; twice as long without a sign of life ends a connection")

	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(out, flags, env)
	}
	if err != nil {
		return set, fmt.Errorf("%w (-h lists the settings)", err)
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q (-h lists the settings)", flags.Arg(0))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for flag, variable := range env {
		value := getenv(variable)
		if value == "" || given[flag] {
			continue
		}
		if variable == "PORT" {
			value = ":" + value
		}
		if err := flags.Set(flag, value); err != nil {
			return set, fmt.Errorf("invalid value %q in the environment variable %s: %w", getenv(variable), variable, err)
		}
	}
	switch {
	case (set.tlsCert == "") != (set.tlsKey == ""):
		return set, errors.New("-tls-cert and -tls-key go together")
	case set.ping < time.Second/10:
		return set, fmt.Errorf("-ping %v is too short; 100ms is the least", set.ping)
	}
	return set, nil
}

func usage(out io.Writer, flags *flag.FlagSet, env map[string]string) {
	fmt.Fprint(out, "echows is a WebSocket server to learn from and then keep.\n\nSettings, each as a flag or an environment variable:\n")
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "\n  -%s %s, %s\n      %s", f.Name, value, env[f.Name], text)
		if f.DefValue != "" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
}

// size is a number of bytes that reads as 1048576, 1024KiB or 1MiB.
type size int

func (s *size) String() string {
	switch n := int(*s); {
	case n > 0 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	default:
		return strconv.Itoa(n)
	}
}

// largest is the most a size may be: 1 GiB.
const largest = 1 << 30

func (s *size) Set(text string) error {
	unit := 1
	if number, ok := strings.CutSuffix(text, "KiB"); ok {
		text, unit = number, 1<<10
	} else if number, ok := strings.CutSuffix(text, "MiB"); ok {
		text, unit = number, 1<<20
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > largest/unit {
		return errors.New("want bytes from 1 to 1024MiB, such as 65536, 64KiB or 1MiB")
	}
	*s = size(n * unit)
	return nil
}

// origins is a list with commas.
type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }

func (o *origins) Set(text string) error {
	*o = nil
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if err := ws.ParseOrigin(one); err != nil {
			return err
		}
		*o = append(*o, one)
	}
	return nil
}

// shutdownTime bounds how long Close waits for sockets and requests.
const shutdownTime = 4 * time.Second

// server is the running program.
type server struct {
	listener net.Listener
	http     *http.Server
	secure   bool // serves https: and wss:
	app      *ws.App
	failed   chan error // serving ended by itself; holds one
}

// start wires the pieces and listens. Everything that can be wrong with the settings is an error
// here, before the first connection.
func start(set settings) (*server, error) {
	e := echo.New()
	app := ws.New(e, ws.Config{Origins: set.origins, MaxMessage: int(set.maxMessage), PingInterval: set.ping})
	e.Use(middleware.Recover())
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{
		ContentTypeNosniff:    "nosniff",
		ContentSecurityPolicy: views.Policy,
		ReferrerPolicy:        "same-origin",
	}))
	routes(e, app, views.New())

	s := &server{app: app, secure: set.tlsCert != "", failed: make(chan error, 1), http: &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10, // a socket keeps its request's header
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}}
	if s.secure {
		pair, err := tls.LoadX509KeyPair(set.tlsCert, set.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("certificate (-tls-cert, -tls-key): %w", err)
		}
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	listener, err := net.Listen("tcp", set.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use; stop what listens there or choose another with -addr", set.addr)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", set.addr, err)
	}
	s.listener = listener
	go func() { s.failed <- s.serve() }() // ends with the listener, which Close closes
	return s, nil
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

// Close accepts no more connections, closes the sockets with 1012 and waits, within shutdownTime,
// for them and for requests under way.
func (s *server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	sockets := make(chan error, 1)
	go func() { sockets <- s.app.Shutdown(ctx) }()
	if err := s.http.Shutdown(ctx); err != nil {
		slog.Warn("requests did not end in time", "error", err)
		s.http.Close()
	}
	if err := <-sockets; err != nil {
		slog.Warn("sockets did not end in time", "error", err)
	}
}
