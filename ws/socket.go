package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// Handler runs once for each new connection, after the upgrade, and says with OnMessage and its kin
// what is to happen; then the App reads. c is the request's context and may be kept by the callbacks:
// it is not one of Echo's pool, and holds what middleware set. An error closes the socket.
type Handler func(s *Socket, c echo.Context) error

// Socket is one connection. Its methods may be called from any goroutine at any time, except those
// that register a callback: these belong in the Handler, or in a callback of this socket.
type Socket struct {
	// Static once the socket is open.
	app         *App
	route       *Route
	number      uint64
	firstPing   int64 // tick
	opened      time.Time
	subprotocol string
	request     request

	out outbox // guards itself

	// Owned by the socket's goroutine, which runs the Handler and all callbacks but late ones of OnClose.
	in        reader
	readable  func(fd uintptr) bool // tryRead, or tryByte while the socket rests
	onMessage func(Message) error
	onPong    func([]byte)

	seen atomic.Int64 // the App's tick when this socket began to wait for bytes; awake while it does not

	resting atomic.Bool // the sweep asked for a rest, or the socket rests

	mu      sync.Mutex  // guards the rest; taken after the outbox's, never before
	gone    bool        // the connection is
	ended   bool        // OnClose's functions run, or ran
	end     *CloseError // how the connection ends, set by whoever began it
	onClose []func(CloseCode, string)
	ctx     context.Context
	cancel  context.CancelFunc
	values  map[any]any
}

// ID names the connection in logs. It is unique among those of one App, and random enough to tell
// restarts and nodes apart.
func (s *Socket) ID() string { return fmt.Sprintf("%s-%d", s.app.name, s.number) }

// Route is the route the connection came in by.
func (s *Socket) Route() *Route { return s.route }

// Subprotocol is the one agreed on, or "".
func (s *Socket) Subprotocol() string { return s.subprotocol }

// OnMessage registers what is called with each message, one at a time and in order. An error from f
// closes the socket: with the code of a *CloseError, otherwise with 1011.
func (s *Socket) OnMessage(f func(Message) error) { s.onMessage = f }

// OnPong registers what is called with the payload of each pong; data is valid until f returns.
func (s *Socket) OnPong(f func(data []byte)) { s.onPong = f }

// OnClose adds a function to be called, once, when the connection has ended: with the code and reason
// of whichever side closed it first. CloseNoStatus (1005) stands for a close frame without a code,
// CloseAbnormal (1006) for an end without a close frame. Functions run in the order they were added,
// after the socket left its route; on a socket that has ended already, f runs at once.
// It may be called from any goroutine.
func (s *Socket) OnClose(f func(code CloseCode, reason string)) {
	s.mu.Lock()
	if !s.ended {
		s.onClose = append(s.onClose, f)
		s.mu.Unlock()
		return
	}
	end := s.end
	s.mu.Unlock()
	f(end.Code, end.Reason)
}

// Send sends a message as it is. It returns when the bytes are written or queued behind others; while
// the outbox is full it waits for writes to end, of which each has Config.WriteTimeout. The error is
// ErrClosed once a close has begun, or says what the write failed of. m.Data is free for other use
// afterwards.
func (s *Socket) Send(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return s.out.send(m.Opcode, m.Data)
}

// SendText sends text, which must be UTF-8; as Send.
func (s *Socket) SendText(text string) error { return s.Send(Message{Text, []byte(text)}) }

// SendBinary sends bytes; as Send.
func (s *Socket) SendBinary(data []byte) error { return s.out.send(Binary, data) }

// SendJSON sends v as JSON in a text message; as Send.
func (s *Socket) SendJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ws: send: %w", err)
	}
	return s.out.send(Text, data)
}

// Ping sends a ping with up to 125 bytes, which the peer's pong returns to OnPong. The App pings by
// itself to keep the connection alive.
func (s *Socket) Ping(data []byte) error {
	if len(data) > maxControl {
		return errControlLong
	}
	return s.out.send(opPing, data)
}

// Flush writes replies that wait for those to the other messages of the same read. They never wait
// longer than a millisecond.
func (s *Socket) Flush() { s.out.flush() }

// Close begins the closing handshake (RFC 6455 section 7.1.2) and returns at once: what was sent
// before goes out first, nothing is sent after, and the connection ends when the peer has answered, or
// has not within Config.CloseTimeout; OnClose tells. A code that may not be sent is an error, and closes
// with 1011 instead. A reason longer than 123 bytes is cut.
func (s *Socket) Close(code CloseCode, reason string) error {
	if !code.mayBeSent() {
		s.close(&CloseError{CloseInternalError, reason}, false)
		return errBadCloseCode
	}
	s.close(&CloseError{code, reason}, false)
	return nil
}

// Context is cancelled when the connection is gone, also while a callback runs. It carries none of the
// request's values: those are in the Handler's c.Request().Context().
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(context.Background())
		if s.gone {
			s.cancel()
		}
	}
	return s.ctx
}

// A Key is a place for a value of type T on every socket: declare one as a package variable with
// NewKey, and keep what belongs to a connection under it.
type Key[T any] struct{ name *string }

// NewKey makes a Key that is different from all others; name is for people.
func NewKey[T any](name string) Key[T] { return Key[T]{&name} }

func (k Key[T]) String() string { return *k.name }

// Set keeps v on the socket for as long as the connection lives.
func (k Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.setLocked(s, v)
}

func (k Key[T]) setLocked(s *Socket, v T) {
	if s.values == nil {
		s.values = make(map[any]any, 1)
	}
	s.values[k] = v
}

// GetOrSet returns the socket's value, or sets it to what make returns, and reports whether it did.
// make must not call methods of the socket.
func (k Key[T]) GetOrSet(s *Socket, make func() T) (v T, set bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[k].(T); ok {
		return v, false
	}
	v = make()
	k.setLocked(s, v)
	return v, true
}

// Get returns the socket's value, and whether there is one.
func (k Key[T]) Get(s *Socket) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[k].(T)
	return v, ok
}

// request is what is kept of the HTTP request: its head as text, in some hundred bytes, since a live
// http.Request with its headers in a map takes thousands.
type request struct {
	head   string
	remote string
	path   string
	names  []string // of the route's parameters; the router's own slice
	params []string
}

// Request returns the request that was upgraded, made anew at each call from what is kept: URL and
// query, header (but for the handshake's own fields), cookies, host, remote address.
func (s *Socket) Request() *http.Request { return s.request.restore() }

// Param is the value of the route's parameter, as in echo.Context.
func (s *Socket) Param(name string) string {
	for i, n := range s.request.names {
		if n == name && i < len(s.request.params) {
			return s.request.params[i]
		}
	}
	return ""
}

// Path is the path of the request's URL.
func (s *Socket) Path() string { return s.request.path }

// RemoteAddr is the peer's address and port, as the server saw it.
func (s *Socket) RemoteAddr() string { return s.request.remote }

func (s *Socket) String() string {
	return strings.Join([]string{"socket", s.ID(), "from", s.RemoteAddr(), "on", s.Path()}, " ")
}
