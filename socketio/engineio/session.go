package engineio

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"echows/ws"
)

// The reasons for which a session ends, in the words of the reference.
const (
	TransportClose = "transport close" // the client closed, or its connection broke
	TransportError = "transport error" // the client broke the protocol's order, or reads too slowly
	PingTimeout    = "ping timeout"
	ParseError     = "parse error" // what came is no packet
	ForcedClose    = "forced close"
	ShuttingDown   = "server shutting down"
)

// ErrClosed is what sending returns once a session has ended; it is ws.ErrClosed.
var ErrClosed = ws.ErrClosed

// transport is how a session's packets travel.
type transport int

const (
	polling   transport = iota
	flushing            // to the WebSocket, what waited to be polled; what is sent meanwhile waits too
	websocket           // for good
)

// Session is one client, whatever its transport. Its methods may be called from any goroutine; OnMessage
// and OnClose belong in the function given to New.
type Session struct {
	// Static once begun.
	server *Server
	id     string
	kept   *ws.KeptRequest // of the handshake; nil where the socket has it
	realIP string
	pace   *pace // of its address; nil for no limit

	onMessage func(ws.Message) error // set by onSession, then called by one goroutine at a time; see handlePost

	mu        sync.Mutex // guards the rest
	ended     bool
	transport transport
	socket    *ws.Socket    // of websocket, and of flushing
	probe     *ws.Socket    // opened for an upgrade that is not decided yet
	queue     []packet      // waits to be polled
	queued    int           // bytes of it, as cost counts them
	holding   holding       // of the queue
	room      chan struct{} // closed when the queue was taken; made by a goroutine that waits for that
	pending   *pendingPoll  // the GET that waits for packets
	polled    time.Time     // when a GET last came or took something
	posting   *posting      // the POST that is not answered yet
	handled   chan struct{} // closed when all POSTs that came are handled; nil when they are
	handling  int           // POSTs that came and are not handled
	parked    int           // bytes of those that were answered before
	timer     *time.Timer   // for the next ping, or the end by silence
	pingAt    time.Time     // when the next ping is due
	pinged    bool          // a ping waits to be polled
	heard     time.Time     // when the client last gave a sign of life, as far as the session knows
	onClose   []func(reason string)
	reason    string
}

// begin makes a new session of an address one of the server's, of which kept, realIP, transport and socket are set. On
// a socket it sends the open packet.
func (s *Server) begin(one *Session, address string) error {
	now := time.Now()
	one.server, one.id = s, rand.Text()[:20]
	one.holding = holding{budget: s.buffered, address: address}
	one.mu.Lock()
	one.heard, one.polled, one.pingAt = now, now, now.Add(s.config.PingInterval)
	one.timer = time.AfterFunc(s.config.PingInterval, one.tick)
	if err := s.add(one); err != nil {
		one.ended = true
		one.timer.Stop()
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

// ID is what the client names the session by. Who knows it can speak for the client.
func (s *Session) ID() string { return s.id }

// Request is the handshake's, made anew at each call from what is kept: URL and query, header (but for a WebSocket
// handshake's own fields), cookies, host, remote address.
func (s *Session) Request() *http.Request {
	if s.kept != nil {
		return s.kept.Request()
	}
	s.mu.Lock()
	socket := s.socket
	s.mu.Unlock()
	return socket.Request()
}

// RealIP is the client's address at the handshake, as the Echo server's IPExtractor tells it.
func (s *Session) RealIP() string { return s.realIP }

// Address is the client's, by which limits count; as ws.AddressOf tells it.
func (s *Session) Address() string { return s.holding.address }

// LogID names the session in lines of the log, and speaks for nobody: it is the WebSocket's ID where the session began with
// one, and otherwise made of the session's ID.
func (s *Session) LogID() string {
	if s.kept == nil {
		return s.socket.ID() // which it has for good
	}
	sum := sha256.Sum256([]byte(s.id))
	return "polling-" + hex.EncodeToString(sum[:6])
}

// OnMessage registers what is called with each message, one at a time and in order; its data is valid
// until f returns. An error ends the session.
func (s *Session) OnMessage(f func(ws.Message) error) { s.onMessage = f }

// OnClose adds a function to be called, once, when the session has ended; on one that has, at once. Functions run one
// after the other, also when one panics.
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

// Transport is "polling" or "websocket".
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport == polling {
		return "polling"
	}
	return "websocket"
}

// handshake is the data of the open packet.
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
