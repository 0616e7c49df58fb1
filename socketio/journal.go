package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"
)

// journal is a namespace's part of the Config.Journal, with which a socket can come back on any node.
//
// An event goes to the journal, and comes back to all nodes, this one too, in one order and with its sequence, which is
// its offset: only then is it sent. So every node remembers the same events. While the journal cannot be reached an
// event is sent at once and at most once, as without recovery, and whoever may have missed it is not recovered.
//
// What has to be known of a socket stays on its node, which is asked when the client comes back elsewhere; and in the
// journal, as it was when it last joined or left a room, for the case that the node has died.
type journal struct {
	namespace *Namespace
	journal   Journal
	topic     string
	ready     chan struct{} // closed once all that was there is known

	end chan struct{} // closed with close

	mu     sync.Mutex
	closed bool
	stop   func() // ends the following; nil until it has begun

	// Guarded by the namespace.
	caughtUp bool
	fresh    bool   // the next event is the oldest that is held
	sent     uint64 // the last event that went out in this epoch
	hole     uint64 // before this, events went out that the journal does not have
	holes    uint64 // events of this node that the journal does not have
	telling  bool   // the journal is about to be told of them
	token    uint64 // of the last event of this node that is waited for
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

// openJournal has a namespace follow its topic.
func (n *Namespace) openJournal() {
	j := &journal{namespace: n, journal: n.server.config.Journal, topic: hash(n.server.config.Path + n.name), ready: make(chan struct{}), end: make(chan struct{}), waiting: map[uint64]chan error{}}
	n.journal = j
	n.listenLocked(n.subject())   // also without sockets: what the journal does not have is told there
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

// reset begins anew: with another epoch the offsets of the one before mean nothing, and with the same one events may be
// missing between those that came and those that come.
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

// isReady is called when all that was in the journal after an offset is remembered.
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

// settleLocked says what became of an event, to who waits for it.
func (j *journal) settleLocked(token uint64, err error) {
	if came := j.waiting[token]; came != nil {
		came <- err
		delete(j.waiting, token)
	}
}

// append gives an event to the journal. came, if it is wanted, has room for one, and gets nil when the event was sent,
// or the reason why it will not be.
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

// appended is called with what became of an event.
func (j *journal) appended(token uint64, err error) {
	j.namespace.server.cluster.failed("an event is lost", err)
	if err == nil || token == 0 {
		return
	}
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	j.settleLocked(token, err)
}

// forget ends the wait for an event.
func (j *journal) forget(came chan error) {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	maps.DeleteFunc(j.waiting, func(_ uint64, one chan error) bool { return one == came })
}

// emitThroughJournal sends an event by way of the journal, or, where that cannot be reached, at once.
func (n *Namespace) emitThroughJournal(e emission) (watching []*Socket, err error) {
	if err := n.journal.append(e, nil); err != nil {
		return n.emitUnkept(e)
	}
	return nil, nil
}

// emitUnkept sends an event that the journal did not take. Nobody can tell who has it, so nobody comes back to before it.
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

// emitThroughJournal is Emit by way of the journal. It waits until the event was sent.
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

// resetLocked forgets all events and sockets: the offsets of an epoch have ended.
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

// record is a kept socket as other nodes, and the journal, have it.
type record struct {
	ID     string                     `json:"id"`
	Values map[string]json.RawMessage `json:"values,omitempty"`
	Rooms  []membership               `json:"rooms,omitempty"`
	Past   []membership               `json:"past,omitempty"`
	Epoch  string                     `json:"epoch"`
	Start  uint64                     `json:"start"`
	Floor  uint64                     `json:"floor,omitempty"`
	Sent   uint64                     `json:"sent,omitempty"`
	End    uint64                     `json:"end,omitempty"`
	Sure   bool                       `json:"sure,omitempty"`
	Unkept bool                       `json:"unkept,omitempty"`
	Before bool                       `json:"before,omitempty"`
	Times  int                        `json:"times,omitempty"` // that it came back: of two, the later one counts
}

func (k *kept) record(epoch string) record {
	return record{
		ID: k.id, Rooms: k.rooms, Past: k.past, Epoch: epoch, Start: k.start, Floor: k.trail.floor, Sent: k.sent,
		End: k.end, Sure: k.sure, Unkept: k.unkept, Before: k.before, Times: k.times,
	}
}

func (r record) kept(pid string) *kept {
	k := &kept{id: r.ID, pid: pid, rooms: r.Rooms, sure: r.Sure, end: r.End, times: r.Times}
	k.trail = trail{start: r.Start, sent: r.Sent, past: r.Past, floor: r.Floor, unkept: r.Unkept, before: r.Before}
	k.values = make(map[string]any, len(r.Values))
	for name, raw := range r.Values {
		k.values[name] = raw
	}
	return k
}

// save has the journal keep what has to be known of a socket for it to come back after its node died. It waits until
// that is kept: what the client is told afterwards, holds.
func (s *Socket) save() error {
	n := s.namespace
	if n.journal == nil || s.state.Load() != connected {
		return nil
	}
	saved := make(chan error, 1)
	if err := s.saveAnd(func(err error) { saved <- err }); err != nil {
		return err
	}
	timer := time.NewTimer(saveTime)
	defer timer.Stop()
	select {
	case err := <-saved:
		return err
	case <-timer.C:
		return errNotSaved
	}
}

// saveAnd is save that does not wait: done is called with the result.
func (s *Socket) saveAnd(done func(error)) error {
	n := s.namespace
	if n.journal == nil {
		return nil
	}
	values := s.encodeValues()
	s.saving.Lock() // the last one that is kept is to be the last that was true
	defer s.saving.Unlock()
	n.mu.Lock()
	if !s.present {
		n.mu.Unlock()
		return ErrClosed
	}
	rec := n.recovery.describeLocked(s).record(n.recovery.epoch)
	n.mu.Unlock()
	rec.Values = values
	data, err := json.Marshal(rec)
	if err == nil {
		err = n.journal.journal.Put(hash(s.pid), data, done)
	}
	n.server.cluster.failed("a socket is not kept", err)
	return err
}

// waitForSaves returns when what was about to be kept of a socket that has ended is on its way; nothing follows it.
func (s *Socket) waitForSaves() {
	s.saving.Lock()
	defer s.saving.Unlock()
}

// unsave removes what the journal keeps of a socket that does not come back.
func (s *Socket) unsave() {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.namespace.server.cluster.failed("a socket is not removed", s.namespace.journal.journal.Remove(hash(s.pid), nil))
}

// refresh keeps what has to be known of all sockets once more, before the journal forgets it.
func (s *Server) refresh() {
	for _, n := range s.all() {
		if n.journal == nil {
			continue
		}
		for _, one := range n.localSockets(audience{}) {
			one.saveAnd(nil) // an error is logged
		}
	}
}

// wait returns when the journal was read.
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

// find returns the socket that a client had on another node, or nil: from that node, or from the journal if it has died.
func (j *journal) find(pid string) *kept {
	c := j.namespace.server.cluster
	ctx, cancel := context.WithTimeout(context.Background(), sessionTime)
	defer cancel()
	var best *record
	var mu sync.Mutex
	take := func(r record) {
		mu.Lock()
		defer mu.Unlock()
		if best == nil || r.Times > best.Times {
			best = &r
		}
	}
	err := ask(ctx, c, message{Kind: askSession, Namespace: j.namespace.name, To: []string{pid}}, take)
	c.failed("not all nodes say whether they know a client that comes back", err)
	ctx, cancel = context.WithTimeout(context.Background(), saveTime)
	defer cancel()
	data, ok, err := j.journal.Take(ctx, hash(pid)) // so that nobody else does
	c.failed("the journal does not say whether it knows a client that comes back", err)
	mu.Lock()
	defer mu.Unlock()
	if r := (record{}); ok && best == nil && json.Unmarshal(data, &r) == nil {
		best = &r
	}
	if best == nil {
		return nil
	}
	k := best.kept(pid)
	k.epoch = best.Epoch
	return k
}

// giveUp ends what this node has of a socket whose client came back to another, and gives it, or nil, to who asked: once
// the journal has nothing of it any more. A value that is still on its way there would take the place of the next
// node's.
func (n *Namespace) giveUp(pid string, give func(*record)) {
	if n.journal == nil {
		give(nil)
		return
	}
	was := n.recovery.take(pid)
	if was == nil {
		give(nil)
		return
	}
	n.mu.Lock()
	floor := n.recovery.floor // the other node may not know of a hole yet
	n.mu.Unlock()
	r := was.record(was.epoch)
	r.Floor = max(r.Floor, floor)
	r.Values = encodeValues(was.values)
	err := n.journal.journal.Remove(hash(pid), func(err error) {
		if err != nil { // the client is told that it is not recovered
			give(nil)
			return
		}
		give(&r)
	})
	if err != nil {
		give(nil)
	}
}
