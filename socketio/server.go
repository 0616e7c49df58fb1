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
	// Engine holds the settings of the transport: pings, sizes, CORS, whether clients may poll.
	Engine engineio.Config
	// Path is where the server is mounted; "/socket.io/" by default.
	Path string
	// ConnectTimeout is how long a new connection may take to connect to a namespace; 45 s by default.
	ConnectTimeout time.Duration
	// AckTimeout bounds how long EmitWithAck waits if its context has no deadline; 10 s by default.
	AckTimeout time.Duration
	// Limits bound what one client can make the server keep or do.
	Limits Limits
	// Recovery is how long a client that lost its connection can come back to the same socket, with its rooms, its
	// values and the events that it missed. The default, 0, turns recovery off; two minutes are usual. With recovery, each
	// event has one more argument, as in the reference: its offset. Clients that count their arguments have to expect it.
	Recovery time.Duration
	// RecoveryBytes bounds what is kept for recovery, in all namespaces together; 16 MiB by default. Past it, the oldest is
	// dropped first; for a moment a quarter more may be kept.
	RecoveryBytes int64
	// RecoverySkipsUse lets a socket that comes back connect without passing the Use functions again.
	RecoverySkipsUse bool
	// Adapter reaches the other nodes. Without one, this node is alone.
	Adapter Adapter
	// Journal lets a socket come back to any node, if there are an Adapter and Recovery. Without one, a socket can come
	// back to its own node only.
	Journal Journal
	// Logger gets lines about clients' mistakes and about nodes that are not reached (of each kind the first hundred, then five
	// a second at most; the next line says how many were left out), about listeners that fail or panic, and, at level debug,
	// about each socket that connects or disconnects. All lines of a connection have the same attribute id (see
	// engineio.Session.LogID). No line contains what clients send, except the names of events and namespaces. The default is
	// slog.Default().
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

// Server serves the namespaces of one mount point. The methods of the embedded Namespace are those of the namespace "/".
// All methods may be called from any goroutine.
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

	// Lines of the log: a flood of them must not fill it.
	refusedConnects, refusedEvents, failures seldom.Lines

	mu         sync.Mutex
	namespaces map[string]*Namespace
	patterns   []pattern
}

// pattern makes the namespaces whose names it matches.
type pattern struct {
	match  func(name string, auth json.RawMessage) bool
	named  bool // match looks only at the name, and calls no application code
	parent *Namespace
}

// counters are behind Stats.
type counters struct {
	sockets                          atomic.Int64
	refused, recovered, lost, failed atomic.Uint64
	received, sent                   tally
	limits                           [limitCount]atomic.Uint64
}

// reached counts that a limit refused something.
func (c *counters) reached(l limit) { c.limits[l].Add(1) }

// Stats are a Server's numbers: on this node, and since its start unless a field says now.
type Stats struct {
	Engine    engineio.Stats
	Sockets   int    // connected now
	Received  uint64 // events from clients
	Sent      uint64 // events queued to be sent, each counted once for each socket
	Refused   uint64 // CONNECTs refused
	Recovered uint64 // clients that came back to their sockets
	Lost      uint64 // clients that tried to come back, and could not
	Failed    uint64 // messages that did not reach other nodes, or arrived from them damaged

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

// New mounts a Server on the App's Echo: the transports at cfg.Path, and the scripts for browsers below it.
func New(app *ws.App, cfg Config) *Server {
	cfg.setDefaults()
	s := &Server{
		config:     cfg,
		log:        cfg.Logger,
		partial:    share.New(cfg.Limits.PartialBytes),
		kept:       budget{most: cfg.RecoveryBytes},
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

// Of returns the namespace with that name, such as "/admin", and makes it if there is none. If a pattern matches the name,
// the pattern's functions apply to the namespace. Of panics if no namespace can have that name.
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

// OfMatch returns a Namespace that stands for all namespaces whose whole name matches, except those that Of has made
// before. Such a namespace begins with its first socket and ends with its last. Functions given to Use, OnConnect and the
// like apply to each of them, and an event emitted here goes to each.
func (s *Server) OfMatch(match *regexp.Regexp) *Namespace {
	whole := regexp.MustCompile("^(?:" + match.String() + ")$") // which alternatives find, too
	return s.addPattern(match.String(), pattern{
		match: func(name string, _ json.RawMessage) bool { return whole.MatchString(name) },
		named: true,
	})
}

// OfFunc is like OfMatch, for the names that match accepts; auth is CONNECT's payload. Several goroutines may call match at
// once. Of has no payload, so it does not call match: a namespace that Of made first does not get the functions given here.
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

// use returns the namespace that a client asks for, or nil, and counts one more user of it. release ends the use.
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

// useNamed is use for an existing namespace, or, if parent is a pattern's, for one that is made if there is none.
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

// release ends one use of a namespace. The last release ends a namespace that a pattern made.
func (s *Server) release(n *Namespace) {
	s.mu.Lock()
	n.users--
	s.mu.Unlock()
	s.drop(n)
}

// drop ends a namespace that a pattern made, if nobody uses it or may come back to it.
func (s *Server) drop(n *Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.users == 0 && !n.permanent && !n.mayComeBack() && s.namespaces[n.name] == n {
		delete(s.namespaces, n.name)
		n.stop()
	}
}

// all returns all namespaces.
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

// children returns the namespaces that a pattern made.
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

// closeTime bounds how long Close waits.
const closeTime = 5 * time.Second

// Close calls Shutdown with a timeout of five seconds, and logs its error.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.log.Warn("Socket.IO did not end in time", "error", err)
	}
}

// Shutdown refuses new connections, ends all existing ones, and waits for running callbacks and OnDisconnect functions,
// or until ctx ends. The error is ctx's.
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
