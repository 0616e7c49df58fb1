package socketio

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"echows/ws"
)

// recovery keeps, for a while, the sockets of a namespace that lost their connection, and the events that were emitted. A
// client that comes back receives the events that it missed, each once and in order, or is told that it was not recovered.
// Each event carries its offset as one more argument; a client that comes back sends the last offset it received. Offsets
// increase. The namespace's lock guards all fields.
type recovery struct {
	namespace *Namespace
	time      time.Duration
	maxMissed int    // bytes that one socket may have missed: the limit of the queue of a client that polls
	epoch     string // with a Journal, the prefix of each offset; offsets of another epoch mean nothing

	last   uint64 // the offset of the last event
	floor  uint64 // clients cannot come back to an offset before this one
	events []*remembered
	live   map[string]*Socket // connected sockets by pid, which their clients send to come back
	kept   map[string]*kept   // also by pid
	order  []*kept            // oldest first; some are no longer in kept
	away   map[string]int     // how many kept sockets, and sockets about to come back, are in each room; empty with a Journal
	timer  *time.Timer
	ended  bool

	dropped uint64 // the offset of the last event that was dropped
	unkept  uint64 // the offset after the last event that was sent without being kept
}

// remembered is a kept event with its audience.
type remembered struct {
	audience
	offset uint64
	at     time.Time
	frame  *ws.Prepared
	size   int
}

func newRecovery(n *Namespace) *recovery {
	cfg := &n.server.config
	maxMissed := cfg.Engine.MaxQueue
	setDefault(&maxMissed, 1<<20)
	return &recovery{namespace: n, time: cfg.Recovery, maxMissed: maxMissed, live: map[string]*Socket{}, kept: map[string]*kept{}, away: map[string]int{}}
}

// offsetLocked returns the offset of the last event, or 0 if recovery is off.
func (n *Namespace) offsetLocked() uint64 {
	if n.recovery == nil {
		return 0
	}
	return n.recovery.last
}

// nextLocked returns the offset for an event: its sequence if it comes from the journal, a new offset if it will be kept,
// otherwise the offset of the last event.
func (r *recovery) nextLocked(e emission) uint64 {
	switch {
	case e.seq > 0:
		r.last = max(r.last, e.seq)
		return e.seq
	case e.hole:
		r.unkept = r.last + 1
		r.floor = r.unkept
	case !e.volatile && !e.forgotten:
		r.last++
	}
	return r.last
}

// withOffset adds the offset to an event as its last argument.
func (p packet) withOffset(epoch string, offset uint64) packet {
	b := make([]byte, 0, len(p.data)+len(epoch)+20)
	b = append(b, p.data[:len(p.data)-1]...)
	b = append(b, `,"`...)
	b = append(b, epoch...)
	b = strconv.AppendUint(b, offset, 36)
	p.data = append(b, `"]`...)
	return p
}

// parseOffset parses the offset of the last event that a client says it received.
func (r *recovery) parseOffset(text string) (uint64, bool) {
	digits, ok := strings.CutPrefix(text, r.epoch)
	offset, err := strconv.ParseUint(digits, 36, 64)
	return offset, ok && err == nil
}

// rememberedSize and keptSize are the approximate overhead, in bytes, of a kept event and a kept socket.
const (
	rememberedSize = 192
	keptSize       = 512
)

func (r *recovery) rememberLocked(offset uint64, to audience, f *ws.Prepared) {
	if r.ended {
		return
	}
	e := &remembered{audience: to, offset: offset, at: time.Now(), frame: f, size: f.Len() + to.size() + rememberedSize}
	r.events = append(r.events, e)
	r.namespace.server.kept.used.Add(int64(e.size))
	r.forgetLocked()
}

