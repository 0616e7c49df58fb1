package engineio

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
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

// lingerTime is how long the last packets of a session wait to be fetched by a client that polls.
const lingerTime = 5 * time.Second

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
	server  *Server
	id      string
	request *http.Request // of the handshake

	// Set by onSession, then called by one goroutine at a time, which holds dispatching.
	dispatching sync.Mutex
	onMessage   func(ws.Message) error

	mu        sync.Mutex
	ended     bool
	transport transport
	socket    *ws.Socket   // of websocket, and of flushing
	probe     *ws.Socket   // opened for an upgrade that is not decided yet
	queue     []packet     // waits to be polled
	queued    int          // bytes of it
	pending   *pendingPoll // the GET that waits for packets
	posting   bool         // a POST is under way
	timer     *time.Timer  // for the next ping, or the answer to the last
	deadline  time.Time    // when silence ends the session
	awaiting  bool         // a pong
	onClose   []func(reason string)
	reason    string
}

// newSession begins a session: on polling, or on a socket, which gets the open packet.
func (s *Server) newSession(r *http.Request, socket *ws.Socket) (*Session, error) {
	one := &Session{server: s, id: rand.Text()[:20], request: r}
	cfg := s.config
	one.mu.Lock()
	one.deadline = time.Now().Add(cfg.PingInterval + cfg.PingTimeout)
	one.timer = time.AfterFunc(cfg.PingInterval, one.tick)
	if err := s.add(one); err != nil {
		one.ended = true
		one.timer.Stop()
		one.mu.Unlock()
		return nil, err
	}
	if socket != nil {
		one.transport, one.socket = websocket, socket
		one.controlLocked(one.handshake())
	}
	one.mu.Unlock()
	s.onSession(one)
	return one, nil
}

// ID is what the client names the session by. Who knows it can speak for the client.
func (s *Session) ID() string { return s.id }

// Request is the handshake's, without its body.
func (s *Session) Request() *http.Request { return s.request }

// OnMessage registers what is called with each message, one at a time and in order; its data is valid
// until f returns. An error ends the session.
func (s *Session) OnMessage(f func(ws.Message) error) { s.onMessage = f }

// OnClose adds a function to be called, once, when the session has ended; on one that has, at once.
func (s *Session) OnClose(f func(reason string)) {
	s.mu.Lock()
	if !s.ended {
		s.onClose = append(s.onClose, f)
		s.mu.Unlock()
		return
	}
	reason := s.reason
	s.mu.Unlock()
	f(reason)
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
func (s *Session) handshake(upgrades ...string) packet {
	if upgrades == nil {
		upgrades = []string{}
	}
	cfg := s.server.config
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

// Send sends a message. On a WebSocket it returns when that is written or queued, and waits while the
// outbox is full; for a client that polls it is queued, and ends the session when too much is.
func (s *Session) Send(m ws.Message) error {
	s.mu.Lock()
	if s.transport == websocket && !s.ended {
		socket := s.socket
		s.mu.Unlock()
		if !m.IsText() {
			return socket.Send(m)
		}
		return socket.Send(onWire(m))
	}
	defer s.mu.Unlock()
	f, err := Prepare(m)
	if err != nil {
		return err
	}
	return s.queueLocked(f)
}

// AppendType begins the text of a message for SendTyped.
func AppendType(dst []byte) []byte { return append(dst, packetMessage) }

// SendTyped is Send for text that AppendType began, which saves a copy.
func (s *Session) SendTyped(text []byte) error {
	s.mu.Lock()
	if s.transport != websocket || s.ended {
		s.mu.Unlock()
		return s.Send(ws.Message{Opcode: ws.Text, Data: text[1:]})
	}
	socket := s.socket
	s.mu.Unlock()
	return socket.Send(ws.Message{Opcode: ws.Text, Data: text})
}

// SendPrepared sends messages that Prepare encoded; as Send.
func (s *Session) SendPrepared(f *ws.Prepared) error {
	s.mu.Lock()
	if s.transport == websocket && !s.ended {
		socket := s.socket
		s.mu.Unlock()
		return socket.SendPrepared(f)
	}
	defer s.mu.Unlock()
	return s.queueLocked(f)
}

// Offer sends messages that Prepare encoded, and waits for nothing: a client that does not read, or
// poll, loses its session.
func (s *Session) Offer(f *ws.Prepared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport == websocket && !s.ended {
		s.socket.Offer(f)
		return
	}
	s.queueLocked(f) // an error means that the session has ended, or just did
}

// queueLocked has messages wait to be polled.
func (s *Session) queueLocked(f *ws.Prepared) error {
	if s.ended {
		return ErrClosed
	}
	if s.queued+f.Len() > s.server.config.MaxQueue && s.queued > 0 {
		s.endLocked(TransportError, errors.New("the client polls too slowly"))
		return ErrClosed
	}
	for m := range f.Messages() {
		p, err := fromWire(m)
		if err != nil {
			return err
		}
		s.queue = append(s.queue, p)
	}
	s.queued += f.Len()
	s.answerLocked()
	return nil
}

// control sends a packet of the protocol's own.
func (s *Session) controlLocked(p packet) {
	if s.transport == websocket {
		if f, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: appendPacket(nil, p)}); err == nil {
			s.socket.Offer(f)
		}
		return
	}
	s.queue = append(s.queue, p)
	s.answerLocked()
}

