package socketio

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"echows/ws"
)

// ErrClosed means that a socket has ended or is not connected yet. It is ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// Socket is one client in one namespace. Its states are
//
//	new        the Use functions decide whether to accept it
//	connected  its client was told so; the OnConnect functions are called with it, then its listeners with events
//	ended      permanently; with recovery, the client may come back as another Socket with the same id
//
// Its methods may be called from any goroutine.
type Socket struct {
	// Static once connected. The fields that emitting to many sockets reads come first, with round, to share a cache line.
	conn      *conn
	*memory   // nil if recovery is off
	namespace *Namespace
	began     int64 // as time.UnixNano
	id        string
	recovered bool

	// Guarded by the namespace.
	present bool  // is in the namespace
	place   int32 // index in everyone
	round   uint64
	rooms   map[string]place

	auth  string // static, too: JSON
	state atomic.Int32

	mu        sync.Mutex // guards the rest
	greeted   bool       // the OnConnect functions have returned
	listeners listeners
	values    map[string]value
	acks      map[uint64]func([]Arg, error)
	context   *socketContext // made by the first call of Context
	ending    *ending        // nil until the socket has ended
}

// socketContext is canceled when its socket ends.
type socketContext struct {
	context.Context
	cancel context.CancelFunc
}

// ending is why a socket ended, and which rooms it was in.
type ending struct {
	reason string
	rooms  []string
}

// The states of a Socket.
const (
	connecting int32 = iota // new
	connected
	ended
)

// Handshake describes a client as it connected to a namespace.
type Handshake struct {
	Auth       json.RawMessage // the payload of CONNECT; {} if there was none
	Request    *http.Request   // the connection's first request, with header, query and remote address
	Connection string          // identifies the connection, in all its namespaces and in the log; it is not a secret
	Address    string          // the client's IP address, from Echo's IPExtractor; without one, the client can make it up
	Network    string          // the address that limits count by: for IPv6, the first 64 bits (see ws.AddressOf)
	Time       time.Time       // when it connected
}

func (n *Namespace) newSocket(c *conn, auth []byte) *Socket {
	s := &Socket{
		conn:      c,
		namespace: n,
		auth:      string(auth),
		began:     time.Now().UnixNano(),
		id:        n.server.newID(),
		listeners: listeners{rareListeners: noListeners},
	}
	if n.recovery != nil {
		s.memory = &memory{}
	}
	return s
}

// newID makes an id. With an Adapter, the id begins with this node's name.
func (s *Server) newID() string {
	if s.cluster != nil {
		return s.cluster.node + rand.Text()[:16]
	}
	return strings.Clone(rand.Text()[:20]) // Clone lets the rest be freed
}

// ID returns the socket's id, which is unique in its namespace on all nodes. It is also the name of a room whose only
// member is this socket.
func (s *Socket) ID() string { return s.id }

// Namespace returns the socket's namespace.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Handshake describes the client as it connected.
func (s *Socket) Handshake() Handshake {
	session := s.conn.session
	return Handshake{
		Auth:       json.RawMessage(s.auth),
		Request:    session.Request(),
		Connection: session.LogID(),
		Address:    session.RealIP(),
		Network:    session.Address(),
		Time:       time.Unix(0, s.began),
	}
}

// Auth decodes the payload of CONNECT, which clients call auth, into v, which must be a pointer. The error wraps
// ErrArguments.
func (s *Socket) Auth(v any) error {
	if err := (Arg{raw: []byte(s.auth)}).Decode(v); err != nil {
		return named(err, "auth")
	}
	return nil
}

// Recovered reports whether the client came back to this socket after losing its connection, with the same id, rooms and
// values, and the events that it missed.
func (s *Socket) Recovered() bool { return s.recovered }

// Connected reports whether the Use functions have accepted the socket and it has not ended.
func (s *Socket) Connected() bool { return s.state.Load() == connected }

// Transport returns "polling" or "websocket".
func (s *Socket) Transport() string { return s.conn.session.Transport() }

// Context returns a context that is canceled when the socket ends.
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

// endLocked records why the socket ended, and cancels its context.
func (s *Socket) endLocked(reason string, rooms []string) {
	s.ending = &ending{reason, rooms}
	s.cancelLocked()
}

// cancelLocked cancels the context, if there is one and the socket has ended.
func (s *Socket) cancelLocked() {
	if s.context != nil && s.ending != nil {
		s.context.cancel()
	}
}
