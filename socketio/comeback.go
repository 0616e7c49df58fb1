package socketio

import (
	"crypto/rand"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"
)

// trail is the state that recovery needs for a socket, besides its current rooms.
type trail struct {
	start uint64       // the offset of the last event before the socket began
	sent  uint64       // the offset of the last event sent to it, or start
	past  []membership // rooms that it left
	floor uint64       // its rooms before this offset are forgotten

	unkept bool // after the last event, there may have been others for it, which are not kept
	before bool // events were sent to it before offsets restarted in a new epoch
}

// memory is the part of a socket that exists only with recovery.
type memory struct {
	pid  string // a secret that the client sends to come back
	back *kept  // the earlier socket, until this one is in its namespace

	saving   sync.Mutex // held while writing the socket's record to the journal
	emitting sync.Mutex // held by Emit; taken before all other locks

	trail trail // guarded by the namespace
	times int   // number of times it came back; guarded by the namespace
}

// membership means that a socket received a room's events with offsets after Since and up to Until.
type membership struct {
	Room  string `json:"room"`
	Since uint64 `json:"since"`
	Until uint64 `json:"until,omitempty"` // 0: still a member
}

// maxPast is how many past memberships of a socket are remembered. A client whose socket has more, and that missed events
// from the time of the forgotten ones, is not recovered.
const maxPast = 64

func (t *trail) left(room string, since, until uint64) {
	if since == until { // no events in between
		return
	}
	if len(t.past) == maxPast {
		t.floor = t.past[0].Until
		t.past = slices.Clone(t.past[1:])
	}
	t.past = append(t.past, membership{room, since, until})
}

// kept is a socket whose client may come back.
type kept struct {
	id, pid string
	values  map[string]value
	rooms   []membership
	trail
	epoch   string    // of its offsets
	sure    bool      // trail.sent is known; it is not if the socket's node died
	end     uint64    // the offset of the last event when it ended
	at      time.Time // when it ended
	size    int
	times   int  // number of times it came back
	counted bool // its rooms are counted in recovery.away
	ended   bool // its client cannot come back; it is kept until the journal has removed its record

	offset string // of the last event that the client says it received
	got    uint64 // offset, parsed
}

// identify gives s the identity of its client's earlier socket, if that socket is kept, or is still connected because the
// server has not yet noticed the loss of its connection. add finds the events that it missed.
func (r *recovery) identify(s *Socket) bool {
	var said struct{ PID, Offset string }
	if s.Auth(&said) != nil || said.PID == "" {
		return false
	}
	n := r.namespace
	was := r.take(said.PID)
	if was == nil && n.journal != nil {
		was = n.journal.find(said.PID)
	}
	ok := false
	if was != nil {
		n.journal.waitFor(said.Offset) // this node may be behind the one that sent it
		n.mu.Lock()
		if !was.ended { // it counts no more bytes
			was.offset = said.Offset
		}
		if _, ok = r.missedLocked(was); !ok { // again in add, as Use functions may take long
			r.giveUpRoomsLocked(was)
		}
		n.mu.Unlock()
	}
	if !ok {
		n.server.counters.lost.Add(1)
		return false
	}
	s.id, s.pid, s.values, s.recovered, s.back = was.id, was.pid, was.values, true, was
	return true
}

