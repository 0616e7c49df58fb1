package socketio

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// record is a kept socket, encoded for other nodes and the journal.
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
	Ended  bool                       `json:"ended,omitempty"` // its client cannot come back
	Times  int                        `json:"times,omitempty"` // number of times it came back; of two records, the one with more is newer
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
	k.values = make(map[string]value, len(r.Values))
	for name, raw := range r.Values {
		k.values[name] = value{raw: raw}
	}
	return k
}

// key returns the journal's key for the record of the socket with a pid. It depends on the namespace: a pid from one
// namespace must not let its client into another.
func (j *journal) key(pid string) string { return hash(j.topic + "," + pid) }

// save stores a socket's record in the journal, so that its client can come back after this node has died. It waits up to
// saveTime until the journal has the record, so that the record is at least as new as anything the client is told later.
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

// saveAnd is like save but does not wait: it calls done, unless done is nil, with the result. It logs and returns the error
// if the record cannot be encoded or given to the journal.
func (s *Socket) saveAnd(done func(error)) error {
	n := s.namespace
	if n.journal == nil {
		return nil
	}
	values := s.encodeValues()
	s.saving.Lock() // so that the newest record is the last one written
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
		err = n.journal.journal.Put(n.journal.key(s.pid), data, done)
	}
	n.server.cluster.failed("a socket was not stored", err)
	return err
}

// waitForSaves waits until the last record of a socket that has ended was given to the journal.
func (s *Socket) waitForSaves() {
	s.saving.Lock()
	defer s.saving.Unlock()
}

// unsave removes the record of a socket that has ended from the journal. Until then, recovery keeps the socket as ended, so
// that its client cannot come back.
func (s *Socket) unsave() {
	s.saving.Lock()
	defer s.saving.Unlock()
	j := s.namespace.journal
	removed := func(err error) { s.namespace.removed(s.pid, err) }
	if err := j.journal.Remove(j.key(s.pid), removed); err != nil {
		removed(err)
	}
}

// removed is called with the result of removing a socket's record.
func (n *Namespace) removed(pid string, err error) {
	n.server.cluster.failed("a socket was not removed", err)
	if err != nil { // the record may remain for as long as the socket is kept
		return
	}
	n.mu.Lock()
	if k := n.recovery.kept[pid]; k != nil && k.ended {
		n.recovery.dropLocked(k)
	}
	n.mu.Unlock()
	n.server.drop(n)
}

// refresh saves all sockets again before their records expire in the journal.
func (s *Server) refresh() {
	for _, n := range s.all() {
		if n.journal == nil {
			continue
		}
		for _, one := range n.localSockets(audience{}) {
			one.saveAnd(nil) // logs its error
		}
	}
}

// find returns a client's earlier socket on another node, or nil. It gets the socket from that node, or, if the node has
// died, from the journal.
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
	c.failed("not all nodes reported whether they know a client that came back", err)
	ctx, cancel = context.WithTimeout(context.Background(), saveTime)
	defer cancel()
	data, ok, err := j.journal.Take(ctx, j.key(pid)) // Take, so that nobody else can use the record
	c.failed("the journal did not report whether it knows a client that came back", err)
	mu.Lock()
	defer mu.Unlock()
	if r := (record{}); ok && best == nil && json.Unmarshal(data, &r) == nil {
		best = &r
	}
	if best == nil || best.Ended {
		return nil
	}
	k := best.kept(pid)
	k.epoch = best.Epoch
	return k
}

// giveUp removes a socket whose client came back to another node, and calls give with its record, or with nil. It calls
// give only after the record was removed from the journal: a late write would otherwise replace the other node's record.
func (n *Namespace) giveUp(pid string, give func(*record)) {
	if n.journal == nil {
		give(nil)
		return
	}
	was := n.recovery.take(pid)
	switch {
	case was == nil:
		give(nil)
		return
	case was.ended:
		give(&record{Ended: true})
		return
	}
	gone := &kept{pid: pid, ended: true, at: time.Now(), size: keptSize} // nobody else gets it, or its record, in the meantime
	n.mu.Lock()
	floor := n.recovery.floor // the other node may not know of a hole yet
	n.recovery.keepLocked(gone)
	n.mu.Unlock()
	r := was.record(was.epoch)
	r.Floor = max(r.Floor, floor)
	r.Values = encodeValues(was.values)
	removed := func(err error) {
		if n.removed(pid, err); err != nil { // the client is not recovered
			give(&record{Ended: true})
			return
		}
		give(&r)
	}
	if err := n.journal.journal.Remove(n.journal.key(pid), removed); err != nil {
		removed(err)
	}
}