// tick sends a ping, or ends a session whose last one was not answered.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case s.awaiting:
		s.endLocked(PingTimeout, nil)
	default:
		s.awaiting = true
		s.timer.Reset(time.Until(s.deadline))
		s.controlLocked(packet{kind: packetPing})
	}
}

// pong begins the wait for the next ping.
func (s *Session) pong() {
	cfg := s.server.config
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.awaiting = false
	s.deadline = time.Now().Add(cfg.PingInterval + cfg.PingTimeout)
	s.timer.Reset(cfg.PingInterval)
}

// overdue ends the session if its time is over, and reports whether it was: a request may come before the
// timer.
func (s *Session) overdue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended && !time.Now().Before(s.deadline) {
		s.endLocked(PingTimeout, nil)
		return true
	}
	return false
}

// receive handles one packet; dispatching is held. It reports whether more may follow.
func (s *Session) receive(p packet) bool {
	if m, ok := p.message(); ok {
		if s.isEnded() {
			return false
		}
		if s.onMessage == nil {
			return true
		}
		s.guard(func() {
			if err := s.onMessage(m); err != nil {
				s.end(ForcedClose, err)
			}
		})
		return true
	}
	switch p.kind {
	case packetPong:
		s.pong()
	case packetClose:
		s.end(TransportClose, nil)
		return false
	case packetPing:
		s.end(TransportError, errors.New("the client sends pings"))
		return false
	}
	return true // the others mean nothing here
}

func (s *Session) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Close ends the session. What was sent before still arrives, if the client fetches it soon.
func (s *Session) Close() { s.end(ForcedClose, nil) }

func (s *Session) end(reason string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, why)
}

// endLocked ends the session for a reason, and why where that is the client's fault. Callbacks run in a
// goroutine of their own, since the caller may hold locks that they need.
func (s *Session) endLocked(reason string, why error) {
	if s.ended {
		return
	}
	s.ended, s.reason = true, reason
	s.timer.Stop()
	if why != nil {
		s.server.config.Logger.Info("session ended", "sid", s.id, "reason", reason, "error", why)
	}
	if s.probe != nil {
		s.probe.Close(ws.CloseNormal, "")
		s.probe = nil
	}
	if s.socket != nil {
		code := ws.CloseNormal
		if reason == ParseError || reason == TransportError {
			code = ws.ClosePolicyViolation
		}
		s.socket.Close(code, reason)
	}
	if s.transport == polling {
		s.lingerLocked(reason)
	} else {
		s.queue = nil
		s.server.remove(s)
	}
	callbacks := s.onClose
	s.onClose = nil
	go func() {
		defer s.server.running.Done()
		for _, f := range callbacks {
			s.guard(func() { f(reason) })
		}
	}()
}

// guard calls a function of the application. A panic ends the session, as one of a ws callback does its
// socket, and not the process.
func (s *Session) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.server.config.Logger.Error("a callback panicked", "sid", s.id, "panic", p, "stack", string(debug.Stack()))
			s.end(ForcedClose, nil)
		}
	}()
	f()
}

// lingerLocked lets the client fetch what is left, with what tells it that this is the end: with its GET
// that waits, or with the next.
func (s *Session) lingerLocked(reason string) {
	last := packet{kind: packetClose}
	if reason == TransportClose { // it said so itself
		last.kind = packetNoop
	}
	s.queue = append(s.queue, last)
	if s.pending != nil {
		s.answerLocked()
		s.server.remove(s)
		return
	}
	if reason == ForcedClose || reason == TransportClose {
		s.timer = time.AfterFunc(lingerTime, func() { s.server.remove(s) })
		return
	}
	s.queue = nil
	s.server.remove(s)
}

// drop gives up what a client that polls has not fetched.
func (s *Session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.queue = nil
	s.server.remove(s)
}
