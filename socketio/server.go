package socketio

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"echows/internal/seldom"
	"echows/internal/share"
	"echows/socketio/engineio"
	"echows/ws"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// Engine configures the transport: pings, sizes, CORS, and whether clients may poll.
	Engine engineio.Config
	// Path is where the server is mounted; "/socket.io/" by default.
	Path string
	// ConnectTimeout is how long a new connection may take to connect to a namespace; 45 s by default.
	ConnectTimeout time.Duration
	// AckTimeout is how long EmitWithAck waits if its context has no deadline; 10 s by default.
	AckTimeout time.Duration
	// Limits bound the memory and work that one client can cost the server.
	Limits Limits
	// Recovery is how long a client that lost its connection can come back to the same socket, with its rooms, its
	// values and the events that it missed. The default, 0, turns recovery off; two minutes is typical. With recovery, each
	// event has one more argument, as in the reference: its offset. Clients that count arguments must expect it.
	Recovery time.Duration
	// RecoveryBytes bounds the memory for recovery, in all namespaces together; 16 MiB by default. Beyond it, the oldest
	// events and sockets are dropped first; memory may exceed the bound by a quarter for a moment.
	RecoveryBytes int64
	// RecoverySkipsUse lets a recovered socket connect without calling the Use functions again.
	RecoverySkipsUse bool
	// Adapter connects this node to the other nodes. If it is nil, there are no other nodes.
	Adapter Adapter
	// Journal lets a socket come back to any node; it requires an Adapter and Recovery. Without a Journal, a socket can
	// come back only to its own node.
	Journal Journal
	// Logger logs clients' mistakes and unreachable nodes (the first hundred lines of each kind, then at most five a second;
	// the next line says how many were left out), listeners that fail or panic, and, at level debug, each socket that
	// connects or disconnects. All lines about a connection have the same attribute id (see engineio.Session.LogID). No
	// line contains data from clients, except the names of events and namespaces. The default is slog.Default().
	Logger *slog.Logger
}

func (cfg *Config) setDefaults() {
	setDefault(&cfg.Path, "/socket.io/")
	if !strings.HasSuffix(cfg.Path, "/") {
		cfg.Path += "/"
	}
	setDefault(&cfg.ConnectTimeout, 45*time.Second)
	setDefault(&cfg.AckTimeout, 10*time.Second)
	setDefault(&cfg.RecoveryBytes, 16<<20)
	cfg.Limits.setDefaults(cfg.Engine.MaxPayload)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Engine.Logger == nil {
		cfg.Engine.Logger = cfg.Logger
	}
}

// Server serves the namespaces of one mount point. The embedded Namespace is the namespace "/". All methods may be called
// from any goroutine.
type Server struct {
	*Namespace
	config   Config
	engine   *engineio.Server
	cluster  *cluster // nil without an Adapter
	log      *slog.Logger
	partial  *share.Budget // for attachments that wait for the rest of their packets
	kept     budget        // for events and sockets that recovery keeps
	held     atomic.Int64  // bytes of events that wait for the journal
	tokens   atomic.Uint64 // of this node's last entry in the journal
	holdTime time.Duration // static: the constant, except in tests
	trimming atomic.Bool   // trim runs, or is about to run
	running  tasks         // callbacks of sockets that have ended, and answers to other nodes
	counters counters

	// These limit log lines, so that a flood does not fill the log.
	refusedConnects, refusedEvents, failures seldom.Lines

	mu         sync.Mutex
	namespaces map[string]*Namespace
	patterns   []pattern
	ended      bool // Shutdown has stopped the namespaces
}

// pattern creates the namespaces whose names it matches.
type pattern struct {
	match  func(name string, auth json.RawMessage) bool
	named  bool // match looks only at the name, and calls no application code
	parent *Namespace
}

// counters hold the numbers for Stats.
type counters struct {
	sockets                          atomic.Int64
	refused, recovered, lost, failed atomic.Uint64
	disconnected                     atomic.Uint64
	received, sent                   tally
	limits                           [limitCount]atomic.Uint64
}

// reached counts one refusal by a limit.
func (c *counters) reached(l limit) { c.limits[l].Add(1) }

// Stats are a Server's statistics on this node. They count since its start, unless a field says now.
type Stats struct {
	Engine    engineio.Stats
	Sockets   int    // connected now
	Partial   int64  // bytes that count toward Limits.PartialBytes now
	Received  uint64 // events from clients
	Sent      uint64 // events queued for sending, counted once for each socket
	Refused   uint64 // CONNECTs refused
	Recovered uint64 // clients that came back to their sockets
	Lost      uint64 // clients that tried to come back but could not
	Failed    uint64 // messages that did not reach other nodes, or arrived damaged

	Disconnected uint64 // sockets that the application ended

	reached [limitCount]uint64 // how often each of the Limits refused something
}

// Stats returns the Server's current statistics.
func (s *Server) Stats() Stats {
	c := &s.counters
	stats := Stats{
		Engine:    s.engine.Stats(),
		Sockets:   int(c.sockets.Load()),
		Partial:   s.partial.Used(),
		Received:  c.received.sum(),
		Sent:      c.sent.sum(),
		Refused:   c.refused.Load(),
		Recovered: c.recovered.Load(),
		Lost:      c.lost.Load(),
		Failed:    c.failed.Load(),

		Disconnected: c.disconnected.Load(),
	}
	for l := range c.limits {
		stats.reached[l] = c.limits[l].Load()
	}
	return stats
}

