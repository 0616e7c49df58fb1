package socketio

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"echows/socketio/engineio"
	"echows/ws"
)

// recovery remembers, for a while, the sockets of a namespace that lost their connection, and everything
// that was emitted: who comes back gets what it missed. Each event carries, as one more argument, the
// offset by which its client says how far it got.
type recovery struct {
	time      time.Duration
	maxBytes  int
	maxMissed int // bytes that one socket can have missed: a client that polls can have no more queued

	onEmpty func() // called without mu, when there is nothing left

	mu       sync.Mutex // held while an event is delivered, and while a socket is restored, so that neither falls between
	first    uint64     // the offset of events[0]
	events   []remembered
	gone     int // of events, which are not in use any more
	bytes    int
	sessions map[string]session // by the private id
	leaving  []string           // the keys of sessions, in the order in which their time is over
	timer    *time.Timer        // for the next look at what is too old; nil while there is nothing
	stopped  bool
}

// remembered is an event and whom it was for.
type remembered struct {
	at            time.Time
	rooms, except []string
	but           string // the id of who emitted it to the others
	frame         *ws.Prepared
}

const rememberedSize = 128 // bytes, about, that an event takes beside its frame

// session is a socket that lost its connection.
type session struct {
	id    string
	rooms []string
	until time.Time
}

func newRecovery(cfg Config, onEmpty func()) *recovery {
	maxMissed := cfg.Engine.MaxQueue
	if maxMissed == 0 {
		maxMissed = 1 << 20
	}
	return &recovery{
		time: cfg.Recovery, maxBytes: cfg.RecoveryBytes, maxMissed: maxMissed, onEmpty: onEmpty,
		first: 1, sessions: map[string]session{},
	}
}

// emit remembers an event and has it delivered.
func (r *recovery) emit(to Emitter, p packet, attachments [][]byte, deliver func(*ws.Prepared)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	offset := r.first + uint64(len(r.events))
	p.data = append(p.data[:len(p.data)-1], `,"`...)
	p.data = append(strconv.AppendUint(p.data, offset, 36), `"]`...)
	f, err := encodeFrame(p, attachments)
	if err != nil {
		return err
	}
	e := remembered{at: time.Now(), rooms: to.rooms, except: to.except, frame: f}
	if to.but != nil {
		e.but = to.but.id
	}
	r.events = append(r.events, e)
	r.bytes += f.Len() + rememberedSize
	r.forgetLocked()
	deliver(f)
	return nil
}

// recoverable are the reasons after which a socket may come back as the same.
var recoverable = []string{
	engineio.TransportClose, engineio.TransportError, engineio.PingTimeout, engineio.ForcedClose, engineio.ShuttingDown,
}

// keep remembers a socket that lost its connection.
func (r *recovery) keep(s *Socket, reason string) {
	if !slices.Contains(recoverable, reason) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.private] = session{s.id, s.Rooms(), time.Now().Add(r.time)}
	r.leaving = append(r.leaving, s.private)
	r.forgetLocked()
}

// restore makes s the socket that its client had before, if that is remembered, and everything it missed.
func (r *recovery) restore(s *Socket) bool {
	var said struct{ PID, Offset string }
	if s.Auth(&said) != nil || said.PID == "" || said.Offset == "" {
		return false
	}
	offset, err := strconv.ParseUint(said.Offset, 36, 64)
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLocked()
	was, ok := r.sessions[said.PID]
	delete(r.sessions, said.PID) // it comes back once
	if !ok || offset+1 < r.first+uint64(r.gone) || offset >= r.first+uint64(len(r.events)) {
		return false
	}
	var missed []*ws.Prepared
	bytes := 0
	for _, e := range r.events[offset+1-r.first:] {
		if e.isFor(was.id, was.rooms) {
			missed = append(missed, e.frame)
			bytes += e.frame.Len()
		}
	}
	if bytes > r.maxMissed {
		return false
	}
	s.id, s.private, s.recovered, s.waiting = was.id, said.PID, true, missed
	s.namespace.add(s)
	s.Join(was.rooms...)
	return true
}

// isFor reports whether an event was for a socket.
func (e remembered) isFor(id string, rooms []string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(room string) bool { return slices.Contains(rooms, room) })
	}
	return e.but != id && (len(e.rooms) == 0 || in(e.rooms)) && !in(e.except)
}

// forgetLocked drops what is too old or too much, and sees to it that it is called again.
func (r *recovery) forgetLocked() {
	now := time.Now()
	for r.gone < len(r.events) && (r.bytes > r.maxBytes || now.Sub(r.events[r.gone].at) > r.time) {
		r.bytes -= r.events[r.gone].frame.Len() + rememberedSize
		r.events[r.gone] = remembered{}
		r.gone++
	}
	if r.gone > len(r.events)/2 { // so that each event is moved once, about
		r.first += uint64(r.gone)
		r.events = append([]remembered(nil), r.events[r.gone:]...)
		r.gone = 0
	}
	for len(r.leaving) > 0 {
		one, ok := r.sessions[r.leaving[0]]
		if ok && now.Before(one.until) {
			break
		}
		delete(r.sessions, r.leaving[0])
		r.leaving = r.leaving[1:]
	}
	if r.timer == nil && !r.emptyLocked() && !r.stopped {
		r.timer = time.AfterFunc(r.time/2+time.Millisecond, r.look)
	}
}

// look drops what is too old.
func (r *recovery) look() {
	r.mu.Lock()
	r.timer = nil
	r.forgetLocked()
	empty := r.emptyLocked()
	r.mu.Unlock()
	if empty {
		r.onEmpty()
	}
}

func (r *recovery) emptyLocked() bool { return len(r.events) == r.gone && len(r.sessions) == 0 }

// empty reports whether nobody can come back, or recovery is off.
func (r *recovery) empty() bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions) == 0
}

// stop ends the timer. A nil recovery has none.
func (r *recovery) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
