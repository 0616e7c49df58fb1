package ws

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"echows/internal/seldom"
	"echows/internal/share"
	"echows/ws/internal/conn"
)

// Config holds an App's settings. The zero value is ready for use. RouteConfig sets some of them for one route.
type Config struct {
	// Origins are the foreign origins whose pages may connect, such as "https://example.com", or "*"
	// for all. Pages of the server's own host always may, and so may clients that send no Origin.
	Origins []string
	// Hosts are the server's own hosts, such as "example.com" or "localhost:3000". If they are set, pages of any other
	// host must be among Origins, even those whose requests name their own host as the server's, as they do after DNS
	// rebinding. If they are not set, the host that a request names counts as the server's own.
	Hosts []string
	// TrustedProxies are the networks of proxies whose X-Forwarded-Proto and X-Forwarded-Host are believed.
	TrustedProxies []netip.Prefix

	// MaxSockets is how many connections there may be at a time, and MaxAddressSockets how many of them from one
	// address, as AddressOf returns it; 0 means no limit. Further handshakes are answered with 503 or 429.
	MaxSockets, MaxAddressSockets int
	// MaxBuffered is how many bytes all connections together may hold of incomplete messages, and of frames that wait to
	// be sent; 256 MiB by default, or eight times MaxMessage if that is more. The connections of one address, as AddressOf
	// returns it, may hold a quarter of it, so MaxMessage must not be larger than that. A buffer counts from 16 KiB on. A
	// connection that needs more than there is room for is closed with 1013, and a reason that says which of the two
	// bounds it reached.
	MaxBuffered int64

	// MaxMessage is the longest message that is accepted, in bytes over all its fragments; 1 MiB by default.
	// A longer one ends its connection with 1009.
	MaxMessage int
	// SendBuffer is how many bytes may wait to be sent to one socket before Send waits; by default as many as
	// MaxMessage, but at least 256 KiB. See Socket.Offer for what happens to a broadcast.
	SendBuffer int
	// Compression says whether to accept permessage-deflate (RFC 7692); CompressionOff by default.
	Compression Compression
	// MessageRate is how many messages a second are handled from one connection, in bursts of up to twice as many. A
	// connection that sends more is read more slowly. 0 means no limit.
	MessageRate float64

	// PingInterval is the time between two pings; 25 s by default. A connection is ended if its peer has sent
	// nothing for twice as long.
	PingInterval time.Duration
	// WriteTimeout is how long one write may wait for the peer to read; 10 s by default. After that the
	// connection is ended.
	WriteTimeout time.Duration
	// CloseTimeout is how long the peer has to answer a close frame that was written; 3 s by default.
	CloseTimeout time.Duration
	// MessageTimeout is how long a message may take to arrive, from its first byte; 1 minute by default. A message
	// that takes longer ends its connection with 1008.
	MessageTimeout time.Duration
	// Logger logs a line when a connection opens and when it closes, one for each callback that fails, and, at most
	// once a second, one for what a limit refused; slog.Default() by default. All lines about one connection have its
	// Socket.ID as "id". A client that leaves, in whatever way, is logged at slog.LevelInfo or below.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.MaxMessage = cmp.Or(c.MaxMessage, 1<<20)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, max(256<<20, 8*int64(c.MaxMessage)))
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 3*time.Second)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, time.Minute)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}

// leastSendBuffer is the smallest default of SendBuffer, in bytes.
const leastSendBuffer = 256 << 10

// check returns what is wrong with the settings, or nil.
func (c Config) check() error {
	for _, o := range c.Origins {
		if err := ParseOrigin(o); err != nil {
			return err
		}
	}
	for _, h := range c.Hosts {
		if err := ParseHost(h); err != nil {
			return err
		}
	}
	if c.MaxSockets < 0 || c.MaxAddressSockets < 0 || c.MaxBuffered < 0 || c.MaxMessage < 0 || c.SendBuffer < 0 || c.MessageRate < 0 ||
		c.PingInterval < 0 || c.WriteTimeout < 0 || c.CloseTimeout < 0 || c.MessageTimeout < 0 {
		return fmt.Errorf("ws: a number, size or time in Config is negative; 0 means its default")
	}
	if d := c.withDefaults(); int64(d.MaxMessage) > share.Part(d.MaxBuffered) {
		return fmt.Errorf("ws: MaxMessage %d is more than a quarter of MaxBuffered %d, which is what one address may hold", d.MaxMessage, d.MaxBuffered)
	}
	return nil
}

// Compression is whether, and how, permessage-deflate (RFC 7692) is agreed on.
type Compression int

const (
	// CompressionDefault is CompressionOff in a Config, and the App's in a RouteConfig.
	CompressionDefault Compression = iota
	// CompressionOff declines compression.
	CompressionOff
	// CompressionOn compresses each message by itself. An idle connection holds nothing for it.
	CompressionOn
	// CompressionContext lets messages refer to earlier ones, which makes small, similar messages much smaller. It costs a
	// connection up to 8 KiB for sending, and up to 32 KiB, depending on the peer's window, for receiving.
	CompressionContext
)

// App gives an Echo server WebSocket routes. Its methods may be called from any goroutine.
type App struct {
	base
	echo      *echo.Echo
	config    Config
	routes    map[string]*Route // by Echo's path; complete before the server starts
	admitted  admission
	metrics   metrics
	refusals  seldom.Lines // limits log lines about refused connections
	overflows seldom.Lines // limits log lines about full buffers

	mu      sync.Mutex // guards closing
	closing bool
}

