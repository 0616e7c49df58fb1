package socketio

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// journal is a namespace's part of the Config.Journal. It lets a socket come back to any node.
//
// A node appends an event to the journal, which delivers it to all nodes, this one included, in the same order and with a
// sequence, which is its offset. The nodes send the event only then, so all nodes keep the same events. What changes the
// members of rooms comes after the events that were emitted before: SocketsJoin, SocketsLeave and DisconnectSockets take their
// places in the journal, and Join, Leave and Disconnect wait for this node's earlier events. While the journal cannot be
// reached, an event is sent at most once, as without recovery, and a client that may have missed it is not recovered. It is
// sent immediately, or after the earlier events that are still on their way (held.go).
//
// The state of a socket stays on its node; when its client comes back to another node, that node asks for it. In case the
// node has died, the journal has a record of the socket, saved when it last connected, joined or left a room or changed a
// value, and refreshed from time to time.
type journal struct {
	namespace *Namespace
	journal   Journal
	topic     string
	ready     chan struct{} // closed once all events that the journal had stored were delivered

	end chan struct{} // closed by close

	mu     sync.Mutex
	closed bool
	stop   func() // ends Follow; nil until Follow has returned

	// Guarded by the namespace.
	caughtUp bool
	fresh    bool                  // the next entry is the oldest that the journal has stored
	behind   bool                  // after a reset, entries that were delivered before are delivered again
	sent     uint64                // sequence of the last event sent in this epoch
	hole     uint64                // sequence of the last hole in this epoch
	holes    uint64                // number of holes made by this node
	telling  bool                  // tellHoles is running
	pending  map[uint64]entry      // this node's entries that were not delivered yet, by token
	callers  map[uint64]chan error // who wait for one of these
	waiters  []waiter
	held     held
	expiry   *time.Timer // calls expire
}

// entry is one of this node's entries in the journal.
type entry struct {
	at     time.Time // when it was appended
	epoch  string    // the journal's at that time
	stored bool
}

// waiter waits for something that deliver, appended or reset brings about.
type waiter struct {
	over func() bool   // called with the namespace locked
	done chan struct{} // closed once over returns true
}

const (
	readyTime   = 5 * time.Second // for reading the journal when a socket connects
	ownTime     = 10 * time.Second
	saveTime    = 2 * time.Second
	followWait  = 250 * time.Millisecond  // between two attempts to follow the journal
	sessionTime = 1500 * time.Millisecond // for other nodes to answer whether they have a socket
)

var (
	errNotReady = &Refusal{Message: "The server is not ready; try again soon"}
	errNotKept  = errors.New("socketio: the journal did not deliver the event or change in time; it may come later")
	errNotSaved = errors.New("socketio: the journal did not store the socket in time; it may not come back on another node")
)

// openJournal begins to follow the namespace's topic.
func (n *Namespace) openJournal() {
	j := &journal{namespace: n, journal: n.server.config.Journal, topic: hash(n.server.config.Path + n.name), ready: make(chan struct{}), end: make(chan struct{}), pending: map[uint64]entry{}, callers: map[uint64]chan error{}}
	n.journal = j
	n.listenLocked(n.subject())   // even without sockets, for events that are not in the journal
	n.server.running.Go(j.follow) // may wait for the network
}

func (j *journal) follow() {
	for {
		stop, err := j.journal.Follow(j.topic, j.reset, j.deliver, j.noteMissing, j.isReady)
		if err == nil {
			j.stopWith(stop)
			return
		}
		j.namespace.server.cluster.failed("the journal cannot be read", err)
		select {
		case <-time.After(followWait): // perhaps an earlier namespace of this name has not stopped yet
		case <-j.end:
			return
		}
	}
}

// stopWith sets the function that ends Follow, and calls it if the journal was closed in the meantime.
func (j *journal) stopWith(stop func()) {
	j.mu.Lock()
	closed := j.closed
	j.stop = stop
	j.mu.Unlock()
	if closed {
		stop()
	}
}

func (j *journal) close() {
	j.mu.Lock()
	if !j.closed {
		close(j.end)
	}
	j.closed = true
	stop := j.stop
	j.mu.Unlock()
	if stop != nil {
		j.namespace.server.running.Go(stop) // it waits for deliver, which may have called us
	}
}