// take returns the kept socket with a pid on this node, or nil, and forgets it unless it has ended, but not its rooms
// (giveUpRoomsLocked). If the socket is still connected, take ends it first.
func (r *recovery) take(pid string) *kept {
	n := r.namespace
	n.mu.Lock()
	before := r.live[pid]
	n.mu.Unlock()
	if before != nil {
		before.end(lostReasons[0])
		before.waitForSaves()
		before.conn.session.Close()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	was := r.kept[pid]
	if was != nil && !was.ended {
		r.takeLocked(was)
	}
	return was
}

// stayAway lets go of the earlier socket, if this one was to be it and was refused.
func (s *Socket) stayAway() {
	if s.memory == nil || s.back == nil {
		return
	}
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	s.namespace.recovery.giveUpRoomsLocked(s.back)
	s.back = nil
}

// beginLocked begins the trail of a new socket, or continues that of the earlier one.
func (r *recovery) beginLocked(s *Socket, missed []*remembered) {
	if was := s.back; was != nil {
		r.namespace.server.counters.recovered.Add(1)
		s.trail, s.times = was.trail, was.times+1
		s.trail.sent = was.got
		if len(missed) > 0 {
			s.trail.sent = missed[len(missed)-1].offset
		}
	} else {
		s.pid = rand.Text()
		s.trail = trail{start: r.last, sent: r.last}
	}
	r.live[s.pid] = s
}

// missedLocked returns the events that a socket missed. It reports whether they are complete, and not too many to send, and
// whether the socket has not ended, and no other connection came back to it, as two at once may with a Journal.
func (r *recovery) missedLocked(was *kept) (missed []*remembered, ok bool) {
	if r.live[was.pid] != nil || r.kept[was.pid] != nil {
		return nil, false
	}
	if j := r.namespace.journal; j != nil && j.behind {
		return nil, false
	}
	r.forgetLocked()
	from, ok := r.fromLocked(was)
	if !ok || was.epoch != r.epoch || from < was.trail.floor || from < r.floor {
		return nil, false
	}
	bytes := 0
	for _, e := range r.events[r.afterLocked(from):] {
		if was.hears(e) {
			missed = append(missed, e)
			bytes += e.frame.Len()
		}
	}
	return missed, bytes <= r.maxMissed
}

// fromLocked returns the offset after which a socket may have missed events, or false if the client's offset is not
// credible. A client that received the last event sent to it missed nothing before its connection ended, however many
// events other clients received.
func (r *recovery) fromLocked(was *kept) (uint64, bool) {
	got := was.start
	if was.offset == "" && was.before {
		return 0, false // the client may or may not have received those events
	}
	if was.offset != "" {
		var ok bool
		if got, ok = r.parseOffset(was.offset); !ok || got < was.start || got > r.last {
			return 0, false
		}
	}
	was.got = got
	switch {
	case !was.sure:
		return got, true
	case got > was.sent:
		return 0, false // no such event was sent to it
	case got == was.sent && !was.unkept:
		return max(got, was.end), true
	}
	return got, true
}

// afterLocked returns the index in events of the first event after an offset.
func (r *recovery) afterLocked(offset uint64) int {
	return sort.Search(len(r.events), func(i int) bool { return r.events[i].offset > offset })
}

// hears reports whether an event was for the socket, given the rooms that it was in at the time.
func (k *kept) hears(e *remembered) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(room string) bool { return k.wasIn(room, e.offset) })
	}
	return (e.rooms == nil || in(e.rooms)) && !in(e.except)
}

func (k *kept) wasIn(room string, offset uint64) bool {
	was := func(m membership) bool {
		return m.Room == room && offset > m.Since && (m.Until == 0 || offset <= m.Until)
	}
	return room == k.id || slices.ContainsFunc(k.rooms, was) || slices.ContainsFunc(k.past, was)
}

// removedLocked is called when a socket ends, while it is still in its rooms. lost says that its client may come back.
func (r *recovery) removedLocked(s *Socket, lost bool) {
	delete(r.live, s.pid)
	j := r.namespace.journal
	if r.ended || !lost && j == nil {
		return
	}
	if !lost {
		r.keepLocked(&kept{pid: s.pid, ended: true, at: time.Now(), size: keptSize})
		return
	}
	k := r.describeLocked(s)
	k.sure, k.end, k.at = true, r.last, time.Now()
	if j != nil && j.hole > k.sent { // the connection may have been lost before the hole
		k.unkept = true
	}
	r.keepRoomsLocked(k)
	r.keepLocked(k)
}

func (r *recovery) keepLocked(k *kept) {
	r.kept[k.pid] = k
	r.order = append(r.order, k)
	r.namespace.server.kept.used.Add(int64(k.size))
	r.forgetLocked()
}

// describeLocked returns the state of a socket that its client needs to come back.
func (r *recovery) describeLocked(s *Socket) *kept {
	k := &kept{id: s.id, pid: s.pid, trail: s.trail, epoch: r.epoch, times: s.times, size: keptSize}
	for name, p := range s.rooms {
		k.rooms = append(k.rooms, membership{Room: name, Since: p.since})
		k.size += len(name) + 48
	}
	k.size += len(s.trail.past) * 64
	s.mu.Lock()
	defer s.mu.Unlock()
	k.values = maps.Clone(s.values) // the application may still set values on the socket after it has ended
	for _, v := range s.values {
		k.size += len(v.raw) + 128
	}
	return k
}

// dropLocked forgets a kept socket.
func (r *recovery) dropLocked(k *kept) {
	if r.kept[k.pid] == k {
		r.takeLocked(k)
		r.giveUpRoomsLocked(k)
	}
}

// takeLocked forgets a kept socket, but not its rooms.
func (r *recovery) takeLocked(k *kept) {
	delete(r.kept, k.pid)
	r.namespace.server.kept.give(k.size)
}

// keepRoomsLocked makes this node receive the events for a socket's rooms until giveUpRoomsLocked. With a Journal, it receives all.
func (r *recovery) keepRoomsLocked(k *kept) {
	if r.namespace.server.cluster == nil || r.namespace.journal != nil {
		return
	}
	k.counted = true
	for _, m := range k.rooms {
		r.away[m.Room]++
	}
}

func (r *recovery) giveUpRoomsLocked(k *kept) {
	if !k.counted {
		return
	}
	k.counted = false
	for _, m := range k.rooms {
		if r.away[m.Room]--; r.away[m.Room] == 0 {
			delete(r.away, m.Room)
			r.namespace.unlistenRoomLocked(m.Room)
		}
	}
}
