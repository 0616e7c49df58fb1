package ws

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"echows/ws/internal/conn"
	"echows/ws/internal/wire"
)

// ErrClosed is what sending on a socket returns once its close has begun. It is net.ErrClosed, so
// errors.Is works with either name.
var ErrClosed = conn.ErrClosed

// ErrFull is what TrySend returns while Config.SendBuffer bytes wait to be sent.
var ErrFull = conn.ErrFull

// Handler runs once for each new connection, after the upgrade, and registers callbacks with OnMessage and the like;
// nothing is read before it returns. c is the request's context, with what middleware set. Callbacks may keep it: it does
// not return to Echo's pool. An error closes the socket, as an error of OnMessage's function does.
type Handler func(s *Socket, c echo.Context) error

// Socket is one connection. Its methods may be called from any goroutine at any time, except those
// that register a callback: these belong in the Handler, or in a callback of this socket.
type Socket struct {
	conn conn.Conn

	// Static once the socket is open.
	base        *base
	route       *Route // nil for a dialed one
	number      uint64
	opened      int64 // as time.UnixNano
	subprotocol string
	address     string // as the App's admission counts it
	realIP      string
	request     KeptRequest
	rate        *rate.Limiter // nil without a limit

	// Owned by the socket's goroutine, which runs the Handler and all callbacks.
	onMessage  func(Message) error
	onPong     func([]byte)
	unmeasured uint8 // messages until one is measured, including that one

	opening *opening // nil once the Handler has returned; guarded by the route

	unsettled atomic.Int64 // bytes broadcast since all members had room

	mu      sync.Mutex // guards the rest
	ended   *CloseError
	onClose []func(CloseCode, string)
	values  map[any]any
}

// socketOf returns the socket whose connection is c.
func socketOf(c *conn.Conn) *Socket { return (*Socket)(c.Handler().(*events)) }

// ID returns the connection's name in logs. It is unique within one App, and random enough to tell
// restarts and nodes apart.
func (s *Socket) ID() string { return s.base.id(s.number) }

// Route returns the connection's route; nil for a dialed connection.
func (s *Socket) Route() *Route { return s.route }

// Subprotocol returns the subprotocol that was agreed on, or "".
func (s *Socket) Subprotocol() string { return s.subprotocol }

// IsCompressed reports whether permessage-deflate was agreed on.
func (s *Socket) IsCompressed() bool { return s.conn.IsCompressed() }

// OnMessage registers a function that is called with each message, one at a time and in order. An error from f closes
// the socket: with the code and reason of a *CloseError, wrapped or not, and otherwise with 1011; but if the client has left
// meanwhile, the socket ends with the code that the client gave, or 1006.
func (s *Socket) OnMessage(f func(Message) error) { s.onMessage = f }

// OnPong registers a function that is called with the payload of each pong; data is valid until f returns.
func (s *Socket) OnPong(f func(data []byte)) { s.onPong = f }

// OnClose adds a function to be called, once, when the connection has ended: with the code and reason
// of whichever side closed it first. CloseNoStatus (1005) stands for a close frame without a code,
// CloseAbnormal (1006) for an end without a close frame. Functions run in the order they were added,
// after the socket has left its route. If the connection has ended and they have run, f runs immediately.
// It may be called from any goroutine.
func (s *Socket) OnClose(f func(code CloseCode, reason string)) {
	s.mu.Lock()
	end := s.ended
	if end == nil {
		s.onClose = append(s.onClose, f)
	}
	s.mu.Unlock()
	if end != nil {
		s.guard(func() error { f(end.Code, end.Reason); return nil })
	}
}

// Send sends a message. It returns when the bytes are written, or queued behind others. While Config.SendBuffer bytes
// wait, it waits for earlier writes to end, each of which may take Config.WriteTimeout. The error is ErrClosed once a close
// has begun, or says why a write failed. The caller may use m.Data again afterwards.
func (s *Socket) Send(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return s.conn.Send(m.Opcode, m.Data)
}

// SendText is like Send, for text, which must be UTF-8.
func (s *Socket) SendText(text string) error { return s.Send(Message{Text, []byte(text)}) }

// SendBinary is like Send, for bytes.
func (s *Socket) SendBinary(data []byte) error { return s.Send(Message{Binary, data}) }

// SendJSON is like Send, for v as JSON in a text message.
func (s *Socket) SendJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ws: send: %w", err)
	}
	return s.conn.Send(Text, data)
}

// SendContext is like Send, but waits for room only until ctx ends, and then returns the context's error. It does not wait
// for the write itself: what the peer is not ready to receive is written later.
func (s *Socket) SendContext(ctx context.Context, m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return s.conn.SendContext(ctx, m.Opcode, m.Data)
}

// TrySend is like Send, but never waits. While Config.SendBuffer bytes wait to be sent, it sends nothing and returns ErrFull.
func (s *Socket) TrySend(m Message) error {
	p, err := Prepare(m)
	if err != nil {
		return err
	}
	return s.conn.TrySend(p.frames)
}

