package socketio

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"echows/socketio/engineio"
	"echows/ws"
)

// The reasons for which a socket ends, beside those of engineio.
const (
	clientDisconnect = "client namespace disconnect"
	serverDisconnect = "server namespace disconnect"
)

const (
	maxWaiting = 256 << 10 // bytes that OnConnect's functions may emit to a socket before it is connected
	maxAcks    = 1000      // acknowledgements that one client may owe
	maxRooms   = 1000      // that one socket may be in
)

// ErrClosed is what emitting to a socket returns once it has ended; it is ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// Socket is one client in one namespace. Its methods may be called from any goroutine, except On, OnAny
// and OnDisconnect, which belong in OnConnect's functions.
type Socket struct {
	conn      *conn
	namespace *Namespace
	member    *member
	handshake Handshake
	id        string
	private   string // the id that the client can come back by; "" where recovery is off
	recovered bool

	// Set before the socket is connected; then read by its callbacks.
	handlers map[string]handler
	onAny    func(Event) error

	emitting sync.Mutex // held by Emit where recovery is on; taken before all others

	mu           sync.Mutex
	opened       bool // OnConnect's functions have passed it
	connected    bool // CONNECT was answered, and what waited for that is sent
	flushing     bool // Emit sends what waits, in order
	leaving      bool // Disconnect was called before it was connected
	leavingAll   bool // and for all namespaces
	ended        bool // and why:
	reason       string
	waiting      []ws.Frame // emitted before it was connected, or while it is flushing
	waitingBytes int
	rooms        map[string]bool
	acks         map[uint64]chan []Arg
	lastAck      uint64
	onDisconnect []func(reason string)
	onClose      []func(ws.CloseCode, string)
}

// handler is what is called with an event, and the event's name.
type handler struct {
	event string
	call  func(Event) error
}

// Handshake is what a client said when it connected to the namespace.
type Handshake struct {
	Auth    json.RawMessage // CONNECT's payload; {} where there was none
	Request *http.Request   // the connection's first, with header, query and remote address
	Time    time.Time
}

// member is a socket as the hub sees it.
type member struct{ socket *Socket }

func (m *member) Offer(f ws.Frame) {
	s := m.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case s.connected && !s.flushing:
		s.conn.session.Offer(f)
	case s.waitLocked(f) != nil: // a hole in what it hears would be worse
		s.conn.session.Close()
	}
}

func (m *member) OnClose(f func(code ws.CloseCode, reason string)) {
	s := m.socket
	s.mu.Lock()
	if !s.ended {
		s.onClose = append(s.onClose, f)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	f(ws.CloseNormal, s.reason)
}

func (n *Namespace) newSocket(c *conn, auth []byte) *Socket {
	if auth == nil {
		auth = []byte("{}")
	}
	s := &Socket{
		conn:      c,
		namespace: n,
		handshake: Handshake{slices.Clone(auth), c.session.Request(), time.Now()},
		id:        rand.Text()[:20],
		handlers:  map[string]handler{},
		rooms:     map[string]bool{},
		acks:      map[uint64]chan []Arg{},
	}
	s.member = &member{s}
	if n.recovery != nil {
		s.private = rand.Text()
	}
	return s
}

// add makes s one of the namespace's sockets, and of the room that has its id.
func (n *Namespace) add(s *Socket) {
	n.mu.Lock()
	n.sockets[s.id] = s
	n.mu.Unlock()
	n.server.hub.Join(s.member, n.everyone()) // fails only for a socket that has ended
	s.Join(s.id)
}

// ID names the socket, in its namespace. It is also a room that only it is in.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Handshake is what the client said when it connected.
func (s *Socket) Handshake() Handshake { return s.handshake }

// Auth decodes CONNECT's payload into v, a pointer.
func (s *Socket) Auth(v any) error { return Arg{raw: s.handshake.Auth}.Decode(v) }

// Recovered reports whether this is a socket that lost its connection and came back, with its id, its
// rooms and what it missed.
func (s *Socket) Recovered() bool { return s.recovered }

// Transport is "polling" or "websocket".
func (s *Socket) Transport() string { return s.conn.session.Transport() }

// On registers what is called with each event of a name. An ErrArguments from f is told the client, by an
// event "error"; any other error ends the connection.
func (s *Socket) On(event string, f func(Event) error) {
	s.handlers[event] = handler{event, f}
}

// OnAny registers what is called with each event that On knows nothing of.
func (s *Socket) OnAny(f func(Event) error) { s.onAny = f }

// On registers f for an event with one argument, decoded. The client may leave it out, and ask for an
// acknowledgement.
func On[T any](s *Socket, event string, f func(e Event, v T) error) {
	s.On(event, func(e Event) error {
		var v T
		if err := e.Decode(&v); err != nil {
			return err
		}
		return f(e, v)
	})
}

// OnDisconnect adds a function to be called, once, when the socket has ended, with the reason in the words
// of the reference: "transport close", "ping timeout", "client namespace disconnect" and so on. It is not
// called for a socket that OnConnect's functions refuse.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.mu.Lock()
	if !s.ended || !s.opened {
		s.onDisconnect = append(s.onDisconnect, f)
		s.mu.Unlock()
		return
	}
	reason := s.reason
	s.mu.Unlock()
	f(reason)
}

