package socketio

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

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
	waiting      []*ws.Prepared // emitted before it was connected, or while it is flushing
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

func (m *member) Offer(f *ws.Prepared) {
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