// New gives e WebSocket routes, with middleware that must run before all other: call New before
// e.Pre. It panics if cfg is invalid, such as an origin without a scheme.
func New(e *echo.Echo, cfg Config) *App {
	if err := cfg.check(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	a := &App{base: newBase(cfg.PingInterval, cfg.Logger), echo: e, config: cfg, routes: make(map[string]*Route)}
	a.engine.Buffers = share.New(cfg.MaxBuffered)
	a.metrics.handling = newHandling()
	a.admitted = admission{most: cfg.MaxSockets, ofAddress: cfg.MaxAddressSockets, addresses: make(map[string]int)}
	e.Pre(a.own)
	return a
}

// Origins returns Config.Origins.
func (a *App) Origins() []string { return slices.Clone(a.config.Origins) }

// Echo returns the server that the App belongs to.
func (a *App) Echo() *echo.Echo { return a.echo }

// WS registers h for sockets at path, with and without a slash at its end. Middleware runs before the upgrade: it can
// refuse with an ordinary HTTP response, and the headers that it sets are sent with the 101. Functions passed to
// echo.Response's Before and After are not called for an upgrade.
func (a *App) WS(path string, h Handler, m ...echo.MiddlewareFunc) *Route {
	return a.add(a.echo, path, h, RouteConfig{}, m)
}

// WSWithConfig is WS with settings for this route. It panics if they are invalid.
func (a *App) WSWithConfig(path string, h Handler, cfg RouteConfig, m ...echo.MiddlewareFunc) *Route {
	return a.add(a.echo, path, h, cfg, m)
}

// Group makes a group of routes with a common prefix and middleware, as echo.Group does.
func (a *App) Group(prefix string, m ...echo.MiddlewareFunc) *Group {
	return &Group{a, a.echo.Group(prefix, m...)}
}

// Group is a group of WebSocket routes.
type Group struct {
	app  *App
	echo *echo.Group
}

// WS is App.WS within the group.
func (g *Group) WS(path string, h Handler, m ...echo.MiddlewareFunc) *Route {
	return g.app.add(g.echo, path, h, RouteConfig{}, m)
}

// WSWithConfig is App.WSWithConfig within the group.
func (g *Group) WSWithConfig(path string, h Handler, cfg RouteConfig, m ...echo.MiddlewareFunc) *Route {
	return g.app.add(g.echo, path, h, cfg, m)
}

// Group makes a group within the group.
func (g *Group) Group(prefix string, m ...echo.MiddlewareFunc) *Group {
	return &Group{g.app, g.echo.Group(prefix, m...)}
}

// router has the methods of *echo.Echo and *echo.Group that we need. GET is the only method of a
// handshake (RFC 6455 section 4.1); Echo answers others with 405.
type router interface {
	GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route
}

func (a *App) add(to router, path string, h Handler, cfg RouteConfig, m []echo.MiddlewareFunc) *Route {
	r := newRoute(a, h, cfg)
	without := strings.TrimSuffix(path, "/")
	r.key = to.GET(without, r.serve, m...).Path
	r.path = strings.TrimSuffix(r.key, "/") + path[len(without):] // Echo turns "" into "/"
	r.handling = a.metrics.handling.WithLabelValues(r.path)
	a.routes[r.key] = r
	if !strings.HasSuffix(without, "*") {
		a.routes[to.GET(without+"/", r.serve, m...).Path] = r
	}
	return r
}

// Len returns the number of open sockets.
func (a *App) Len() int { return a.engine.Len() }

// Sockets ranges over the sockets that are open when the range begins.
func (a *App) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, c := range a.engine.Conns() {
			if !yield(socketOf(c)) {
				return
			}
		}
	}
}

// Stats are an App's numbers; counts are since its start. See also Collector.
type Stats struct {
	Sockets  int    // open now
	Dropped  uint64 // sockets closed because their peers did not read
	Refused  uint64 // handshakes refused because of MaxSockets or MaxAddressSockets
	Slowed   uint64 // messages that waited because of MessageRate
	Buffered int64  // bytes that count toward MaxBuffered now
	Full     uint64 // times that MaxBuffered, or an address's part of it, was reached
}

// Stats returns the App's numbers.
func (a *App) Stats() Stats {
	full, addressFull := a.engine.Buffers.Refused()
	return Stats{
		Sockets:  a.Len(),
		Dropped:  a.engine.Slow(),
		Refused:  a.admitted.full.Load() + a.admitted.addressFull.Load(),
		Slowed:   a.slowed.Load(),
		Buffered: a.engine.Buffers.Used(),
		Full:     full + addressFull,
	}
}

// enter reserves a place for a new connection, unless the App is shutting down.
func (a *App) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closing {
		a.engine.Hold()
	}
	return !a.closing
}

func (a *App) isClosing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closing
}

// spread is the time over which Shutdown closes many sockets, so that they do not all come back at once.
const spread = time.Second

// Shutdown answers new handshakes with 503, closes every socket with 1012, spread over a second, and waits until they
// have ended. If ctx ends first, it drops the remaining sockets and returns the context's error. It may be called again,
// and then waits again.
func (a *App) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last socket, whose Handler cannot be forced to return
		a.engine.Wait()
		close(done)
	}()
	a.closeSpread(ctx, a.engine.Conns())
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range a.engine.Conns() {
		c.Drop(wireError(errRestart))
	}
	return context.Cause(ctx)
}

var errRestart = &CloseError{CloseServiceRestart, "service restart"}

func (a *App) closeSpread(ctx context.Context, open []*conn.Conn) {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	batch := max(100, len(open)/int(spread/(10*time.Millisecond)))
	for i, c := range open {
		c.Close(errRestart.Code, errRestart.Reason)
		if i%batch == batch-1 && ctx.Err() == nil {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
}
