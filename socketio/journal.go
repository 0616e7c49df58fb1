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
// sequence, which is its offset. The nodes send the event only then, so all nodes keep the same events. While the journal
// cannot be reached, an event is sent immediately and at most once, as without recovery, and a client that may have missed
// it is not recovered.
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
	fresh    bool   // the next event is the oldest that the journal has stored
	sent     uint64 // sequence of the last event sent in this epoch
	hole     uint64 // sequence of the last hole in this epoch
	holes    uint64 // number of holes made by this node
	telling  bool   // tellHoles is running
	token    uint64 // of this node's last event with a waiting caller
	waiting  map[uint64]chan error
}

const (
	readyTime   = 5 * time.Second // for reading the journal when a socket connects
	ownTime     = 10 * time.Second
	saveTime    = 2 * time.Second
	sessionTime = 1500 * time.Millisecond // for other nodes to answer whether they have a socket
)

var (
	errNotReady = &Refusal{Message: "The server is not ready; try again soon"}
	errNotKept  = errors.New("socketio: the journal did not store the event in time")
	errNotSaved = errors.New("socketio: the journal did not store the socket in time; it may not come back on another node")
)

// openJournal begins to follow the namespace's topic.
func (n *Namespace) openJournal() {
	j := &journal{namespace: n, journal: n.server.config.Journal, topic: hash(n.server.config.Path + n.name), ready: make(chan struct{}), end: make(chan struct{}), waiting: map[uint64]chan error{}}
	n.journal = j
	n.listenLocked(n.subject())   // even without sockets, for events that are not in the journal
	n.server.running.Go(j.follow) // may wait for the network
}

func (j *journal) follow() {
	stop, err := j.journal.Follow(j.topic, j.reset, j.deliver, j.noteMissing, j.isReady)
	if err != nil {
		j.namespace.server.cluster.failed("the journal cannot be read", err)
		return
	}
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
		stop()
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
		j.sent, j.hole = 0, 0
	}
	if r.epoch != "" && r.epoch != epoch { // the records of sockets may be lost like the events
		n.server.cluster.refreshSoon()
	}
	r.resetLocked(epoch)
	r.last = j.sent
	j.fresh = true
}

// isReady is called when all events that the journal has after an offset were delivered.
func (j *journal) isReady(from uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	r.last, r.floor, j.fresh = max(r.last, from), max(from, j.hole), false
	if !j.caughtUp {
		j.caughtUp = true
		close(j.ready)
	}
}

// deliver handles an event from the journal.
func (j *journal) deliver(seq uint64, data []byte) {
	n := j.namespace
	m, err := decodeMessage(data)
	if err == nil && m.Kind != tellEmit && m.Kind != tellHole {
		err = errMessage
	}
	if err != nil {
		n.server.cluster.failed("the journal has an invalid entry", err)
		return
	}
	if m.Kind == tellHole {
		n.journal.noteHole(seq)
		return
	}
	watching, err := n.emitKept(m, seq)
	n.server.cluster.failed("an event from the journal was lost", err)
	if len(watching) > 0 {
		n.notifyAll(watching, m)
	}
}

// emitKept sends an event from the journal to this node's sockets.
func (n *Namespace) emitKept(m message, seq uint64) (watching []*Socket, err error) {
	e := emission{audience: m.audience(), packet: m.packet(), attachments: m.attachments, local: true, seq: seq}
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.journal.fresh {
		n.recovery.floor, n.journal.fresh = max(seq-1, n.journal.hole), false
	}
	e.old = seq <= n.journal.sent
	n.journal.sent = max(n.journal.sent, seq)
	err = n.emitLocked(e)
	if m.Node == n.server.cluster.node {
		n.journal.settleLocked(m.Token, nil)
	}
	return watching, err
}

// settleLocked passes the result of an event to the caller that waits for it, if any.
func (j *journal) settleLocked(token uint64, err error) {
	if came := j.waiting[token]; came != nil {
		came <- err
		delete(j.waiting, token)
	}
}

// append appends an event to the journal. came, unless it is nil, must have room for one error: it receives nil when the
// event was sent, or the reason why it was not.
func (j *journal) append(e emission, came chan error) error {
	n := j.namespace
	m := e.message(n)
	if came != nil {
		n.mu.Lock()
		j.token++
		m.Token, m.Node = j.token, n.server.cluster.node
		j.waiting[m.Token] = came
		n.mu.Unlock()
	}
	data, err := m.encode()
	if err == nil {
		err = j.journal.Append(j.topic, data, func(err error) { j.appended(m.Token, err) })
	}
	if err != nil {
		n.server.cluster.failed("an event was not stored for clients that come back", err)
		j.forget(came)
	}
	return err
}

// appended is called with the result of appending an event. A lost event may have been sent to nobody, so it counts as a
// hole: a client that was away then is not recovered.
func (j *journal) appended(token uint64, err error) {
	j.namespace.server.cluster.failed("an event was lost", err)
	if err == nil {
		return
	}
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	if !j.isClosed() {
		j.tellHoleLocked()
	}
	j.settleLocked(token, err)
}

func (j *journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// forget ends the wait for an event.
func (j *journal) forget(came chan error) {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	maps.DeleteFunc(j.waiting, func(_ uint64, one chan error) bool { return one == came })
}

// emitThroughJournal sends an event through the journal, or immediately if the journal cannot be reached.
func (n *Namespace) emitThroughJournal(e emission) (watching []*Socket, err error) {
	if err := n.journal.append(e, nil); err != nil {
		return n.emitUnkept(e)
	}
	return nil, nil
}

// emitUnkept sends an event that the journal did not accept. It is not known which clients received it, so no socket can
// come back to a point before it.
func (n *Namespace) emitUnkept(e emission) (watching []*Socket, err error) {
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	e.forgotten, e.hole = true, true
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal.tellHoleLocked()
	return watching, n.emitLocked(e)
}

// emitThroughJournal emits an event through the journal and waits until it was sent, or for ownTime.
func (s *Socket) emitThroughJournal(e emission) error {
	n := s.namespace
	came := make(chan error, 1)
	err := n.journal.append(e, came)
	if err != nil {
		_, err = n.emitUnkept(e)
		return err
	}
	timer := time.NewTimer(ownTime)
	defer timer.Stop()
	select {
	case err := <-came:
		return err
	case <-s.Context().Done():
		err = ErrClosed
	case <-timer.C:
		err = errNotKept
	}
	n.journal.forget(came)
	return err
}

// resetLocked forgets all events and kept sockets, and restarts the offsets of connected sockets in an epoch.
func (r *recovery) resetLocked(epoch string) {
	all := &r.namespace.server.kept
	for _, e := range r.events {
		all.give(e.size)
	}
	for _, k := range r.kept {
		all.give(k.size)
	}
	r.epoch, r.last, r.floor, r.events, r.order = epoch, 0, 0, nil, nil
	clear(r.kept)
	for _, s := range r.live {
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
