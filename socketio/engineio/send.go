package engineio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"echows/internal/share"
	"echows/ws"
)

const (
	// stallTime is how long a client with MaxQueue bytes queued may take to poll again before it counts as not polling.
	stallTime = 5 * time.Second
	// overload is how many times MaxQueue may be queued for a client that does poll.
	overload = 4
)

var (
	errNoPolls  = errors.New("the client does not poll")
	errNoReads  = errors.New("the client does not read a response")
	errOverload = errors.New("the client polls too slowly")
)

// Send sends a message. On a WebSocket, it behaves like ws.Socket.Send. For a client that polls, it queues the message; while
// Config.MaxQueue bytes are queued, it waits until the client fetches them, even if a callback called it. If no GET comes for
// Config.PollTimeout, the session ends. The error is ErrClosed if the session has ended, or an error of ws.Socket.Send. Text
// must not contain U+001E, which separates the packets that a client polls; JSON never does.
func (s *Session) Send(m ws.Message) error {
	if socket := s.openSocket(); socket != nil {
		if m.IsText() {
			m = onWire(m)
		}
		return sent(socket, socket.Send(m))
	}
	f, err := Prepare(m)
	if err != nil {
		return err
	}
	return s.SendPrepared(f)
}

// AppendType appends to dst the prefix that the text of a message for SendTyped must have.
func AppendType(dst []byte) []byte { return append(dst, packetMessage) }

// SendTyped is like Send, for text that begins with the prefix of AppendType. It saves a copy.
func (s *Session) SendTyped(text []byte) error {
	m := ws.Message{Opcode: ws.Text, Data: text}
	if socket := s.openSocket(); socket != nil {
		return sent(socket, socket.Send(m))
	}
	f, err := ws.Prepare(m)
	if err != nil {
		return err
	}
	return s.SendPrepared(f)
}

// SendPrepared is like Send, for messages that Prepare encoded.
func (s *Session) SendPrepared(f *ws.Prepared) error {
	socket, err := s.queueWhenRoom(f)
	if socket != nil {
		return sent(socket, socket.SendPrepared(f))
	}
	return err
}

// sent wraps the error of a failed write in ErrClosed: the write has ended the connection, which is not the sender's fault.
func sent(socket *ws.Socket, err error) error {
	if err != nil && !errors.Is(err, ErrClosed) && socket.Context().Err() != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// queueWhenRoom waits for room and queues messages, or returns the socket on which to send them.
func (s *Session) queueWhenRoom(f *ws.Prepared) (*ws.Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(context.Background()); err != nil {
		return nil, err
	}
	if s.transport == websocket {
		return s.socket, nil
	}
	return nil, s.queueLocked(f)
}

// WaitForRoom waits like Send, and returns nil once Send would not wait. The error is ErrClosed if the session has ended, or
// the cause of ctx's end.
func (s *Session) WaitForRoom(ctx context.Context) error {
	s.mu.Lock()
	err := s.roomLocked(ctx)
	s.mu.Unlock()
	if socket := s.openSocket(); err == nil && socket != nil {
		return socket.WaitForRoom(ctx)
	}
	return err
}

// TrySend sends messages that Prepare encoded if they can leave immediately: on a WebSocket, if nothing else is waiting to be
// sent; to a client that polls, if a GET is waiting. It reports whether it sent them. It never waits and never ends the
// session. Use it for messages that are useless later.
func (s *Session) TrySend(f *ws.Prepared) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case s.transport == websocket:
		return s.socket.Buffered() == 0 && s.socket.TrySendPrepared(f) == nil
	case s.transport == polling && s.pending != nil:
		return s.queueLocked(f) == nil
	}
	return false
}

// Offer sends messages that Prepare encoded, and never waits. Use it for broadcasts. On a WebSocket, it behaves like
// ws.Socket.Offer. For a client that polls, it queues the messages, unless the queue is already too long: the session ends if
// Config.MaxQueue bytes are queued and no GET has come or fetched anything for 5 s, or if four times as many are queued.
func (s *Session) Offer(f *ws.Prepared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case s.transport == websocket:
		s.socket.Offer(f)
	default:
		s.offerQueueLocked(f)
	}
}

// openSocket returns the socket on which to send messages, or nil.
func (s *Session) openSocket() *ws.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != websocket || s.ended {
		return nil
	}
	return s.socket
}

