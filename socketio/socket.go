package socketio

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"echows/ws"
)

// ErrClosed is what emitting to a socket returns once it has ended, or before it is connected; it is ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// Socket is one client in one namespace. It is
//
//	new        Use's functions judge it
//	connected  its client knows; OnConnect's functions have it, and then its listeners
//	ended      for good, though its client may come back as another Socket with the same id
//
// Its methods may be called from any goroutine.
type Socket struct {
	conn      *conn
	namespace *Namespace
	auth      json.RawMessage
	began     int64 // as time.UnixNano
	id        string
	*memory   // static; nil where recovery is off

	state     atomic.Int32
	recovered bool // static, as what stands above

	// Guarded by the namespace.
	present bool // it is one of its sockets
	place   int  // in everyone
	round   uint64
	rooms   map[string]place

	mu        sync.Mutex
	greeted   bool // OnConnect's functions are through with it
	listeners listeners
	values    map[string]any
	acks      map[uint64]func([]Arg, error)
	context   *socketContext // made for whom asks
	ending    *ending        // how it has ended; nil until then
}

// socketContext ends with its socket.
type socketContext struct {
	context.Context
	cancel context.CancelFunc
}

// ending is why a socket has ended, and the rooms that it was in.
type ending struct {
	reason string
	rooms  []string
}

// The states of a Socket.
const (
	judged int32 = iota // new
	connected
	ended
)

// Handshake is what a client said when it connected to the namespace.
type Handshake struct {
	Auth    json.RawMessage // CONNECT's payload; {} where there was none. Do not change it
	Request *http.Request   // the connection's first, with header, query and remote address
	Address string          // the client's, as the Echo server's IPExtractor tells it
	Network string          // the same for limits, as ws.AddressOf tells it: of IPv6 the first 64 bits
	Time    time.Time
}

func (n *Namespace) newSocket(c *conn, auth []byte) *Socket {
	s := &Socket{
		conn:      c,
		namespace: n,
		auth:      auth,
		began:     time.Now().UnixNano(),
		id:        n.server.newID(),
		listeners: listeners{rareListeners: noListeners},
	}
	if n.recovery != nil {
		s.memory = &memory{}
	}
	return s
}

// newID makes an id. Where there are several nodes it begins with this one's name.
func (s *Server) newID() string {
	if s.cluster != nil {
		return s.cluster.node + rand.Text()[:16]
	}
	return rand.Text()[:20]
}

// ID names the socket, in its namespace and over all nodes. It is also a room that only it is in.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Handshake is what the client said when it connected.
func (s *Socket) Handshake() Handshake {
	session := s.conn.session
	return Handshake{s.auth, session.Request(), session.RealIP(), session.Address(), time.Unix(0, s.began)}
}

// Auth decodes CONNECT's payload, which clients call auth, into v, a pointer. The error is an ErrArguments.
func (s *Socket) Auth(v any) error {
	if err := (Arg{raw: s.auth}).Decode(v); err != nil {
		return named(err, "auth")
	}
	return nil
}

// Recovered reports whether this is a socket that lost its connection and came back, with its id, its
// rooms, its values and what it missed.
func (s *Socket) Recovered() bool { return s.recovered }

// Connected reports whether the socket is connected: Use's functions have passed it, and it has not ended.
func (s *Socket) Connected() bool { return s.state.Load() == connected }

// Transport is "polling" or "websocket".
func (s *Socket) Transport() string { return s.conn.session.Transport() }

// Context ends with the socket.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.context == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.context = &socketContext{ctx, cancel}
		s.cancelLocked()
	}
	return s.context
}

// endLocked says how the socket has ended.
func (s *Socket) endLocked(reason string, rooms []string) {
	s.ending = &ending{reason, rooms}
	s.cancelLocked()
}

// cancelLocked ends the context, if there is one and it is time.
func (s *Socket) cancelLocked() {
	if s.context != nil && s.ending != nil {
		s.context.cancel()
	}
}