// WaitForRoom waits until Send would not wait: until fewer than Config.SendBuffer bytes wait to be sent. Like Send it
// waits for writes to end, each of which may take Config.WriteTimeout, but only until ctx ends. The error is Send's, or
// the context's.
func (s *Socket) WaitForRoom(ctx context.Context) error { return s.conn.WaitToSend(ctx) }

// TrySendPrepared is like TrySend, for a message that is already encoded.
func (s *Socket) TrySendPrepared(p *Prepared) error { return s.conn.TrySend(p.frames) }

// SendPrepared is like Send, for a message that is already encoded.
func (s *Socket) SendPrepared(p *Prepared) error { return s.conn.SendPrepared(p.frames) }

// Offer sends without waiting, for a message that goes to many. A peer that reads receives it, however large it is. Offer
// closes the socket with 1013, and discards what waited, if Config.SendBuffer bytes waited before and the peer took less
// than 64 KiB in the last second, or if four times as many wait behind the write in progress. On a socket that is
// closing, Offer does nothing.
func (s *Socket) Offer(p *Prepared) { s.conn.Offer(p.frames) }

// Broadcast sends m to every socket of the route, including this one, as Route.Broadcast does. It slows down a socket
// that broadcasts faster than the others read: it waits until they have room, but not for a peer that has stopped reading.
// Call it from the socket's own callbacks.
func (s *Socket) Broadcast(m Message) error {
	if s.route == nil {
		return errNoRoute
	}
	p, err := Prepare(m)
	if err != nil {
		return err
	}
	if s.unsettled.Load() >= broadcastWindow {
		for member := range s.route.Sockets() {
			if err := member.conn.WaitForRoom(s.Context(), member.route.config.SendBuffer/2); err != nil {
				return ErrClosed
			}
		}
		s.unsettled.Store(0)
	}
	s.unsettled.Add(int64(p.Len()))
	s.route.offer(p, nil)
	return nil
}

var errNoRoute = errors.New("ws: a dialed socket has no route to broadcast to")

// broadcastWindow is how many bytes a socket may broadcast before it checks whether the others have room.
const broadcastWindow = 64 << 10

// Buffered returns how many bytes wait to be sent.
func (s *Socket) Buffered() int { return s.conn.Buffered() }

// Silence returns how long the peer has sent nothing, not even a part of a message, to about a quarter of a second. It is
// 0 while one of this socket's callbacks runs, since nothing is read then.
func (s *Socket) Silence() time.Duration { return s.conn.Silence() }

// Ping sends a ping with up to 125 bytes, which OnPong receives with the peer's pong. The App sends pings of its own to
// keep the connection alive.
func (s *Socket) Ping(data []byte) error {
	if len(data) > wire.MaxControl {
		return errLongPing
	}
	return s.conn.Send(wire.Ping, data)
}

var errLongPing = errors.New("ws: a ping carries at most 125 bytes")

// Flush writes the replies that wait to leave together with replies to other messages of the same read. Without Flush
// they wait for up to a millisecond.
func (s *Socket) Flush() { s.conn.Flush() }

// Close begins the closing handshake (RFC 6455 section 7.1.2) and returns immediately: what was sent
// before goes out first, nothing is sent after, and the connection ends when the peer has answered, or after
// Config.CloseTimeout; then OnClose's functions run. For a code that may not be sent, Close returns an error and
// closes with 1011. A reason longer than 123 bytes is truncated.
func (s *Socket) Close(code CloseCode, reason string) error {
	if !code.MayBeSent() {
		s.conn.Close(CloseInternalError, reason)
		return errBadCloseCode
	}
	s.conn.Close(code, reason)
	return nil
}

// Context returns a context that is cancelled when the connection is gone. A peer that leaves while a callback runs is
// noticed within two seconds. The context has none of the request's values: those are in the Handler's
// c.Request().Context().
func (s *Socket) Context() context.Context { return s.conn.Context() }

// Done returns a channel that is closed when the connection is gone, as Context is cancelled.
func (s *Socket) Done() <-chan struct{} { return s.Context().Done() }

// Request returns the request that was upgraded; each call restores it from what is kept: URL and query, header
// (without the handshake's own fields), cookies, host, remote address.
func (s *Socket) Request() *http.Request { return s.request.Request() }

// Param returns the value of the route's parameter, as in echo.Context.
func (s *Socket) Param(name string) string {
	p := s.request.params
	if p == nil {
		return ""
	}
	for i, n := range p.names {
		if n == name && i < len(p.values) {
			return p.values[i]
		}
	}
	return ""
}

// Path returns the path of the request's URL.
func (s *Socket) Path() string { return s.request.path }

// RemoteAddr returns the peer's address and port, as the server sees them.
func (s *Socket) RemoteAddr() string { return s.request.remote }

// RealIP returns the peer's address according to the Echo server's IPExtractor; the peer may be behind a proxy.
func (s *Socket) RealIP() string { return s.realIP }

// LocalAddr returns this end's address.
func (s *Socket) LocalAddr() net.Addr { return s.conn.NetConn().LocalAddr() }

