package engineio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"echows/ws"
)

const (
	// stallTime is how long a client may take to poll again, while MaxQueue bytes wait for it, before it counts as one
	// that does not.
	stallTime = 5 * time.Second
	// overload is how many times MaxQueue may wait for a client that does poll.
	overload = 4
)

var (
	errNoPolls  = errors.New("the client does not poll")
	errOverload = errors.New("the client polls too slowly")
)

// Send sends a message. On a WebSocket it is as ws.Socket.Send. For a client that polls the message is queued; while
// Config.MaxQueue bytes wait, Send waits until the client fetches them, also in a callback. If none of its GETs comes
// for Config.PollTimeout, the session ends. The error is ErrClosed once the session has ended, or as ws.Socket.Send's.
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

// AppendType begins the text of a message for SendTyped.
func AppendType(dst []byte) []byte { return append(dst, packetMessage) }

// SendTyped is Send for text that AppendType began, which saves a copy.
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

// SendPrepared sends messages that Prepare encoded; as Send.
func (s *Session) SendPrepared(f *ws.Prepared) error {
	socket, err := s.queueWhenRoom(f)
	if socket != nil {
		return sent(socket, socket.SendPrepared(f))
	}
	return err
}

// sent makes ErrClosed of a write that failed, since the connection ended with it: that is no fault of who sends.
func sent(socket *ws.Socket, err error) error {
	if err != nil && !errors.Is(err, ErrClosed) && socket.Context().Err() != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// queueWhenRoom has messages wait to be polled when there is room, or returns the socket that they can be sent on.
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

// WaitForRoom returns when Send would not wait. It waits as Send does, but no longer than ctx lives. The error is
// ErrClosed once the session has ended, or that of ctx.
func (s *Session) WaitForRoom(ctx context.Context) error {
	s.mu.Lock()
	err := s.roomLocked(ctx)
	s.mu.Unlock()
	if socket := s.openSocket(); err == nil && socket != nil {
		return socket.WaitForRoom(ctx)
	}
	return err
}

// TrySend sends messages that Prepare encoded only if they leave at once: on a WebSocket if nothing waits to be sent, to
// a client that polls if a GET waits. It reports whether it did, and never waits or ends the session: for what is of no
// use later.
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

// Offer sends messages that Prepare encoded, and waits for nothing, for those who send to many. On a WebSocket it is as
// ws.Socket.Offer. For a client that polls what counts is what waits already: the session ends if Config.MaxQueue bytes
// wait and no GET has fetched anything for 5 s, or if four times as many wait.
func (s *Session) Offer(f *ws.Prepared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.mostQueuedLocked()
	switch {
	case s.ended:
	case s.transport == websocket:
		s.socket.Offer(f)
	case s.queued >= overload*most:
		s.endSlowLocked(errOverload)
	case s.transport == polling && s.queued >= most && time.Since(s.polled) >= stallTime:
		s.endSlowLocked(errNoPolls)
	default:
		s.queueLocked(f) // fails for messages that Prepare did not encode
	}
}

// openSocket is the socket that messages can be sent on, or nil.
func (s *Session) openSocket() *ws.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != websocket || s.ended {
		return nil
	}
	return s.socket
}

// The rest is called with mu held.

// queueLocked has messages wait to be polled; the session has not ended.
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

// mostQueuedLocked is how many bytes may wait to be polled.
func (s *Session) mostQueuedLocked() int {
	if s.queued >= freeBytes && s.server.buffered.IsFull(s.holding.address) {
		return min(s.server.config.MaxQueue, freeBytes)
	}
	return s.server.config.MaxQueue
}

// sendPacketLocked sends a packet of the protocol's own, and reports whether it could be sent without waiting.
func (s *Session) sendPacketLocked(p packet) bool {
	if s.transport == websocket {
		f, err := ws.Prepare(p.wire())
		return err == nil && s.socket.TrySendPrepared(f) == nil
	}
	s.pushLocked(p)
	s.answerLocked()
	return true
}

// takeLocked returns what waits to be polled, which is held until it has been sent, and wakes those who wait for room.
func (s *Session) takeLocked() ([]packet, holding) {
	packets, held := s.queue, s.holding
	s.queue, s.queued, s.pinged = nil, 0, false
	s.holding.bytes = 0
	s.polled = time.Now()
	s.wakeLocked()
	return packets, held
}

// dropQueueLocked forgets what waits to be polled.
func (s *Session) dropQueueLocked() {
	s.queue = nil
	s.holding.release()
}

func (s *Session) wakeLocked() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// roomLocked returns when a message can be queued, or sent on the socket; mu is free while it waits.
func (s *Session) roomLocked(ctx context.Context) error {
	for {
		switch {
		case s.ended:
			return ErrClosed
		case s.transport == websocket, s.transport == polling && s.queued < s.mostQueuedLocked():
			return nil
		}
		if err := s.waitLocked(ctx); err != nil {
			return err
		}
	}
}

// waitLocked waits until the queue is taken, the session ends, or ctx does. It ends the session of a client that has
// not polled for PollTimeout. While what waited is flushed to a socket, its deadlines count.
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

// endUnpolled ends a session for which too much waits, if it has not polled for PollTimeout.
func (s *Session) endUnpolled() {
	cfg := s.server.config
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport == polling && s.queued >= s.mostQueuedLocked() && time.Since(s.polled) >= cfg.PollTimeout {
		s.endSlowLocked(errNoPolls)
	}
}
