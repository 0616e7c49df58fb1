package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"echows/ws"
)

// Namespace is a part of a server: events in one namespace do not reach another. Its methods may be called from any
// goroutine. The embedded Emitter stands for all its sockets.
//
// One lock guards emitting to many sockets, the members of rooms, and the memory of recovery. So all sockets receive
// events in the same order, and all three agree on who was in a room when an event was emitted.
type Namespace struct {
	Emitter
	server    *Server
	name      string
	parent    *Namespace // of a namespace that a pattern created: its functions apply, too
	isPattern bool       // stands for the namespaces that it creates, and has no sockets

	users     int  // guarded by the Server: sockets, including those not yet connected
	permanent bool // guarded by the Server: stays without sockets

	functions functions
	lastAck   atomic.Uint64
	watched   atomic.Int64 // sockets with OnAnyOutgoing

	mu       sync.Mutex
	sockets  map[string]*Socket // by id
	everyone []*Socket
	rooms    map[string]*room
	round    uint64    // number of the last call of eachLocked
	placed   ws.Log    // frames emitted to many sockets
	recovery *recovery // nil if recovery is off
	journal  *journal  // static; nil if sockets can come back only to their own node
	joined   joined    // rooms that sockets of other nodes were told to join
}

// functions are the functions that an application has registered. Each list is replaced, never modified.
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

// Name returns the namespace's name, such as "/".
func (n *Namespace) Name() string { return n.name }

// Use adds a function that is called with each new socket before it is connected. The function may inspect the handshake
// and set values on the socket (see Key). If it returns an error, the socket is refused, and its client receives the
// error's text; a *Refusal adds data.
func (n *Namespace) Use(f func(*Socket) error) {
	n.functions.mu.Lock()
	defer n.functions.mu.Unlock()
	n.functions.use = append(slices.Clip(n.functions.use), f)
}

// OnConnect adds a function that is called with each new socket after the answer to its CONNECT was queued. The function
// registers listeners; no event is read before it returns. If it returns an error, the error is logged and the socket is
// disconnected.
func (n *Namespace) OnConnect(f func(*Socket) error) {
	n.functions.mu.Lock()
	defer n.functions.mu.Unlock()
	n.functions.onConnect = append(slices.Clip(n.functions.onConnect), f)
}

// handlers returns the functions for new sockets, the pattern's first.
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

// Rooms returns the rooms that have members, and the number of their members on all nodes. The sockets' own rooms are not
// included. The error names the nodes that did not answer.
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

// add connects s to the namespace, and sends the answer to its CONNECT before anything else can be sent to it. The error is
// errDisconnected if the application has ended s by now, or errTooLate.
func (n *Namespace) add(s *Socket) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var missed []*remembered
	if s.memory != nil && s.back != nil {
		var ok bool
		if missed, ok = n.recovery.missedLocked(s.back); !ok {
			n.server.counters.lost.Add(1)
			return errTooLate
		}
	}
	if !s.state.CompareAndSwap(connecting, connected) {
		return errDisconnected
	}
	if n.recovery != nil {
		n.recovery.beginLocked(s, missed)
	}
	n.sockets[s.id] = s
	s.place = int32(len(n.everyone))
	n.everyone = append(n.everyone, s)
	s.present = true
	n.server.counters.sockets.Add(1)
	if len(n.everyone) == 1 {
		n.listenLocked(n.subject())
	}
	if n.server.cluster.isMoved(s) {
		n.listenLocked(n.roomSubject(s.id))
	}
	n.welcomeLocked(s, missed)
	n.enterLocked(s)
	return nil
}

// remove removes s from the namespace and its rooms, which it returns. lost means that its client may come back.
func (n *Namespace) remove(s *Socket, lost bool) (rooms []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
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
	if n.server.cluster.isMoved(s) {
		n.unlistenRoomLocked(s.id)
	}
	if len(n.everyone) == 0 && n.recovery == nil { // sockets that come back want what they miss
		n.unlistenLocked(n.subject())
	}
	return rooms
}

// isNeeded reports whether recovery keeps any socket, the result of an entry in the journal is not known, or the journal has
// yet to learn of a hole.
func (n *Namespace) isNeeded() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.recovery != nil && len(n.recovery.kept) > 0 {
		return true
	}
	j := n.journal
	if j == nil {
		return false
	}
	if j.isBusyLocked() {
		j.expireSoonLocked()
	}
	return j.isBusyLocked() || j.telling
}

// stop ends recovery and the journal.
func (n *Namespace) stop() {
	n.mu.Lock()
	if n.recovery != nil {
		n.recovery.stopLocked()
		n.unlistenLocked(n.subject())
	}
	n.mu.Unlock()
	if j := n.journal; j != nil {
		j.close()
		n.mu.Lock()
		defer n.mu.Unlock()
		if j.expiry != nil {
			j.expiry.Stop()
		}
		clear(j.pending) // their results do not come any more
		j.releaseLocked()
	}
}
