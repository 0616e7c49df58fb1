package socketio

import (
	"strconv"
	"strings"
	"time"

	"echows/ws"
)

// recovery keeps, for a while, the sockets of a namespace that lost their connection, and the events that were emitted. A
// client that comes back gets the events that it missed, each once and in order, or learns that it does not. Each event
// carries its offset as one more argument, by which a client says how far it got; offsets rise. The namespace's lock guards
// all of it.
type recovery struct {
	namespace *Namespace
	time      time.Duration
	maxMissed int    // bytes that one socket can have missed: no more can be queued for a client that polls
	epoch     string // stands before each offset, where several nodes count them; offsets of another epoch mean nothing

	last   uint64 // the offset of the last event
	floor  uint64 // that of the last event that is forgotten
	events []*remembered
	live   map[string]*Socket // by pid, with which their clients come back
	kept   map[string]*kept
	order  []*kept // the oldest first; some may have come back
	timer  *time.Timer
	ended  bool
}

// remembered is an event that is kept, and whom it was for.
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
	return &recovery{namespace: n, time: cfg.Recovery, maxMissed: maxMissed, live: map[string]*Socket{}, kept: map[string]*kept{}}
}

// offsetLocked returns the offset of the last event, or 0 if recovery is off.
func (n *Namespace) offsetLocked() uint64 {
	if n.recovery == nil {
		return 0
	}
	return n.recovery.last
}

// nextLocked returns the offset for an event: a new one if the event is to be kept, otherwise that of the last kept event.
func (r *recovery) nextLocked(e emission) uint64 {
	switch {
	case e.seq > 0:
		r.last = max(r.last, e.seq)
		return e.seq
	case e.hole:
		r.floor = r.last + 1
	case !e.volatile && !e.forgotten:
		r.last++
	}
	return r.last
}

// withOffset adds an argument to an event.
func (p packet) withOffset(epoch string, offset uint64) packet {
	b := make([]byte, 0, len(p.data)+len(epoch)+20)
	b = append(b, p.data[:len(p.data)-1]...)
	b = append(b, `,"`...)
	b = append(b, epoch...)
	b = strconv.AppendUint(b, offset, 36)
	p.data = append(b, `"]`...)
	return p
}

// parseOffset reads the offset of the last event that a client says it got.
func (r *recovery) parseOffset(text string) (uint64, bool) {
	digits, ok := strings.CutPrefix(text, r.epoch)
	offset, err := strconv.ParseUint(digits, 36, 64)
	return offset, ok && err == nil
}

// rememberedSize and keptSize are about how many bytes an event and a socket take besides what they hold.
const (
	rememberedSize = 192
	keptSize       = 512
)

// rememberLocked keeps an event.
func (r *recovery) rememberLocked(offset uint64, to audience, f *ws.Prepared) {
	if r.ended {
		return
	}
	e := &remembered{audience: to, offset: offset, at: time.Now(), frame: f, size: f.Len() + rememberedSize}
	for _, list := range [][]string{to.rooms, to.except} {
		for _, name := range list {
			e.size += len(name) + 16
		}
	}
	r.events = append(r.events, e)
	r.namespace.server.kept.used.Add(int64(e.size))
	r.forgetLocked()
}

// forgetLocked drops what is too old or too much, and sets a timer to be called again.
func (r *recovery) forgetLocked() {
	all := &r.namespace.server.kept
	if all.over(1) {
		r.namespace.server.trimSoon()
	}
	expired := time.Now().Add(-r.time)
	r.dropOldestLocked(func(at time.Time) bool { return !at.After(expired) || all.over(hardBound) })
	if r.timer == nil && !r.ended && len(r.events)+len(r.order) > 0 {
		r.timer = time.AfterFunc(r.time/2+time.Millisecond, r.look)
	}
}

// dropOldestLocked drops events, and then sockets, the oldest first, as long as old reports true.
func (r *recovery) dropOldestLocked(old func(at time.Time) bool) {
	all := &r.namespace.server.kept
	n := 0
	for n < len(r.events) && old(r.events[n].at) {
		r.floor = max(r.floor, r.events[n].offset)
		all.give(r.events[n].size)
		r.events[n] = nil
		n++
	}
	r.events = r.events[n:] // append moves what is left when there is no room behind it
	n = 0
	for n < len(r.order) && (r.kept[r.order[n].pid] != r.order[n] || old(r.order[n].at)) {
		r.dropLocked(r.order[n])
		r.order[n] = nil
		n++
	}
	r.order = r.order[n:]
}

// oldestLocked returns the time of the oldest thing that is kept, if there is any.
func (r *recovery) oldestLocked() (at time.Time, ok bool) {
	if len(r.events) > 0 {
		at, ok = r.events[0].at, true
	}
	if len(r.order) > 0 && (!ok || r.order[0].at.Before(at)) {
		at, ok = r.order[0].at, true
	}
	return at, ok
}

// hardBound is how many times RecoveryBytes may be kept until trim has dropped the oldest of all namespaces. Past that, a
// namespace drops its own.
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

// trim drops the oldest of what all namespaces keep, until the rest fits.
func (s *Server) trim() {
	for s.kept.over(1) {
		var oldest *Namespace
		var first, second time.Time // since when that one keeps something, and the next
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

// keepsSince returns the time of the oldest thing that recovery keeps, if there is any.
func (n *Namespace) keepsSince() (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.recovery == nil {
		return time.Time{}, false
	}
	return n.recovery.oldestLocked()
}

// look drops what is too old.
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
		r.namespace.server.kept.give(k.size)
	}
	r.events, r.order = nil, nil
	clear(r.kept)
}