// Join makes the socket a member of rooms. A room begins with its first member and ends with its last.
func (s *Socket) Join(rooms ...string) error {
	for _, room := range rooms {
		s.mu.Lock()
		full := len(s.rooms) >= maxRooms && !s.rooms[room]
		if !full && !s.ended {
			s.rooms[room] = true
		}
		s.mu.Unlock()
		if full {
			return fmt.Errorf("socketio: a socket can be in %d rooms", maxRooms)
		}
		if err := s.namespace.server.hub.Join(s.member, s.namespace.topic(room)); err != nil {
			return err
		}
	}
	return nil
}

// Leave ends the membership in a room.
func (s *Socket) Leave(room string) {
	s.mu.Lock()
	delete(s.rooms, room)
	s.mu.Unlock()
	s.namespace.server.hub.Leave(s.member, s.namespace.topic(room))
}

// In reports whether the socket is in a room.
func (s *Socket) In(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[room]
}

// Rooms are those that the socket is in.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := make([]string, 0, len(s.rooms))
	for room := range s.rooms {
		rooms = append(rooms, room)
	}
	slices.Sort(rooms)
	return rooms
}

// Emit sends an event to this client. While its connection's outbox is full it waits; see ws.Socket.Send.
func (s *Socket) Emit(event string, args ...any) error {
	if r := s.namespace.recovery; r != nil {
		p, attachments, err := newEvent(s.namespace.name, event, args)
		if err != nil {
			return err
		}
		return s.emitRemembered(r, p, attachments)
	}
	if reserved[event] {
		return errReserved(event)
	}
	return s.write(packet{kind: kindEvent, namespace: s.namespace.name}, event, args)
}

// Broadcast begins an emission to all sockets of the namespace but this one.
func (s *Socket) Broadcast() Emitter {
	e := s.namespace.emitter()
	e.but = s
	return e
}

// To begins an emission to the members of rooms, but this socket.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// EmitWithAck sends an event and waits for the client's acknowledgement, or for ctx. Not in a callback of
// the same connection, which would keep the answer from being read.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) ([]Arg, error) {
	p, attachments, err := newEvent(s.namespace.name, event, args)
	if err != nil {
		return nil, err
	}
	answer := make(chan []Arg, 1)
	s.mu.Lock()
	switch {
	case s.ended:
		s.mu.Unlock()
		return nil, ErrClosed
	case len(s.acks) >= maxAcks:
		s.mu.Unlock()
		return nil, fmt.Errorf("socketio: the client owes %d acknowledgements", maxAcks)
	}
	s.lastAck++
	p.id, p.hasID = s.lastAck, true
	s.acks[p.id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.acks, p.id)
	}()
	if err := s.send(p, attachments); err != nil {
		return nil, err
	}
	select {
	case args, ok := <-answer:
		if !ok {
			return nil, ErrClosed
		}
		return args, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("socketio: no acknowledgement of %q: %w", event, ctx.Err())
	}
}

// acked hands an acknowledgement to who waits for it. One that nobody waits for came late, and is ignored.
func (s *Socket) acked(p packet, attachments [][]byte) error {
	s.mu.Lock()
	answer := s.acks[p.id]
	delete(s.acks, p.id)
	s.mu.Unlock()
	if answer == nil {
		return nil
	}
	answer <- decodeArgs(slices.Clone(p.data), attachments)
	return nil
}

// wires are buffers for packets on their way out.
var wires = sync.Pool{New: func() any { return new([]byte) }}

const wireKeep = 16 << 10 // larger ones are left to the garbage collector

// write sends a packet with a payload of an event's name, unless that is "", and arguments. Most have no
// attachments, and are encoded in one go.
func (s *Socket) write(p packet, event string, args []any) error {
	wire := wires.Get().(*[]byte)
	head := p.appendHead(engineio.AppendType((*wire)[:0]))
	b, attachments, err := appendArgs(head, event, args)
	if err == nil && len(attachments) == 0 && s.isConnected() {
		err = s.conn.session.SendTyped(b)
	} else if err == nil {
		p.data = slices.Clone(b[len(head):])
		err = s.send(p, attachments)
	}
	if cap(b) <= wireKeep {
		*wire = b
		wires.Put(wire)
	}
	return err
}

