package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"echows/ws"
)

// Namespace is a part of a server that does not hear the others. Its methods may be called from any
// goroutine. Those of Emitter are for all its sockets.
//
// One lock orders what is emitted to many, who is in which room, and what recovery remembers: so all sockets
// hear one order, and nothing falls between two of the three.
type Namespace struct {
	Emitter
	server    *Server
	name      string
	parent    *Namespace // whose functions hold, for one that a pattern made
	isPattern bool       // it stands for those that it makes, and has no sockets

	users     int  // guarded by the Server: sockets, and those about to be
	permanent bool // guarded by the Server: it stays without sockets

	functions functions
	lastAck   atomic.Uint64
	watched   atomic.Int64 // sockets with OnAnyOutgoing

	mu       sync.Mutex
	sockets  map[string]*Socket // by id
	everyone []*Socket
	rooms    map[string]*room
	round    uint64    // of the emission that went out last; see eachLocked
	placed   ws.Log    // what is emitted to many
	recovery *recovery // nil where that is off
	journal  *journal  // static; nil where sockets come back to their own node only
}

// functions are what an application has registered. Each list is replaced, never changed.
type functions struct {
	mu        sync.Mutex
	use       []func(*Socket) error
	onConnect []func(*Socket) error
}

func newNamespace(s *Server, name string, parent *Namespace) *Namespace {
	n := &Namespace{server: s, name: name, parent: parent, sockets: map[string]*Socket{}, rooms: map[string]*room{}}
	n.Emitter = Emitter{namespace: n}
	if s.config.Recovery > 0 {
		n.recovery = newRecovery(n)
	}
	return n
}

// Name is the namespace's, such as "/".
func (n *Namespace) Name() string { return n.name }

// Use adds a function that is called with each new socket before it is connected. It may look at the handshake and set
// values on the socket (see Key). If it returns an error, the socket is refused, and its client gets the error's text; a
// *Refusal adds data.
func (n *Namespace) Use(f func(*Socket) error) {
	n.functions.mu.Lock()
	defer n.functions.mu.Unlock()
	n.functions.use = append(slices.Clip(n.functions.use), f)
}

// OnConnect adds a function that is called with each new socket after its client has learned that it is connected. The
// function registers listeners; no event is read before it returns. If it returns an error, this is logged, and the socket
// is disconnected.
func (n *Namespace) OnConnect(f func(*Socket) error) {
	n.functions.mu.Lock()
	defer n.functions.mu.Unlock()
	n.functions.onConnect = append(slices.Clip(n.functions.onConnect), f)
}

// handlers returns the functions for new sockets, those of the pattern first.
func (n *Namespace) handlers() (use, onConnect []func(*Socket) error) {
	if n.parent != nil {
		use, onConnect = n.parent.handlers()
	}
	n.functions.mu.Lock()
	defer n.functions.mu.Unlock()
	return slices.Concat(use, n.functions.use), slices.Concat(onConnect, n.functions.onConnect)
}

// Socket returns the socket with that id, or nil if none is connected to this node.
func (n *Namespace) Socket(id string) *Socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets[id]
}

// Rooms returns the rooms that have members, and how many, on all nodes together. The sockets' own rooms are not included.
// The error names the nodes that did not answer.
func (n *Namespace) Rooms(ctx context.Context) (map[string]int, error) {
	all := n.localRooms()
	if n.server.cluster == nil {
		return all, nil
	}
	err := ask(ctx, n.server.cluster, message{Kind: askRooms, Namespace: n.name}, func(rooms map[string]int) {
		for room, members := range rooms {
			all[room] += members
		}
	})
	return all, err
}

func (n *Namespace) localRooms() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[string]int, len(n.rooms))
	for name, r := range n.rooms {
		all[name] = len(r.members)
	}
	return all
}

// add makes s one of the namespace's sockets, unless it has ended meanwhile, and sends the answer to its CONNECT before
// anything else can be sent to it. It reports whether it did.
func (n *Namespace) add(s *Socket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.state.Load() != connected {
		return false
	}
	var missed []*remembered
	if n.recovery != nil {
		missed = n.recovery.beginLocked(s)
	}
	n.sockets[s.id] = s
	s.place = int32(len(n.everyone))
	n.everyone = append(n.everyone, s)
	s.present = true
	n.server.counters.sockets.Add(1)
	if len(n.everyone) == 1 {
		n.listenLocked(n.subject())
	}
	n.welcomeLocked(s, missed)
	n.rejoinLocked(s)
	return true
}

// remove removes s from the namespace and from its rooms, which it returns, and reports whether s was there. lost says that
// its client may come back.
func (n *Namespace) remove(s *Socket, lost bool) (rooms []string, was bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.present {
		return nil, false
	}
	if n.recovery != nil {
		n.recovery.removedLocked(s, lost)
	}
	s.present = false
	n.server.counters.sockets.Add(-1)
	delete(n.sockets, s.id)
	last := n.everyone[len(n.everyone)-1]
	n.everyone[s.place], last.place = last, s.place
	n.everyone[len(n.everyone)-1] = nil
	n.everyone = n.everyone[:len(n.everyone)-1]
	rooms = s.roomsLocked()
	for name := range s.rooms {
		n.leaveLocked(s, name)
	}
	if len(n.everyone) == 0 && n.journal == nil {
		n.unlistenLocked(n.subject())
	}
	return rooms, true
}

// mayComeBack reports whether recovery keeps a socket.
func (n *Namespace) mayComeBack() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recovery != nil && len(n.recovery.kept) > 0
}

// stop ends what recovery keeps.
func (n *Namespace) stop() {
	n.mu.Lock()
	if n.recovery != nil {
		n.recovery.stopLocked()
	}
	n.mu.Unlock()
	if n.journal != nil {
		n.journal.close()
	}
}