// forgetLocked drops events and sockets that are too old or beyond the memory bound, and sets a timer to repeat this.
func (r *recovery) forgetLocked() {
	all := &r.namespace.server.kept
	if all.over(1) {
		r.namespace.server.trimSoon()
	}
	if len(r.order) > 2*len(r.kept)+16 {
		r.order = slices.DeleteFunc(r.order, func(k *kept) bool { return r.kept[k.pid] != k })
	}
	expired := time.Now().Add(-r.time)
	r.dropOldestLocked(func(at time.Time) bool { return !at.After(expired) || all.over(hardBound) })
	if r.timer == nil && !r.ended && len(r.events)+len(r.order) > 0 {
		r.timer = time.AfterFunc(r.time/2+time.Millisecond, r.look)
	}
}

// dropOldestLocked drops events, and then sockets, oldest first, as long as old returns true.
func (r *recovery) dropOldestLocked(old func(at time.Time) bool) {
	all := &r.namespace.server.kept
	n := 0
	for n < len(r.events) && old(r.events[n].at) {
		r.dropped = r.events[n].offset
		r.floor = max(r.floor, r.dropped)
		all.give(r.events[n].size)
		r.events[n] = nil
		n++
	}
	r.events = r.events[n:] // append moves the rest to a new array when this one is full
	n = 0
	for n < len(r.order) && (r.kept[r.order[n].pid] != r.order[n] || old(r.order[n].at)) {
		r.dropLocked(r.order[n])
		r.order[n] = nil
		n++
	}
	r.order = r.order[n:]
}

// setFloorLocked says that all events after an offset arrived from the journal. Some may have been dropped since, and others
// sent without it.
func (r *recovery) setFloorLocked(from uint64) {
	r.floor = max(from, r.namespace.journal.hole, r.dropped, r.unkept)
}

// oldestLocked returns the time of the oldest event or socket that is kept, if there is any.
func (r *recovery) oldestLocked() (at time.Time, ok bool) {
	if len(r.events) > 0 {
		at, ok = r.events[0].at, true
	}
	if len(r.order) > 0 && (!ok || r.order[0].at.Before(at)) {
		at, ok = r.order[0].at, true
	}
	return at, ok
}

// hardBound, times RecoveryBytes, is how many bytes may be kept until trim has dropped the oldest of all namespaces. Beyond
// it, a namespace drops its own oldest events and sockets.
const hardBound = 1.25

// trimSoon calls trim in a goroutine, unless one is running.
func (s *Server) trimSoon() {
	if !s.trimming.Swap(true) {
		s.running.Go(func() {
			s.trim()
			s.trimming.Store(false)
		})
	}
}

// trim drops the oldest events and sockets of all namespaces until the rest fits into RecoveryBytes.
func (s *Server) trim() {
	for s.kept.over(1) {
		var oldest *Namespace
		var first, second time.Time // times of the oldest thing in oldest, and in the next oldest namespace
		for _, n := range s.all() {
			at, ok := n.keepsSince()
			switch {
			case !ok:
			case oldest == nil || at.Before(first):
				oldest, first, second = n, at, first
			case second.IsZero() || at.Before(second):
				second = at
			}
		}
		if oldest == nil {
			return
		}
		oldest.mu.Lock()
		oldest.recovery.dropOldestLocked(func(at time.Time) bool {
			return s.kept.over(1) && (second.IsZero() || !at.After(second))
		})
		oldest.mu.Unlock()
	}
}

// keepsSince returns the time of the oldest event or socket that recovery keeps, if there is any.
func (n *Namespace) keepsSince() (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.recovery == nil {
		return time.Time{}, false
	}
	return n.recovery.oldestLocked()
}

// look is called by the timer. It drops old events and sockets, and the namespace if it is no longer needed.
func (r *recovery) look() {
	n := r.namespace
	n.mu.Lock()
	r.timer = nil
	r.forgetLocked()
	n.mu.Unlock()
	n.server.drop(n)
}

// stopLocked forgets everything.
func (r *recovery) stopLocked() {
	r.ended = true
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, e := range r.events {
		r.namespace.server.kept.give(e.size)
	}
	for _, k := range r.kept {
		r.dropLocked(k)
	}
	r.events, r.order = nil, nil
}