// The functions below, except endUnpolled, are called with mu held.

// offerQueueLocked queues messages for Offer, or ends the session if the queue is too long.
func (s *Session) offerQueueLocked(f *ws.Prepared) {
	most, full := s.mostQueuedLocked()
	switch {
	case s.queued >= overload*most:
		s.server.counters.noRoom(full)
		s.endSlowLocked(errOverload)
	case s.transport == polling && s.queued >= most && time.Since(s.polled) >= stallTime:
		s.server.counters.noRoom(full)
		s.endSlowLocked(errNoPolls)
	default:
		s.queueLocked(f) // an error means that Prepare did not encode f
	}
}

// queueLocked queues messages. The session must not have ended.
func (s *Session) queueLocked(f *ws.Prepared) error {
	for m := range f.Messages() {
		p, err := fromWire(m)
		if err != nil {
			return err
		}
		s.pushLocked(p)
	}
	s.answerLocked()
	return nil
}

func (s *Session) pushLocked(p packet) {
	s.queue = append(s.queue, p)
	s.queued += p.cost()
	s.holding.set(s.queued)
}

// mostQueuedLocked returns how many bytes a session that is not on a WebSocket may have queued and, if these are fewer than
// MaxQueue, which budget is full.
func (s *Session) mostQueuedLocked() (most int, full share.Refusal) {
	most = s.server.config.MaxQueue
	if s.queued < freeBytes || most <= freeBytes {
		return most, share.None
	}
	if full = s.server.buffered.Ask(s.holding.address, 1); full != share.None {
		most = freeBytes
	}
	return most, full
}

// sendPacketLocked sends a packet that is not a message, without waiting, and reports whether it could.
func (s *Session) sendPacketLocked(p packet) bool {
	if s.transport == websocket {
		f, err := ws.Prepare(p.wire())
		return err == nil && s.socket.TrySendPrepared(f) == nil
	}
	s.pushLocked(p)
	s.answerLocked()
	return true
}

// takeLocked empties the queue and returns its packets, and their holding, which the caller releases once they are sent. It
// wakes the goroutines that wait for room.
func (s *Session) takeLocked() ([]packet, holding) {
	packets, held := s.queue, s.holding
	s.queue, s.queued, s.pinged = nil, 0, false
	s.holding.bytes = 0
	s.polled = time.Now()
	s.wakeLocked()
	return packets, held
}

func (s *Session) dropQueueLocked() {
	if s.poller != nil {
		s.queue = nil
		s.holding.release()
	}
}

// hasLastLocked reports whether a session that has ended still has packets to be fetched.
func (s *Session) hasLastLocked() bool { return s.poller != nil && s.queue != nil }

func (s *Session) wakeLocked() {
	if s.poller != nil && s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// roomLocked waits until a message can be queued, or sent on the socket. It unlocks mu while it waits.
func (s *Session) roomLocked(ctx context.Context) error {
	for waited := false; ; waited = true {
		switch {
		case s.ended:
			return ErrClosed
		case s.transport == websocket:
			return nil
		}
		most, full := s.mostQueuedLocked()
		switch {
		case s.transport == polling && s.queued < most:
			return nil
		case !waited:
			s.server.counters.noRoom(full)
		}
		if err := s.waitLocked(ctx); err != nil {
			return err
		}
	}
}

// waitLocked waits until the queue is taken, the session ends, or ctx does. It ends the session of a client that has
// not polled for PollTimeout. While the queue is flushed to a socket, the socket's deadlines count instead.
func (s *Session) waitLocked(ctx context.Context) error {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.answerPostLocked()
	var late <-chan time.Time
	if s.transport == polling {
		timer := time.NewTimer(time.Until(s.polled.Add(s.server.config.PollTimeout)))
		defer timer.Stop()
		late = timer.C
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-room:
	case <-late:
		s.endUnpolled()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// endUnpolled ends the session if its queue is full and its client has not polled for PollTimeout.
func (s *Session) endUnpolled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != polling {
		return
	}
	most, _ := s.mostQueuedLocked() // roomLocked has counted the full budget
	if s.queued >= most && time.Since(s.polled) >= s.server.config.PollTimeout {
		s.endSlowLocked(errNoPolls)
	}
}
