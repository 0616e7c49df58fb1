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
	time     time.Duration
	maxBytes int

	mu       sync.Mutex // held while an event is delivered, and while a socket is restored, so that neither falls between
	first    uint64     // the offset of events[0]
	events   []remembered
	bytes    int
	sessions map[string]session // by the private id
	timer    *time.Timer        // for the next look at what is too old; nil while there is nothing
	stopped  bool
}

// remembered is an event and whom it was for.
type remembered struct {
	at    time.Time
	to    Emitter
	frame ws.Frame
}

// session is a socket that lost its connection.
type session struct {
	id    string
	rooms []string
	until time.Time
}

func newRecovery(cfg Config) *recovery {
	return &recovery{time: cfg.Recovery, maxBytes: cfg.RecoveryBytes, first: 1, sessions: map[string]session{}}
}

// emit remembers an event and delivers it.
func (r *recovery) emit(to Emitter, p packet, attachments [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	offset := r.first + uint64(len(r.events))
	p.data = append(p.data[:len(p.data)-1], `,"`...)
	p.data = append(strconv.AppendUint(p.data, offset, 36), `"]`...)
	f, err := encodeFrame(p, attachments)
	if err != nil {
		return err
	}
	r.events = append(r.events, remembered{time.Now(), to, f})
	r.bytes += f.Len()
	r.forgetLocked()
	to.deliver(f)
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
	if !ok || offset+1 < r.first || offset >= r.first+uint64(len(r.events)) {
		return false
	}
	s.id, s.private, s.recovered = was.id, said.PID, true
	for _, e := range r.events[offset+1-r.first:] {
		if e.to.wants(s.id, was.rooms) {
			s.waiting = append(s.waiting, e.frame)
		}
	}
	s.namespace.add(s)
	s.Join(was.rooms...)
	return true
}

// wants reports whether an emission is for a socket.
func (e Emitter) wants(id string, rooms []string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(room string) bool { return slices.Contains(rooms, room) })
	}
	return (e.but == nil || e.but.id != id) && (len(e.rooms) == 0 || in(e.rooms)) && !in(e.except)
}

// forgetLocked drops what is too old or too much, and sees to it that it is called again.
func (r *recovery) forgetLocked() {
	now := time.Now()
	drop := 0
	for drop < len(r.events) && (r.bytes > r.maxBytes || now.Sub(r.events[drop].at) > r.time) {
		r.bytes -= r.events[drop].frame.Len()
		drop++
	}
	r.events = slices.Delete(r.events, 0, drop)
	r.first += uint64(drop)
	for id, one := range r.sessions {
		if now.After(one.until) {
			delete(r.sessions, id)
		}
	}
	empty := len(r.events) == 0 && len(r.sessions) == 0
	if r.timer == nil && !empty && !r.stopped {
		r.timer = time.AfterFunc(r.time/2, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.timer = nil
			r.forgetLocked()
		})
	}
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
