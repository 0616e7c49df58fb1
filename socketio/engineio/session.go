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

// The reasons for the end of a session, in the words of the reference server.
const (
	TransportClose = "transport close" // the client closed, or its connection broke
	TransportError = "transport error" // the client broke the protocol, or read too slowly
	PingTimeout    = "ping timeout"
	ParseError     = "parse error"  // the client sent something that is not a packet
	ForcedClose    = "forced close" // Close was called, or OnMessage returned an error
	ShuttingDown   = "server shutting down"
)

// ErrClosed is returned for sending on a session that has ended. It is the same error as ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// transport is how a session's packets travel.
type transport uint8

const (
	polling   transport = iota
	flushing            // queued packets go to the WebSocket; new ones wait
	websocket           // for good
)

// Session is the session of one client, on either transport. Its methods may be called from any goroutine, except OnMessage,
// which may be called only from the function given to New. To save memory, fields that only polling needs are in a separate
// struct: most sessions are idle on a WebSocket.
type Session struct {
	// The fields that Offer reads come first, in one cache line.
	mu        sync.Mutex
	ended     bool       // guarded by mu
	transport transport  // guarded by mu
	calling   bool       // onMessage is running; guarded by mu
	awaited   bool       // it was when the session ended, so Shutdown waits for it; guarded by mu
	alarm     int32      // its index among the server's alarms, from 1; guarded by alarms.mu
	socket    *ws.Socket // guarded by mu; nil while the session polls

	// Static once begun.
	server  *Server
	id      string
	realIP  string
	pace    *pace // of its address; nil for no limit
	*poller       // nil for a session that began on a WebSocket

	onMessage func(ws.Message) error // set by onSession, then called by one goroutine at a time; see handlePost

	// Guarded by mu.
	holding holding // the queue's
	due     moment  // when the next ping is due or, after the end, when the last packets are dropped
	heard   moment  // when the client last gave a sign of life, as far as the session knows
	onClose []func(reason string)
	reason  string
}

// poller holds the fields of a session that began by polling.
type poller struct {
	kept ws.KeptRequest // the handshake's; static

	// Guarded by the session's mu.
	probe    *ws.Socket    // opened for an upgrade that is not complete yet
	queue    []packet      // packets to be polled
	queued   int           // its bytes, as cost counts them
	room     chan struct{} // closed when the queue is taken; made by the first goroutine that waits
	pending  *pendingPoll  // the GET that waits for packets
	polled   time.Time     // when a GET last arrived or took packets
	posting  *posting      // the POST that is not answered yet
	admitted bool          // the session counts as a connection of its own; its WebSocket takes its place
	handled  chan struct{} // closed when all POSTs received so far have been handled; nil if they have
	handling int           // POSTs received but not handled
	parked   int           // bytes of POSTs answered but not handled
	pinged   bool          // a ping is in the queue
}

// begin adds a new session to the server, and calls onSession. The caller has set realIP, transport, and socket or poller. On
// a WebSocket, begin sends the open packet.
func (s *Server) begin(one *Session, address string) error {
	one.server, one.id = s, strings.Clone(rand.Text()[:20]) // a clone, so that the rest is not kept in memory
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

// ID returns the session ID that the client sends in its requests. It is a secret: anybody who knows it can send and receive
// in place of the client.
func (s *Session) ID() string { return s.id }

// Request returns the handshake's request, rebuilt on each call from the parts that are kept: URL and query, header (without
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

// Address returns the client's address for the purpose of limits; see ws.AddressOf.
func (s *Session) Address() string { return s.holding.address }

// LogID returns the session's id in the log, which is not a secret: the ID of the WebSocket on which the session began or, if
// it began by polling, a hash of its ID.
func (s *Session) LogID() string {
	if s.poller == nil {
		return s.socket.ID() // a session that began on a WebSocket keeps it
	}
	sum := sha256.Sum256([]byte(s.id))
	return "polling-" + hex.EncodeToString(sum[:6])
}

// OnMessage sets the function to call with each message, one at a time and in order. The message's data is valid until f
// returns. An error from f ends the session. Call OnMessage only from the function given to New.
func (s *Session) OnMessage(f func(ws.Message) error) { s.onMessage = f }

// OnClose adds a function to call once, after the session has ended; if it has already ended, OnClose calls it immediately.
// The functions run one after the other, even if one panics.
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
		PingInterval int64    `json:"pingInterval"` // ms, like pingTimeout
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"` // bytes
	}{s.id, upgrades, cfg.PingInterval.Milliseconds(), cfg.PingTimeout.Milliseconds(), cfg.MaxPayload})
	if err != nil { // impossible for strings and numbers
		panic(err)
	}
	return packet{packetOpen, data}
}
