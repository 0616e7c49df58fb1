package socketio

import (
	"iter"
	"sync"
)

// Namespace is a part of a server that does not hear the others. Its methods may be called from any
// goroutine.
type Namespace struct {
	server   *Server
	name     string
	like     *Namespace // whose handlers hold, for one that a pattern made
	recovery *recovery  // nil where that is off

	users int  // guarded by the Server: sockets, and those about to be
	lasts bool // guarded by the Server: it stays without sockets

	mu        sync.Mutex
	use       []func(*Socket) error
	onConnect []func(*Socket) error
	sockets   map[string]*Socket // by id
}

func newNamespace(s *Server, name string) *Namespace {
	n := &Namespace{server: s, name: name, sockets: map[string]*Socket{}}
	if s.config.Recovery > 0 {
		n.recovery = newRecovery(s.config, func() { s.drop(n) })
	}
	return n
}

// Name is the namespace's, such as "/".
func (n *Namespace) Name() string { return n.name }

// Use adds a function that each new socket has to pass, with the handshake in hand, before OnConnect's. An
// error refuses the socket with its text.
func (n *Namespace) Use(f func(*Socket) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.use = append(n.use, f)
}

// OnConnect adds a function that is called with each new socket, and registers what is to happen with its
// events. What it emits to the socket arrives after the answer to the client's CONNECT. An error refuses
// the socket with its text.
func (n *Namespace) OnConnect(f func(*Socket) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.onConnect = append(n.onConnect, f)
}

// handlers returns what new sockets have to pass.
func (n *Namespace) handlers() (use, onConnect []func(*Socket) error) {
	if n.like != nil {
		n = n.like
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.use, n.onConnect
}

// Len is how many sockets are connected.
func (n *Namespace) Len() int { return n.server.hub.Len(n.everyone()) }

// Sockets ranges over those that are connected when the range begins.
func (n *Namespace) Sockets() iter.Seq[*Socket] { return n.in(n.everyone()) }

// In ranges over the members of a room when the range begins.
func (n *Namespace) In(room string) iter.Seq[*Socket] { return n.in(n.topic(room)) }

func (n *Namespace) in(topic string) iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for m := range n.server.hub.Members(topic) {
			if one, ok := m.(*member); ok && !yield(one.socket) {
				return
			}
		}
	}
}

// RoomLen is how many members a room has.
func (n *Namespace) RoomLen(room string) int { return n.server.hub.Len(n.topic(room)) }

// Socket returns the one of that id, or nil.
func (n *Namespace) Socket(id string) *Socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets[id]
}

// everyone is the topic in the hub that all sockets are members of. A namespace's name has no comma.
func (n *Namespace) everyone() string { return "socket.io" + n.server.config.Path + n.name + "," }

// topic is a room's.
func (n *Namespace) topic(room string) string { return n.everyone() + "room " + room }

// Emit sends an event to all sockets of the namespace. The error says what is wrong with the arguments.
func (n *Namespace) Emit(event string, args ...any) error { return n.emitter().Emit(event, args...) }

// To begins an emission to the members of rooms: of any of them, each once.
func (n *Namespace) To(rooms ...string) Emitter { return n.emitter().To(rooms...) }

// Except begins an emission to all but the members of rooms.
func (n *Namespace) Except(rooms ...string) Emitter { return n.emitter().Except(rooms...) }

func (n *Namespace) emitter() Emitter { return Emitter{namespace: n} }
