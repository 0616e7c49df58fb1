package engineio

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"echows/ws"
)

// The reasons why a session ends, in the words of the reference.
const (
	TransportClose = "transport close" // the client closed, or its connection broke
	TransportError = "transport error" // the client broke the protocol, or read too slowly
	PingTimeout    = "ping timeout"
	ParseError     = "parse error"  // the client sent something that is not a packet
	ForcedClose    = "forced close" // Close was called, or OnMessage returned an error
	ShuttingDown   = "server shutting down"
)

// ErrClosed is the error of sending on a session that has ended. It is ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// transport is how a session's packets travel.
type transport uint8

const (
	polling   transport = iota
	flushing            // what waited to be polled goes to the WebSocket; what is sent meanwhile waits
	websocket           // for good
)

// Session is one client, on either transport. Its methods may be called from any goroutine, except OnMessage, which
// belongs in the function given to New. There are many, and most are idle on a WebSocket, so what only polling needs is
// apart.
type Session struct {
	// What Offer looks at comes first, in one line of the cache.
	mu        sync.Mutex
	ended     bool       // guarded by mu
	transport transport  // guarded by mu
	alarm     int32      // its place among the server's alarms, from 1; guarded by these
	socket    *ws.Socket // guarded by mu; nil while the session polls

	// Static once begun.
	server  *Server
	id      string
	realIP  string
	pace    *pace // its address's; nil for no limit
	*poller       // nil for a session that began on a WebSocket

	onMessage func(ws.Message) error // set by onSession, then called by one goroutine at a time; see handlePost

	// Guarded by mu.
	holding holding // the queue's
	due     moment  // when the next ping is due, or, once the session has ended, the end of its last packets
	heard   moment  // when the client last gave a sign of life, as far as the session knows
	onClose []func(reason string)
	reason  string
}

// poller is the part of a session that exists only if the session began by polling.
type poller struct {
	kept ws.KeptRequest // the handshake's; static

	// Guarded by the session's mu.
	probe    *ws.Socket    // opened for an upgrade that is not decided yet
	queue    []packet      // waits to be polled
	queued   int           // its bytes, as cost counts them
	room     chan struct{} // closed when the queue is taken; made by a goroutine that waits for that
	pending  *pendingPoll  // the GET that waits for packets
	polled   time.Time     // when a GET last came or took something
	posting  *posting      // the POST that is not answered yet
	handled  chan struct{} // closed when all POSTs that came have been handled; nil if they have
	handling int           // POSTs that came and have not been handled
	parked   int           // bytes of POSTs that were answered and have not been handled
	pinged   bool          // a ping waits to be polled
}

// begin adds a new session, whose realIP, transport, and socket or poller are set, to the server. On a socket it sends the
// open packet.
func (s *Server) begin(one *Session, address string) error {
	one.server, one.id = s, strings.Clone(rand.Text()[:20]) // of which the rest is not kept
	one.holding = holding{budget: s.buffered, address: address}
	one.mu.Lock()
	one.heard = thisMoment()
	one.due = one.heard.add(s.config.PingInterval)
	s.alarms.set(one, s.config.PingInterval)
	if err := s.add(one); err != nil {
		one.ended = true
		s.alarms.stop(one)
		one.mu.Unlock()
		return err
	}
	if one.socket != nil {
		one.sendPacketLocked(one.handshake())
	}
	if one.pace = s.paces.join(address); one.pace != nil {
		one.onClose = append(one.onClose, func(string) { s.paces.leave(address) })
	}
	one.mu.Unlock()
	one.debug("session began", "transport", one.Transport())
	one.guard(func() { s.onSession(one) })
	return nil
}

// ID returns the name by which the client's requests refer to the session. It is a secret: whoever knows it can send
// and receive in the client's place.
func (s *Session) ID() string { return s.id }

// Request returns the handshake's request. Each call makes it anew from what is kept: URL and query, header (without
// the fields of a WebSocket handshake), cookies, host, remote address.
func (s *Session) Request() *http.Request {
	if s.poller != nil {
		return s.kept.Request()
	}
	s.mu.Lock()
	socket := s.socket
	s.mu.Unlock()
	return socket.Request()
}

// RealIP returns the client's IP address at the handshake, as the Echo server's IPExtractor finds it.
func (s *Session) RealIP() string { return s.realIP }

// Address returns what limits count as the client's address; see ws.AddressOf.
func (s *Session) Address() string { return s.holding.address }

// LogID returns the session's name in the log, which is no secret: the ID of the WebSocket on which the session began,
// or, for one that began by polling, a hash of the session's ID.
func (s *Session) LogID() string {
	if s.poller == nil {
		return s.socket.ID() // which it has for good
	}
	sum := sha256.Sum256([]byte(s.id))
	return "polling-" + hex.EncodeToString(sum[:6])
}

// OnMessage sets the function that is called with each message, one at a time and in order. The message's data is valid
// until f returns. An error ends the session.
func (s *Session) OnMessage(f func(ws.Message) error) { s.onMessage = f }

// OnClose adds a function that is called once after the session has ended; if it has ended already, at once. The
// functions run one after the other, even if one panics.
func (s *Session) OnClose(f func(reason string)) {
	s.mu.Lock()
	if !s.ended {
		s.onClose = append(s.onClose, f)
		s.mu.Unlock()
		return
	}
	reason := s.reason
	s.mu.Unlock()
	s.guard(func() { f(reason) })
}

// Transport returns "polling" or "websocket".
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport == polling {
		return "polling"
	}
	return "websocket"
}

// handshake returns the open packet.
func (s *Session) handshake() packet {
	cfg := s.server.config
	upgrades := []string{}
	if s.transport == polling {
		upgrades = append(upgrades, "websocket")
	}
	data, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"` // ms, as is the next
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"` // bytes
	}{s.id, upgrades, cfg.PingInterval.Milliseconds(), cfg.PingTimeout.Milliseconds(), cfg.MaxPayload})
	if err != nil { // strings and numbers
		panic(err)
	}
	return packet{packetOpen, data}
}
