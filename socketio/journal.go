package socketio

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// journal is a namespace's part of the Config.Journal, with which a socket can come back to any node.
//
// An event goes to the journal and comes back to all nodes, this one included, in one order and with a sequence, which is
// its offset. Only then is it sent, so all nodes keep the same events. While the journal cannot be reached, an event is
// sent at once and at most once, as without recovery, and a client that may have missed it is not recovered.
//
// What has to be known about a socket stays on its node, which the others ask when the client comes back to them. For the
// case that the node has died, the journal has the socket as it was when it last joined or left a room.
type journal struct {
	namespace *Namespace
	journal   Journal
	topic     string
	ready     chan struct{} // closed once all events that the journal had are known

	end chan struct{} // closed with close

	mu     sync.Mutex
	closed bool
	stop   func() // ends the following; nil until it has begun

	// Guarded by the namespace.
	caughtUp bool
	fresh    bool   // the next event is the oldest that the journal keeps
	sent     uint64 // the last event that was sent in this epoch
	hole     uint64 // before this, events were sent that the journal does not have
	holes    uint64 // events of this node that the journal does not have
	telling  bool   // the journal is being told about them
	token    uint64 // of this node's last event that somebody waits for
	waiting  map[uint64]chan error
}

const (
	readyTime   = 5 * time.Second // for the journal to be read when a socket connects
	ownTime     = 10 * time.Second
	saveTime    = 2 * time.Second
	sessionTime = 1500 * time.Millisecond // for other nodes to say whether they have a socket
)

var (
	errNotReady = &Refusal{Message: "The server is not ready; try again soon"}
	errNotKept  = errors.New("socketio: the event was not kept by the journal in time")
	errNotSaved = errors.New("socketio: the journal did not take it in time; on another node the socket may not come back")
)

// openJournal begins to follow the namespace's topic.
func (n *Namespace) openJournal() {
	j := &journal{namespace: n, journal: n.server.config.Journal, topic: hash(n.server.config.Path + n.name), ready: make(chan struct{}), end: make(chan struct{}), waiting: map[uint64]chan error{}}
	n.journal = j
	n.listenLocked(n.subject())   // also without sockets: events that the journal does not have come there
	n.server.running.Go(j.follow) // which may wait for the network
}

func (j *journal) follow() {
	stop, err := j.journal.Follow(j.topic, j.reset, j.deliver, j.isReady)
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
	j.namespace.unlistenLocked(j.namespace.subject())
	if stop != nil {
		stop()
	}
}

// reset begins anew: in another epoch, earlier offsets mean nothing; in the same one, events may be missing between
// those that came and those that follow.
func (j *journal) reset(epoch string) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	if epoch += "-"; r.epoch != epoch {
		j.sent, j.hole = 0, 0
	}
	if r.epoch != "" && r.epoch != epoch { // the values may be lost as the events are
		n.server.cluster.refreshSoon()
	}
	r.resetLocked(epoch)
	r.last = j.sent
	j.fresh = true
}

// isReady is called when all events that the journal has after an offset have come.
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

// deliver is called with each event of the journal.
func (j *journal) deliver(seq uint64, data []byte) {
	n := j.namespace
	m, err := decodeMessage(data)
	if err == nil && m.Kind != tellEmit && m.Kind != tellHole {
		err = errMessage
	}
	if err != nil {
		n.server.cluster.failed("the journal holds nonsense", err)
		return
	}
	if m.Kind == tellHole {
		n.journal.noteHole(seq)
		return
	}
	watching, err := n.emitKept(m, seq)
	n.server.cluster.failed("an event of the journal is lost", err)
	if len(watching) > 0 {
		n.notifyAll(watching, m)
	}
}

// emitKept sends an event of the journal to this node's sockets.
func (n *Namespace) emitKept(m message, seq uint64) (watching []*Socket, err error) {
	e := emission{audience: m.audience(), packet: m.packet(), attachments: m.attachments, local: true, seq: seq}
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.journal.fresh {
		n.recovery.floor, n.journal.fresh = seq-1, false
	}
	e.old = seq <= n.journal.sent
	n.journal.sent = max(n.journal.sent, seq)
	err = n.emitLocked(e)
	if m.Node == n.server.cluster.node {
		n.journal.settleLocked(m.Token, nil)
	}
	return watching, err
}

// settleLocked tells whoever waits for an event what became of it.
func (j *journal) settleLocked(token uint64, err error) {
	if came := j.waiting[token]; came != nil {
		came <- err
		delete(j.waiting, token)
	}
}

// append gives an event to the journal. came, unless it is nil, has room for one error: nil when the event was sent, or
// the reason why it will not be.
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
		n.server.cluster.failed("an event is not kept for those who come back", err)
		j.forget(came)
	}
	return err
}

// appended is called with what became of an event. One that is lost was sent to nobody; a client that was away then
// learns by not being recovered that it has not got everything.
func (j *journal) appended(token uint64, err error) {
	j.namespace.server.cluster.failed("an event is lost", err)
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

// emitThroughJournal sends an event by way of the journal, or at once if the journal cannot be reached.
func (n *Namespace) emitThroughJournal(e emission) (watching []*Socket, err error) {
	if err := n.journal.append(e, nil); err != nil {
		return n.emitUnkept(e)
	}
	return nil, nil
}

// emitUnkept sends an event that the journal did not take. Nobody can tell which clients have it, so no socket can come
// back to a point before it.
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

// emitThroughJournal emits by way of the journal, and waits until the event was sent.
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

// resetLocked forgets all events and sockets, since an epoch of offsets has ended.
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

// wait returns nil when the journal has been read.
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
