package ws

import (
	"cmp"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/share"
	"echows/ws/internal/conn"
)

// RouteConfig holds the settings of one route. For a field that is zero, the App's Config applies.
type RouteConfig struct {
	// Subprotocols are the ones that the route speaks (RFC 6455 section 1.9). Of those that a client offers, the first
	// that is among them is chosen.
	Subprotocols []string
	// Origins, MaxMessage, SendBuffer and Compression are those of Config, for this route.
	Origins     []string
	MaxMessage  int
	SendBuffer  int
	Compression Compression
	// MessageRate is that of Config; a negative value means no limit.
	MessageRate float64
	// NoPing turns off the pings, and silent connections are no longer ended. It is for protocols with pings of their own;
	// Socket.Silence says how long a peer has been silent.
	NoPing bool
}

// Route is a route and its sockets. Its methods may be called from any goroutine.
type Route struct {
	app      *App
	handler  Handler
	settings RouteConfig
	config   *conn.Config
	path     string // as registered, within its group
	key      string // without a trailing slash, as Echo knows it

	opened   atomic.Uint64 // connections
	counters *conn.Counters
	handling prometheus.Observer // seconds that callbacks take

	log conn.Log // of broadcasts

	mu      sync.Mutex // guards sockets; held while a broadcast is queued, so all members see one order
	sockets map[*Socket]struct{}
}

func newRoute(a *App, h Handler, cfg RouteConfig) *Route {
	for _, o := range cfg.Origins {
		if err := ParseOrigin(o); err != nil {
			panic(err)
		}
	}
	if cfg.MaxMessage < 0 || cfg.SendBuffer < 0 {
		panic(fmt.Errorf("ws: a size in RouteConfig is negative; 0 means the App's"))
	}
	if cfg.Origins == nil {
		cfg.Origins = a.config.Origins
	}
	cfg.MaxMessage = cmp.Or(cfg.MaxMessage, a.config.MaxMessage)
	cfg.SendBuffer = cmp.Or(cfg.SendBuffer, a.config.SendBuffer, max(cfg.MaxMessage, leastSendBuffer))
	cfg.Compression = cmp.Or(cfg.Compression, a.config.Compression, CompressionOff)
	cfg.MessageRate = cmp.Or(cfg.MessageRate, a.config.MessageRate)
	if int64(cfg.MaxMessage) > share.Part(a.config.MaxBuffered) {
		panic(fmt.Errorf("ws: MaxMessage %d of a route is more than a quarter of MaxBuffered %d, which is what one address may hold", cfg.MaxMessage, a.config.MaxBuffered))
	}
	counters := new(conn.Counters)
	return &Route{
		app:      a,
		handler:  h,
		settings: cfg,
		counters: counters,
		config: &conn.Config{
			MaxMessage:     cfg.MaxMessage,
			SendBuffer:     cfg.SendBuffer,
			PingInterval:   a.config.PingInterval,
			NoPing:         cfg.NoPing,
			WriteTimeout:   a.config.WriteTimeout,
			CloseTimeout:   a.config.CloseTimeout,
			MessageTimeout: a.config.MessageTimeout,
			Counters:       counters,
		},
		sockets: make(map[*Socket]struct{}),
	}
}

// Len returns the number of the route's open sockets.
func (r *Route) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sockets)
}

// Sockets ranges over the sockets that the route has when the range begins.
func (r *Route) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range r.list() {
			if !yield(s) {
				return
			}
		}
	}
}

func (r *Route) list() []*Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Socket, 0, len(r.sockets))
	for s := range r.sockets {
		all = append(all, s)
	}
	return all
}

// opening holds what is broadcast to a socket from just before its client gets the 101 until its Handler has returned. The
// socket gets it afterwards, so that what the Handler sends comes first, and nothing is missed.
type opening struct {
	held  []*Prepared
	bytes int
}

// join makes s, whose Handler is still to run, one of the route's sockets.
func (r *Route) join(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened.Add(1)
	s.opening = new(opening)
	r.sockets[s] = struct{}{}
}

// admit sends s what was held for it, when its Handler has returned.
func (r *Route) admit(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := s.opening.held
	s.opening = nil
	for _, p := range held {
		s.Offer(p)
	}
}

// offerLocked is s.Offer for a socket that may be opening.
func (r *Route) offerLocked(s *Socket, p *Prepared) {
	o := s.opening
	switch {
	case o == nil:
		s.Offer(p)
	case o.bytes >= r.settings.SendBuffer:
		s.conn.Close(CloseTryAgainLater, "too much was broadcast before the connection was ready")
	default:
		o.held = append(o.held, p)
		o.bytes += p.Len()
	}
}

func (r *Route) leave(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, s)
}

// Broadcast sends m to every socket of the route except the given ones; a client is among them from before it has the answer
// to its handshake. All of them get the route's broadcasts in the same order, and one whose Handler has not returned yet
// gets them when it has. It never waits: it closes a socket whose peer does not read with 1013; see Socket.Offer. In a
// callback, use Socket.Broadcast, which slows down a socket that sends too fast. The error says what is wrong with m, as
// that of Send does.
func (r *Route) Broadcast(m Message, except ...*Socket) error {
	p, err := Prepare(m)
	if err != nil {
		return err
	}
	r.offer(p, except)
	return nil
}

// BroadcastIf is Broadcast to the sockets for which to returns true. It calls to once for each socket.
func (r *Route) BroadcastIf(m Message, to func(*Socket) bool) error {
	p, err := Prepare(m)
	if err != nil {
		return err
	}
	var chosen []*Socket
	for s := range r.Sockets() {
		if to(s) { // not with mu held
			chosen = append(chosen, s)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range chosen {
		r.offerLocked(s, p)
	}
	return nil
}

func (r *Route) offer(p *Prepared, except []*Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p = &Prepared{r.log.Place(p.frames)} // under mu, to be in the order of the broadcasts
next:
	for s := range r.sockets {
		for _, other := range except {
			if s == other {
				continue next
			}
		}
		r.offerLocked(s, p)
	}
}

// Close closes every socket of the route, as Socket.Close does.
func (r *Route) Close(code CloseCode, reason string) error {
	if !code.MayBeSent() {
		return errBadCloseCode
	}
	for s := range r.Sockets() {
		s.Close(code, reason)
	}
	return nil
}