// New mounts a Server on the App's Echo: the transports at cfg.Path, and the browser scripts below it.
func New(app *ws.App, cfg Config) *Server {
	cfg.setDefaults()
	s := &Server{
		config:     cfg,
		log:        cfg.Logger,
		partial:    share.New(cfg.Limits.PartialBytes),
		kept:       budget{most: cfg.RecoveryBytes},
		holdTime:   holdTime,
		namespaces: map[string]*Namespace{},
	}
	for _, lines := range []*seldom.Lines{&s.refusedConnects, &s.refusedEvents, &s.failures} {
		lines.First, lines.Interval = 100, time.Second/5
	}
	if cfg.Adapter != nil {
		s.cluster = newCluster(s, cfg.Adapter)
	}
	s.Namespace = s.Of("/")
	serveScripts(app.Echo(), cfg.Path)
	s.engine = engineio.New(app, cfg.Path, cfg.Engine, s.accept)
	if s.cluster != nil {
		s.cluster.serve()
	}
	return s
}

// Of returns the namespace with that name, such as "/admin", and creates it if it does not exist. A leading slash is added
// if it is missing. If a pattern given to OfMatch matches the name of a new namespace, the pattern's functions apply to
// it. Of panics if the name is invalid.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if !validNamespace(name) {
		panic("socketio: " + name + " cannot be a namespace's name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[name]
	if n == nil {
		var parent *Namespace
		for _, p := range s.patterns {
			if p.named && p.match(name, nil) {
				parent = p.parent
				break
			}
		}
		n = s.addLocked(name, parent)
	}
	n.permanent = true
	return n
}

// OfMatch returns a Namespace that stands for all namespaces whose whole name matches, except those that Of created
// earlier. A matching namespace begins with its first socket and ends with its last. Functions given to Use and OnConnect
// apply to each matching namespace, and an event emitted here goes to each that this node has, on all nodes. As in the
// reference, the other methods do nothing: call them on the namespaces (Socket.Namespace).
func (s *Server) OfMatch(match *regexp.Regexp) *Namespace {
	whole := regexp.MustCompile("^(?:" + match.String() + ")$") // the group keeps alternatives whole
	return s.addPattern(match.String(), pattern{
		match: func(name string, _ json.RawMessage) bool { return whole.MatchString(name) },
		named: true,
	})
}

// OfFunc is like OfMatch, for names that match accepts; auth is the payload of CONNECT. Several goroutines may call match
// at the same time. Of has no payload, so it does not call match: the functions given here do not apply to a namespace that
// Of created first.
func (s *Server) OfFunc(match func(name string, auth json.RawMessage) bool) *Namespace {
	return s.addPattern("function", pattern{match: match})
}

func (s *Server) addPattern(name string, p pattern) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.parent = newNamespace(s, "pattern "+name, nil) // which is no namespace's name, on no node
	p.parent.isPattern = true
	s.patterns = append(s.patterns, p)
	return p.parent
}

func (s *Server) addLocked(name string, parent *Namespace) *Namespace {
	n := newNamespace(s, name, parent)
	switch {
	case s.ended: // nobody would stop it
		n.stop()
	case n.recovery != nil && s.cluster != nil && s.config.Journal != nil:
		n.openJournal()
	}
	s.namespaces[name] = n
	return n
}

// use returns the namespace that a client asks for, or nil, and counts one more user of it. The caller must call release.
func (s *Server) use(name string, auth json.RawMessage) *Namespace {
	if !validNamespace(name) {
		return nil
	}
	if n := s.useNamed(name, nil); n != nil {
		return n
	}
	s.mu.Lock()
	patterns := s.patterns // append-only
	s.mu.Unlock()
	for _, p := range patterns {
		if p.match(name, auth) { // without the lock: this is application code
			return s.useNamed(name, p.parent)
		}
	}
	return nil
}

// useNamed is like use, but creates a missing namespace only if parent, a pattern's namespace, is not nil.
func (s *Server) useNamed(name string, parent *Namespace) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[name]
	if n == nil && parent != nil {
		n = s.addLocked(name, parent)
	}
	if n != nil {
		n.users++
	}
	return n
}

// release ends one use of a namespace. The last release ends a namespace that a pattern created.
func (s *Server) release(n *Namespace) {
	s.mu.Lock()
	n.users--
	s.mu.Unlock()
	s.drop(n)
}

// drop ends a namespace that a pattern created, if nobody uses or needs it.
func (s *Server) drop(n *Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.users == 0 && !n.permanent && !n.isNeeded() && s.namespaces[n.name] == n {
		delete(s.namespaces, n.name)
		n.stop()
	}
}

func (s *Server) all() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.namespaces))
}

// lookup returns the namespace with that name, or nil.
func (s *Server) lookup(name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namespaces[name]
}

// children returns the namespaces that a pattern created.
func (s *Server) children(parent *Namespace) (all []*Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.namespaces {
		if n.parent == parent {
			all = append(all, n)
		}
	}
	return all
}

// Sessions returns the number of connections to this node, by long-polling or WebSocket.
func (s *Server) Sessions() int { return s.engine.Len() }

// closeTime is how long Close waits.
const closeTime = 5 * time.Second

// Close calls Shutdown with a timeout of five seconds, and logs its error.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.log.Warn("Socket.IO did not end in time", "error", err)
	}
}

// Shutdown refuses new connections, closes all existing ones, and waits until callbacks and OnDisconnect functions have
// returned or ctx ends. The error wraps ctx.Err().
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.engine.Shutdown(ctx)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	for _, n := range s.all() {
		n.stop()
	}
	if waiting := s.running.wait(ctx); waiting != nil {
		err = cmp.Or(err, fmt.Errorf("socketio: callbacks are still running: %w", waiting))
	}
	if s.cluster != nil {
		s.cluster.close()
	}
	return err
}
