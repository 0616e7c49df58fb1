package ws

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// Config holds an App's settings. The zero value is ready for use.
type Config struct {
	// Origins are the foreign origins whose pages may connect, such as "https://example.com", or "*"
	// for all. Pages of the server's own host always may, and so may clients that send no Origin.
	Origins []string
	// MaxMessage is the longest message taken, in bytes over all its fragments; 1 MiB by default.
	// A longer one ends its connection with 1009.
	MaxMessage int
	// Outbox is how many bytes may wait to be sent to one socket; 256 KiB by default.
	Outbox int
	// PingInterval is the time between two pings; 25 s by default. A connection that gives no sign of
	// life for twice as long is ended.
	PingInterval time.Duration
	// WriteTimeout is how long one write may wait for the peer to read; 10 s by default. After it the
	// connection is ended.
	WriteTimeout time.Duration
	// CloseTimeout is how long the peer has to answer a close frame that was written; 3 s by default.
	CloseTimeout time.Duration
	// Logger gets one line for each connection opened and closed, and the failures of callbacks;
	// slog.Default() by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.MaxMessage = cmp.Or(c.MaxMessage, 1<<20)
	c.Outbox = cmp.Or(c.Outbox, 256<<10)
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 3*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}

// App gives an Echo server WebSocket routes. Its methods may be called from any goroutine.
type App struct {
	echo    *echo.Echo
	config  Config
	log     *slog.Logger
	name    string // random, the first half of every socket's ID
	tick    time.Duration
	ticks   int64 // in a ping interval
	flusher flusher
	clock   atomic.Int64 // ticks since the start
	numbers atomic.Uint64
	dropped atomic.Uint64

	running sync.WaitGroup // every goroutine of the App

	mu        sync.Mutex // guards the rest
	closing   bool
	sockets   map[*Socket]struct{}
	stopSweep chan struct{} // closed when the last socket leaves
}

// New gives e WebSocket routes, with middleware that is to run before all other: call it before
// e.Pre. It panics where cfg is nonsense, such as an origin without a scheme.
func New(e *echo.Echo, cfg Config) *App {
	for _, o := range cfg.Origins {
		if _, err := parseOrigin(o); err != nil && o != "*" {
			panic(err)
		}
	}
	if cfg.MaxMessage < 0 || cfg.Outbox < 0 || cfg.PingInterval < 0 || cfg.WriteTimeout < 0 || cfg.CloseTimeout < 0 {
		panic("ws: a size or time in Config is negative; 0 stands for its default")
	}
	cfg = cfg.withDefaults()
	a := &App{echo: e, config: cfg, log: cfg.Logger, sockets: make(map[*Socket]struct{})}
	a.tick = min(max(cfg.PingInterval/32, 10*time.Millisecond), time.Second)
	a.ticks = max(int64(cfg.PingInterval/a.tick), 1)
	a.flusher.spawn = a.running.Go
	var id [3]byte
	rand.Read(id[:])
	a.name = hex.EncodeToString(id[:])
	e.Pre(a.own)
	return a
}

// Echo is the server that the App belongs to.
func (a *App) Echo() *echo.Echo { return a.echo }

// WS registers h for sockets at path, with and without a slash at its end. Middleware runs before
// the upgrade, so what it refuses is an ordinary HTTP answer, and the header it sets goes with the
// 101. Only functions given to echo.Response's Before and After are not called for an upgrade.
func (a *App) WS(path string, h Handler, m ...echo.MiddlewareFunc) *Route {
	return a.add(a.echo, path, h, m)
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
	return g.app.add(g.echo, path, h, m)
}

// Group makes a group within the group.
func (g *Group) Group(prefix string, m ...echo.MiddlewareFunc) *Group {
	return &Group{g.app, g.echo.Group(prefix, m...)}
}

// router is what *echo.Echo and *echo.Group have in common for us. GET is the only method of a
// handshake (RFC 6455 section 4.1); Echo answers others with 405.
type router interface {
	GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route
}

func (a *App) add(to router, path string, h Handler, m []echo.MiddlewareFunc) *Route {
	r := &Route{app: a, handler: h, sockets: make(map[*Socket]struct{})}
	path = strings.TrimSuffix(path, "/")
	to.GET(path, r.serve, m...)
	if !strings.HasSuffix(path, "*") {
		to.GET(path+"/", r.serve, m...)
	}
	return r
}

// Len is the number of open sockets.
func (a *App) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sockets)
}

// Sockets ranges over the sockets that are open when the range begins.
func (a *App) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range a.list(nil) {
			if !yield(s) {
				return
			}
		}
	}
}

// Dropped is how many sockets were closed with 1013, because they did not read what was broadcast.
func (a *App) Dropped() uint64 { return a.dropped.Load() }

func (a *App) list(into []*Socket) []*Socket {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.sockets {
		into = append(into, s)
	}
	return into
}

var errShuttingDown = errors.New("the server is shutting down; connect again in a moment")

// enter takes the place of a connection to come, unless the App is shutting down.
func (a *App) enter() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return errShuttingDown
	}
	a.running.Add(1)
	return nil
}

// open makes s one of the App's sockets. The first of them sets the sweep going.
func (a *App) open(s *Socket) {
	a.mu.Lock()
	a.sockets[s] = struct{}{}
	if len(a.sockets) == 1 {
		a.stopSweep = make(chan struct{})
		stop := a.stopSweep
		a.running.Go(func() { a.sweep(stop) })
	}
	closing := a.closing
	a.mu.Unlock()
	s.route.mu.Lock()
	s.route.sockets[s] = struct{}{}
	s.route.mu.Unlock()
	if closing { // Shutdown may have missed it
		s.close(errRestart, false)
	}
}

func (a *App) remove(s *Socket) {
	s.route.mu.Lock()
	delete(s.route.sockets, s)
	s.route.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sockets, s)
	if len(a.sockets) == 0 {
		close(a.stopSweep)
	}
}

var errRestart = &CloseError{CloseServiceRestart, "service restart"}

// spread is the time over which Shutdown closes many sockets, so that they do not all come back at once.
const spread = time.Second

// Shutdown answers newcomers with 503, closes every socket with 1012 and waits for them to end. When
// ctx is over it drops those that are left and returns ctx's error. It may be called again, and waits again.
func (a *App) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last socket, whose Handler this cannot force to return
		a.running.Wait()
		close(done)
	}()
	open := a.list(nil)
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	batch := max(100, len(open)*int(10*time.Millisecond)/int(spread))
	for i, s := range open {
		s.close(errRestart, false)
		if i%batch == batch-1 && ctx.Err() == nil {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for s := range a.Sockets() {
		s.abort(errRestart)
	}
	return context.Cause(ctx)
}