// reset forgets kept events and sockets. In a new epoch, earlier offsets mean nothing; in the same epoch, events may be
// missing between the last event and the next.
func (j *journal) reset(epoch string) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	if epoch += "-"; r.epoch != epoch {
		j.sent, j.hole, r.unkept = 0, 0, 0
	}
	if r.epoch != "" && r.epoch != epoch { // the records of sockets may be lost like the events
		n.server.cluster.refreshSoon()
	}
	r.resetLocked(epoch)
	j.fresh, j.behind = true, j.sent > 0
	maps.DeleteFunc(j.pending, func(_ uint64, e entry) bool { return e.stored }) // those may never be delivered
	j.wakeLocked()
}

// arrivedLocked records that an entry has arrived, and reports whether it had arrived before the last reset.
func (j *journal) arrivedLocked(seq uint64) (old bool) {
	if j.fresh {
		j.namespace.recovery.setFloorLocked(seq - 1)
		j.fresh = false
	}
	j.behind = j.behind && seq < j.sent
	old = seq <= j.sent
	j.sent = max(j.sent, seq)
	if len(j.waiters) > 0 {
		j.wakeLocked()
	}
	return old
}

// isReady is called when all events that the journal has after an offset were delivered.
func (j *journal) isReady(from uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	r.last, j.fresh = max(r.last, from), false
	r.setFloorLocked(from)
	if !j.caughtUp {
		j.caughtUp = true
		close(j.ready)
	}
}

// deliver handles an event from the journal.
func (j *journal) deliver(seq uint64, data []byte) {
	n := j.namespace
	m, err := decodeMessage(data)
	switch {
	case err != nil:
		j.pass(m, seq, err)
	case m.Kind == tellHole:
		j.noteHole(seq)
	case m.Kind == tellEmit:
		watching, err := n.emitKept(m, seq)
		n.server.cluster.failed("an event from the journal was lost", err)
		n.notifyAll(watching, m)
	case m.Kind == tellJoin || m.Kind == tellLeave || m.Kind == tellDisconnect:
		j.change(m, seq)
	default:
		j.pass(m, seq, errMessage)
	}
}

// pass passes over an entry that is invalid. It may have been an event, so it is a hole.
func (j *journal) pass(m message, seq uint64, why error) {
	n := j.namespace
	n.server.cluster.failed("the journal has an invalid entry", why)
	j.noteHole(seq)
	n.mu.Lock()
	defer n.mu.Unlock()
	j.settleLocked(m, why)
}

// change applies a change from the journal to this node's sockets, unless it was applied before.
func (j *journal) change(m message, seq uint64) {
	n := j.namespace
	n.mu.Lock()
	old := j.arrivedLocked(seq)
	n.recovery.last = max(n.recovery.last, seq)
	n.mu.Unlock()
	var err error
	if !old {
		err = n.apply(m)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	j.settleLocked(m, err)
}

// emitKept sends an event from the journal to this node's sockets.
func (n *Namespace) emitKept(m message, seq uint64) (watching []*Socket, err error) {
	e := emission{audience: m.audience(), packet: m.packet(), attachments: m.attachments, local: true, seq: seq}
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e.old = n.journal.arrivedLocked(seq)
	err = n.emitLocked(e)
	n.journal.settleLocked(m, nil)
	return watching, err
}

// resetLocked forgets all events and kept sockets. In a new epoch, the offsets of connected sockets restart; in the same one,
// these sockets may have missed something since the last event.
func (r *recovery) resetLocked(epoch string) {
	same := r.epoch == epoch
	all := &r.namespace.server.kept
	for _, e := range r.events {
		all.give(e.size)
	}
	for _, k := range r.kept {
		if !k.ended { // the journal may still have its record
			r.takeLocked(k)
		}
	}
	r.epoch, r.last, r.floor, r.dropped, r.events = epoch, r.namespace.journal.sent, 0, 0, nil
	for _, s := range r.live {
		if same {
			s.trail.unkept = true
			continue
		}
		s.trail = trail{before: s.trail.before || s.trail.sent != s.trail.start}
		for name, p := range s.rooms {
			p.since = 0
			s.rooms[name] = p
		}
	}
}

// wait waits until the journal was read, ctx ends or readyTime is over.
func (j *journal) wait(ctx context.Context) error {
	timer := time.NewTimer(readyTime)
	defer timer.Stop()
	select {
	case <-j.ready:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return errNotReady
}
