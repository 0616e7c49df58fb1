package socketio

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

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
