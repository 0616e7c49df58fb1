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

	"golang.org/x/time/rate"

	"echows/internal/share"
	"echows/socketio/engineio"
	"echows/ws"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// Engine holds those of the transport: pings, sizes, CORS, whether there is long-polling.
	Engine engineio.Config
	// Path is where the server is mounted; "/socket.io/" by default.
	Path string
	// ConnectTimeout is how long a connection may be without a namespace at its beginning; 45 s by default.
	ConnectTimeout time.Duration
	// AckTimeout bounds the wait of EmitWithAck where its context has no deadline; 10 s by default.
	AckTimeout time.Duration
	// Limits bound what one client can make the server keep or do.
	Limits Limits
	// Recovery is how long a socket that lost its connection can come back as the same one, with its rooms, its
	// data and what it missed. 0, the default, is never, and two minutes are usual. Each event then has one more
	// argument, as in the reference: its offset, which clients that count their arguments have to expect.
	Recovery time.Duration
	// RecoveryBytes bounds what is kept for that, over all namespaces; 16 MiB by default. The oldest goes first; for a
	// moment a quarter more may be kept.
	RecoveryBytes int64
	// RecoverySkipsUse lets a socket that comes back pass without Use's functions.
	RecoverySkipsUse bool
	// Adapter reaches the other nodes; without one there are none.
	Adapter Adapter
	// Journal lets a socket come back on another node, where there is an Adapter and Recovery; without one it comes back
	// to its own only.
	Journal Journal
	// Logger gets lines for what clients do wrong, after the first hundred no more than five a second; for listeners that
	// fail or panic; and, at level debug, for each socket that comes or goes. The attribute id is the connection's, in
	// all its lines (see engineio.Session.LogID). What clients send, but for names of events and namespaces, is in none.
	// slog.Default() by default.
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
	cfg.Limits.setDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Engine.Logger == nil {
		cfg.Engine.Logger = cfg.Logger
	}
}

// Server is the namespaces of one mount point. Its methods may be called from any goroutine; those of
// Namespace are of the namespace "/".
type Server struct {
	*Namespace
	config   Config
	engine   *engineio.Server
	cluster  *cluster // nil where there are no other nodes
	log      *slog.Logger
	partial  *share.Budget // of attachments that wait for the rest of their packets
	kept     budget        // of what recovery keeps
	trimming atomic.Bool   // trim runs, or is about to
	running  tasks         // callbacks of sockets that have ended, and answers to other nodes
	counters counters

	complaints rate.Sometimes // about what clients do wrong: a flood of it is not to fill the log

	mu         sync.Mutex
	namespaces map[string]*Namespace
	patterns   []pattern
}

// pattern makes namespaces whose name it matches.
type pattern struct {
	match  func(name string, auth json.RawMessage) bool
	named  bool // match looks at the name alone, and calls nothing of the application
	parent *Namespace
}

// counters are what Stats tells.
type counters struct {
	sockets                          atomic.Int64
	refused, recovered, lost, failed atomic.Uint64
	received, sent                   tally
	limits                           [limitCount]atomic.Uint64
}

// reached counts that a limit refused something.
func (c *counters) reached(l limit) { c.limits[l].Add(1) }

// Stats are a Server's numbers, for this node, since its start.
type Stats struct {
	Engine    engineio.Stats
	Sockets   int    // that are connected now
	Received  uint64 // events
	Sent      uint64 // events, once for each socket that one was queued for
	Refused   uint64 // CONNECTs
	Recovered uint64 // sockets that came back as the same
	Lost      uint64 // sockets that wanted to, and could not
	Failed    uint64 // messages that did not reach the other nodes, or came from them damaged

	reached [limitCount]uint64 // how often each of the Limits refused something
}

// Stats returns the Server's numbers.
func (s *Server) Stats() Stats {
	c := &s.counters
	stats := Stats{
		Engine:    s.engine.Stats(),
		Sockets:   int(c.sockets.Load()),
		Received:  c.received.sum(),
		Sent:      c.sent.sum(),
		Refused:   c.refused.Load(),
		Recovered: c.recovered.Load(),
		Lost:      c.lost.Load(),
		Failed:    c.failed.Load(),
	}
	for l := range c.limits {
		stats.reached[l] = c.limits[l].Load()
	}
	return stats
}