// TLS returns the state of the connection's TLS, or nil if it has none.
func (s *Socket) TLS() *tls.ConnectionState {
	c, ok := s.conn.NetConn().(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := c.ConnectionState()
	return &state
}

func (s *Socket) String() string {
	return strings.Join([]string{"socket", s.ID(), "from", s.RemoteAddr(), "on", s.Path()}, " ")
}

// events is the socket as its connection's handler.
type events Socket

func (e *events) Message(op wire.Opcode, data []byte) *wire.CloseError {
	s := (*Socket)(e)
	if s.onMessage == nil {
		return nil
	}
	if s.rate != nil {
		s.pace()
	}
	if s.unmeasured--; s.unmeasured > 0 || s.route == nil {
		return s.guardMessage(Message{op, data})
	}
	s.unmeasured = measuredOf
	begin := time.Now()
	why := s.guardMessage(Message{op, data})
	s.route.handling.Observe(time.Since(begin).Seconds())
	return why
}

func (e *events) Pong(data []byte) *wire.CloseError {
	s := (*Socket)(e)
	if s.onPong == nil {
		return nil
	}
	return s.guard(func() error { s.onPong(data); return nil })
}

func (e *events) Address() string { return (*Socket)(e).address }

func (e *events) Closed(code wire.CloseCode, reason string) {
	s := (*Socket)(e)
	if s.route != nil {
		s.route.leave(s)
		s.route.app.metrics.countClose(code)
		s.route.app.logOverflow(s)
	}
	s.runOnClose(&CloseError{code, reason})
}

func (e *events) Freed() {
	s := (*Socket)(e)
	if s.route != nil {
		s.route.app.admitted.give(s.address)
	}
	s.mu.Lock()
	end := s.ended
	s.mu.Unlock()
	s.base.log.Info("socket closed", "id", s.ID(), "remote", s.RemoteAddr(), "path", s.Path(),
		"code", int(end.Code), "reason", end.Reason, "time", time.Since(time.Unix(0, s.opened)).Round(time.Millisecond).String())
}

// runOnClose calls OnClose's functions in order, including those added in the meantime.
func (s *Socket) runOnClose(end *CloseError) {
	for {
		s.mu.Lock()
		if len(s.onClose) == 0 {
			s.ended = end
			s.mu.Unlock()
			return
		}
		f := s.onClose[0]
		s.onClose = s.onClose[1:]
		s.mu.Unlock()
		func() {
			returned := false
			defer func() {
				if !returned { // it called runtime.Goexit
					s.runOnClose(end)
				}
			}()
			s.guard(func() error { f(end.Code, end.Reason); return nil })
			returned = true
		}()
	}
}

// pace waits until the next message may be handled.
func (s *Socket) pace() {
	wait := s.rate.Reserve().Delay()
	if wait <= 0 {
		return
	}
	s.base.slowed.Add(1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Done():
	}
}

// guardMessage is guard for the callback that runs for each message: it allocates nothing.
func (s *Socket) guardMessage(m Message) (why *wire.CloseError) {
	returned := false
	defer s.recoverTo(&why, &returned)
	err := s.onMessage(m)
	returned = true
	return s.reasonFor(err)
}

// guard calls f, and returns how to close if it fails, panics, or ends its goroutine.
func (s *Socket) guard(f func() error) (why *wire.CloseError) {
	returned := false
	defer s.recoverTo(&why, &returned)
	err := f()
	returned = true
	return s.reasonFor(err)
}

func (s *Socket) recoverTo(why **wire.CloseError, returned *bool) {
	if *returned {
		return
	}
	if v := recover(); v != nil {
		s.base.log.Error("socket callback panicked", "id", s.ID(), "path", s.Path(), "panic", v, "stack", string(debug.Stack()))
	} else {
		s.base.log.Error("socket callback called runtime.Goexit", "id", s.ID(), "path", s.Path())
	}
	*why = errCallback
}

var errCallback = &wire.CloseError{Code: CloseInternalError, Reason: "internal error"}

// reasonFor returns how to close after a callback's error.
func (s *Socket) reasonFor(err error) *wire.CloseError {
	if err == nil {
		return nil
	}
	var code *CloseError
	if errors.As(err, &code) && code.Code.MayBeSent() {
		return wireError(code)
	}
	ends, level := s.conn.IsGone() || !s.conn.IsOpen(), slog.LevelError
	switch {
	case !isDeparture(err, ends):
	case ends:
		level = slog.LevelDebug // the line "socket closed" is to come
	default:
		level = slog.LevelInfo
	}
	s.base.log.Log(context.Background(), level, "socket callback failed", "id", s.ID(), "path", s.Path(), "error", err)
	return errCallback // the details go to the log, not to the peer
}

// isDeparture reports whether a callback failed only because a client has left, or is told to: its own, whose socket then
// ends, and with it what waited with Socket.Context, or another that it sent to.
func isDeparture(err error, ends bool) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, conn.ErrWrite) || ends && errors.Is(err, context.Canceled)
}
