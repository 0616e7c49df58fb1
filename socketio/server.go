package socketio

import (
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"echows/hub"
	"echows/socketio/engineio"
	"echows/ws"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// Engine holds those of the transport: pings, sizes, CORS.
	Engine engineio.Config
	// Path is where the server is mounted; "/socket.io/" by default.
	Path string
	// ConnectTimeout is how long a connection may be without a namespace at its beginning; 45 s by default.
	ConnectTimeout time.Duration
	// Recovery is how long a socket that lost its connection can come back as the same one, with its rooms
	// and what it missed; 0, the default, is never, and two minutes are usual. What was emitted is kept in
	// memory for so long.
	Recovery time.Duration
	// RecoveryBytes bounds that memory; 16 MiB by default. The oldest goes first.
	RecoveryBytes int
	// Logger gets a line for what clients do wrong; slog.Default() by default.
	Logger *slog.Logger
}

// Server is the namespaces of one mount point. Its methods may be called from any goroutine; those of
// Namespace are of the namespace "/".
type Server struct {
	*Namespace
	config Config
	hub    *hub.Hub
	engine *engineio.Server
	log    *slog.Logger

	mu         sync.Mutex
	namespaces map[string]*Namespace
	patterns   []pattern
}

// pattern makes namespaces whose name it matches.
type pattern struct {
	match *regexp.Regexp
	like  *Namespace
}

// New mounts a server on the App's Echo: the transports at cfg.Path, and the browser's script at
// socket.io.js below it. Topics of h whose names begin with "socket.io" are its own.
func New(app *ws.App, h *hub.Hub, cfg Config) *Server {
	if cfg.Path == "" {
		cfg.Path = "/socket.io/"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 45 * time.Second
	}
	if cfg.RecoveryBytes == 0 {
		cfg.RecoveryBytes = 16 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Engine.Logger == nil {
		cfg.Engine.Logger = cfg.Logger
	}
	s := &Server{config: cfg, hub: h, log: cfg.Logger, namespaces: map[string]*Namespace{}}
	s.Namespace = s.Of("/")
	serveScripts(app.Echo(), cfg.Path)
	s.engine = engineio.New(app, cfg.Path, cfg.Engine, s.accept)
	return s
}

// Of returns the namespace of that name, such as "/admin", and makes it if there is none. A name that
// cannot be one panics.
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
		n = newNamespace(s, name)
		s.namespaces[name] = n
	}
	n.lasts = true
	return n
}

// OfMatch returns what stands for all namespaces whose whole name matches, and that Of does not name. They
// begin with their first socket and end with their last. What Use and OnConnect are given here holds for
// each; emitting is up to each, which Socket.Namespace returns.
func (s *Server) OfMatch(match *regexp.Regexp) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	like := newNamespace(s, match.String())
	whole := regexp.MustCompile("^(?:" + match.String() + ")$") // which alternatives find, too
	s.patterns = append(s.patterns, pattern{whole, like})
	return like
}

// use returns the namespace that a client asks for, for one more user, or nil. release ends the use.
func (s *Server) use(name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.namespaces[name]; n != nil {
		n.users++
		return n
	}
	if !validNamespace(name) {
		return nil
	}
	for _, p := range s.patterns {
		if p.match.MatchString(name) {
			n := newNamespace(s, name)
			n.like = p.like
			n.users++
			s.namespaces[name] = n
			return n
		}
	}
	return nil
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
	if n.users == 0 && !n.lasts && n.recovery.empty() && s.namespaces[n.name] == n {
		n.recovery.stop()
		delete(s.namespaces, n.name)
	}
}

// Sessions is the number of connections, by long-polling or WebSocket.
func (s *Server) Sessions() int { return s.engine.Len() }

// Close refuses new connections and ends all there are.
func (s *Server) Close() {
	s.engine.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.namespaces {
		n.recovery.stop()
	}
}
