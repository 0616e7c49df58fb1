package socketio

import (
	"strconv"
	"strings"
	"time"

	"echows/ws"
)

// recovery remembers, for a while, the sockets of a namespace that lost their connection, and what was emitted: a client
// that comes back gets what it missed, each event once and in order, or is told that it does not. Each event carries, as
// one more argument, the offset by which its client says how far it got; offsets rise. All of it is guarded by the
// namespace.
type recovery struct {
	namespace *Namespace
	time      time.Duration
	maxMissed int    // bytes that one socket can have missed: a client that polls can have no more queued
	epoch     string // goes before each offset, where several nodes count them; another one is of other offsets

	last   uint64 // the offset of the last event
	floor  uint64 // that of the last one that is forgotten
	events []*remembered
	live   map[string]*Socket // by the id that their clients come back with
	kept   map[string]*kept
	order  []*kept // the oldest first; some may have come back
	timer  *time.Timer
	ended  bool
}

// remembered is an event and whom it was for.
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

// offsetLocked is the offset of the last event, or 0 where recovery is off.
func (n *Namespace) offsetLocked() uint64 {
	if n.recovery == nil {
		return 0
	}
	return n.recovery.last
}

// nextLocked is the offset of an event: one of its own if it is remembered, or that of the last one that is.
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

// parseOffset reads what a client says it got last.
func (r *recovery) parseOffset(text string) (uint64, bool) {
	digits, ok := strings.CutPrefix(text, r.epoch)
	offset, err := strconv.ParseUint(digits, 36, 64)
	return offset, ok && err == nil
}

// rememberedSize and keptSize are bytes, about, that an event and a socket take beside what they hold.
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

// forgetLocked drops what is too old, and what is too much; and sees to it that it is called again.
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

// dropOldestLocked drops events, and then sockets, from the oldest on, while old says so.
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

// oldestLocked is since when something is kept, if anything is.
func (r *recovery) oldestLocked() (at time.Time, ok bool) {
	if len(r.events) > 0 {
		at, ok = r.events[0].at, true
	}
	if len(r.order) > 0 && (!ok || r.order[0].at.Before(at)) {
		at, ok = r.order[0].at, true
	}
	return at, ok
}

// hardBound is how many times RecoveryBytes may be kept before trim has dropped the oldest of all namespaces. Beyond
// it, a namespace drops its own.
const hardBound = 1.25

// trimSoon has trim called.
func (s *Server) trimSoon() {
	if !s.trimming.Swap(true) {
		s.running.Go(func() {
			s.trim()
			s.trimming.Store(false)
		})
	}
}

// trim drops the oldest of what all namespaces keep, until there is room for the rest.
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

// keepsSince is since when recovery keeps something, if it does.
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