// New mounts a server on the App's Echo: the transports at cfg.Path, and the browser's scripts below it.
func New(app *ws.App, cfg Config) *Server {
	cfg.setDefaults()
	s := &Server{
		config:     cfg,
		log:        cfg.Logger,
		partial:    share.New(cfg.Limits.PartialBytes),
		kept:       budget{most: cfg.RecoveryBytes},
		complaints: rate.Sometimes{First: 100, Interval: time.Second / 5},
		namespaces: map[string]*Namespace{},
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

// Of returns the namespace of that name, such as "/admin", and makes it if there is none. One that a
// pattern matches gets the pattern's functions. A name that cannot be one panics.
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

// OfMatch returns what stands for all namespaces whose whole name matches, and that Of did not make before. They
// begin with their first socket and end with their last. What Use, OnConnect and the like are given here holds
// for each; what is emitted here goes to each.
func (s *Server) OfMatch(match *regexp.Regexp) *Namespace {
	whole := regexp.MustCompile("^(?:" + match.String() + ")$") // which alternatives find, too
	return s.addPattern(match.String(), pattern{
		match: func(name string, _ json.RawMessage) bool { return whole.MatchString(name) },
		named: true,
	})
}

// OfFunc is OfMatch for the names that match accepts, with CONNECT's payload in hand. It may be called by
// several goroutines at once. Of has no payload, so it does not ask match: a namespace that Of makes first is one
// of its own, without the functions given here.
func (s *Server) OfFunc(match func(name string, auth json.RawMessage) bool) *Namespace {
	return s.addPattern("(a function)", pattern{match: match})
}

func (s *Server) addPattern(name string, p pattern) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.parent = newNamespace(s, name, nil)
	p.parent.isPattern = true
	s.patterns = append(s.patterns, p)
	return p.parent
}

func (s *Server) addLocked(name string, parent *Namespace) *Namespace {
	n := newNamespace(s, name, parent)
	if n.recovery != nil && s.cluster != nil && s.config.Journal != nil {
		n.openJournal()
	}
	s.namespaces[name] = n
	return n
}

// use returns the namespace that a client asks for, for one more user, or nil. release ends the use.
func (s *Server) use(name string, auth json.RawMessage) *Namespace {
	if !validNamespace(name) {
		return nil
	}
	if n := s.useNamed(name, nil); n != nil {
		return n
	}
	s.mu.Lock()
	patterns := s.patterns // which are added to, and never changed
	s.mu.Unlock()
	for _, p := range patterns {
		if p.match(name, auth) { // without the lock: it is the application's
			return s.useNamed(name, p.parent)
		}
	}
	return nil
}

// useNamed is use for a name that a pattern matched, whose namespace is made if there is none, or for no pattern.
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

// release ends one use of a namespace, and the namespace with the last, if it was made by a pattern.
func (s *Server) release(n *Namespace) {
	s.mu.Lock()
	n.users--
	s.mu.Unlock()
	s.drop(n)
}

// drop ends a namespace that was made by a pattern, when nobody uses it or may come back to it.
func (s *Server) drop(n *Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.users == 0 && !n.permanent && !n.mayComeBack() && s.namespaces[n.name] == n {
		delete(s.namespaces, n.name)
		n.stop()
	}
}

// all are the namespaces there are.
func (s *Server) all() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.namespaces))
}

// lookup returns the namespace of a name, or nil.
func (s *Server) lookup(name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namespaces[name]
}

// children are the namespaces that a pattern made.
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

// Sessions is the number of connections to this node, by long-polling or WebSocket.
func (s *Server) Sessions() int { return s.engine.Len() }

// closeTime bounds what Close waits for.
const closeTime = 5 * time.Second

// Close is Shutdown with five seconds.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.log.Warn("Socket.IO did not end in time", "error", err)
	}
}

// Shutdown refuses new connections, ends all there are, and waits, until ctx ends, for the callbacks that are
// under way and those of OnDisconnect. The error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.engine.Shutdown(ctx)
	for _, n := range s.all() {
		n.stop()
	}
	if waiting := s.running.wait(ctx); waiting != nil {
		err = cmp.Or(err, fmt.Errorf("socketio: callbacks are under way: %w", waiting))
	}
	if s.cluster != nil {
		s.cluster.close()
	}
	return err
}