func (s *Socket) isConnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected && !s.ended
}

// send sends a packet of this socket, or has it wait for the answer to CONNECT.
func (s *Socket) send(p packet, attachments [][]byte) error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return ErrClosed
	}
	f, err := encodeFrame(p, attachments)
	if err == nil && !s.connected {
		err = s.waitLocked(f)
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.conn.session.SendFrame(f)
}

func (s *Socket) waitLocked(f ws.Frame) error {
	if s.waitingBytes+f.Len() > maxWaiting {
		return fmt.Errorf("socketio: more than %d bytes wait for a socket to be connected", maxWaiting)
	}
	s.waiting = append(s.waiting, f)
	s.waitingBytes += f.Len()
	return nil
}

// emitRemembered sends an event that is remembered, in the order in which events are, and waits as Emit
// does: what is broadcast meanwhile queues up behind it.
func (s *Socket) emitRemembered(r *recovery, p packet, attachments [][]byte) error {
	s.emitting.Lock()
	defer s.emitting.Unlock()
	var refused error
	err := r.emit(s.namespace.To(s.id), p, attachments, func(f ws.Frame) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.ended:
			refused = ErrClosed
		case s.connected:
			s.flushing = true
			s.waiting = append(s.waiting, f)
		default:
			refused = s.waitLocked(f)
		}
	})
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected {
		return nil
	}
	err = s.flushLocked()
	s.flushing = false
	return err
}

// flushLocked sends what waits, and what joins it meanwhile; mu is free while it sends.
func (s *Socket) flushLocked() error {
	for len(s.waiting) > 0 && !s.ended {
		frames := s.waiting
		s.waiting, s.waitingBytes = nil, 0
		s.mu.Unlock()
		var err error
		for _, f := range frames {
			if err = s.conn.session.SendFrame(f); err != nil {
				break
			}
		}
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// open answers CONNECT, and sends what waited for that. A socket that ended meanwhile, or was told to, ends
// for its callbacks only now.
func (s *Socket) open() error {
	data, err := json.Marshal(struct {
		SID string `json:"sid"`
		PID string `json:"pid,omitempty"`
	}{s.id, s.private})
	if err != nil {
		return err
	}
	s.conn.send(packet{kind: kindConnect, namespace: s.namespace.name, data: data})
	s.mu.Lock()
	s.opened = true
	if err := s.flushLocked(); err != nil && !errors.Is(err, ErrClosed) {
		s.mu.Unlock()
		return err
	}
	s.connected = true
	ended, reason, leaving, all := s.ended, s.reason, s.leaving, s.leavingAll
	var late []func(string)
	if ended {
		late, s.onDisconnect = s.onDisconnect, nil
	}
	s.mu.Unlock()
	for _, f := range late {
		f(reason)
	}
	if leaving && !ended {
		s.Disconnect(all)
	}
	return nil
}

// Disconnect ends the socket: the client is told, and does not come back by itself. The connection stays
// for its other namespaces, unless all is set.
func (s *Socket) Disconnect(all bool) {
	s.mu.Lock()
	if !s.connected && !s.ended {
		s.leaving, s.leavingAll = true, s.leavingAll || all
		s.mu.Unlock()
		return // open sees to it
	}
	s.mu.Unlock()
	sockets := []*Socket{s}
	if all {
		s.conn.mu.Lock()
		for _, other := range s.conn.sockets {
			if other != s {
				sockets = append(sockets, other)
			}
		}
		s.conn.mu.Unlock()
	}
	for _, one := range sockets {
		one.send(packet{kind: kindDisconnect, namespace: one.namespace.name}, nil) // fails where it has ended
		s.conn.remove(one)
		one.end(serverDisconnect)
	}
	if all {
		s.conn.session.Close()
	}
}

// end takes the socket out of its namespace and rooms, and calls who wants to know.
func (s *Socket) end(reason string) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.reason = true, reason
	for _, answer := range s.acks {
		close(answer)
	}
	clear(s.acks)
	s.waiting = nil
	n, comesBack := s.namespace, s.connected || s.recovered
	onClose := s.onClose
	var onDisconnect []func(string)
	if s.opened {
		onDisconnect, s.onDisconnect = s.onDisconnect, nil
	}
	s.onClose = nil
	s.mu.Unlock()
	if n.recovery != nil && comesBack {
		n.recovery.keep(s, reason)
	}
	for _, f := range onClose { // the hub's: it leaves all rooms
		f(ws.CloseNormal, reason)
	}
	n.mu.Lock()
	if n.sockets[s.id] == s {
		delete(n.sockets, s.id)
	}
	n.mu.Unlock()
	n.server.release(n)
	for _, f := range onDisconnect {
		f(reason)
	}
}
