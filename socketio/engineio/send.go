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
	// stallTime is how long a client for which MaxQueue bytes wait may take to poll again before it counts as one that does
	// not poll.
	stallTime = 5 * time.Second
	// overload is how many times MaxQueue may wait for a client that does poll.
	overload = 4
)

var (
	errNoPolls  = errors.New("the client does not poll")
	errNoReads  = errors.New("the client does not read an answer")
	errOverload = errors.New("the client polls too slowly")
)

// Send sends a message. On a WebSocket it does what ws.Socket.Send does. For a client that polls, the message is
// queued. While Config.MaxQueue bytes wait, Send waits until the client fetches them, also in a callback; if no GET
// comes for Config.PollTimeout, the session ends. The error is ErrClosed if the session has ended, or one of
// ws.Socket.Send.
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

// AppendType appends to dst what the text of a message for SendTyped begins with.
func AppendType(dst []byte) []byte { return append(dst, packetMessage) }

// SendTyped is like Send, for text that begins with what AppendType appends, which saves a copy.
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

// sent turns the error of a failed write into ErrClosed: the connection has ended with it, which is not the sender's fault.
func sent(socket *ws.Socket, err error) error {
	if err != nil && !errors.Is(err, ErrClosed) && socket.Context().Err() != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// queueWhenRoom queues messages when there is room, or returns the socket on which they can be sent.
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

// WaitForRoom returns nil when Send would not wait. It waits as Send does, until ctx ends. The error is ErrClosed if
// the session has ended, or ctx's.
func (s *Session) WaitForRoom(ctx context.Context) error {
	s.mu.Lock()
	err := s.roomLocked(ctx)
	s.mu.Unlock()
	if socket := s.openSocket(); err == nil && socket != nil {
		return socket.WaitForRoom(ctx)
	}
	return err
}

// TrySend sends messages that Prepare encoded if they can leave at once: on a WebSocket if nothing waits to be sent, to
// a client that polls if a GET waits. It reports whether it sent them. It never waits and never ends the session. It is
// for messages that are of no use later.
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

// Offer sends messages that Prepare encoded, and never waits. It is for messages to many. On a WebSocket it does what
// ws.Socket.Offer does. For a client that polls, what waits already counts: the session ends if Config.MaxQueue bytes
// wait and no GET has fetched anything for 5 s, or if four times as many bytes wait.
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

// openSocket returns the socket on which messages can be sent, or nil.
func (s *Session) openSocket() *ws.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != websocket || s.ended {
		return nil
	}
	return s.socket
}

// The rest is called with mu held.

// offerQueueLocked queues messages of Offer to be polled.
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
		s.queueLocked(f) // fails for messages that Prepare did not encode
	}
}

// queueLocked queues messages to be polled. The session has not ended.
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

// mostQueuedLocked returns how many bytes of a session that is not on a WebSocket may wait to be polled, and, where these
// are fewer than MaxQueue, what there is no room in.
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

// sendPacketLocked sends a packet that is not a message, and reports whether it could do so without waiting.
func (s *Session) sendPacketLocked(p packet) bool {
	if s.transport == websocket {
		f, err := ws.Prepare(p.wire())
		return err == nil && s.socket.TrySendPrepared(f) == nil
	}
	s.pushLocked(p)
	s.answerLocked()
	return true
}

// takeLocked returns the queue, which is held until it has been sent, and wakes those that wait for room.
func (s *Session) takeLocked() ([]packet, holding) {
	packets, held := s.queue, s.holding
	s.queue, s.queued, s.pinged = nil, 0, false
	s.holding.bytes = 0
	s.polled = time.Now()
	s.wakeLocked()
	return packets, held
}

// dropQueueLocked discards the queue.
func (s *Session) dropQueueLocked() {
	if s.poller != nil {
		s.queue = nil
		s.holding.release()
	}
}

// hasLastLocked reports whether the last packets of a session that has ended wait to be fetched.
func (s *Session) hasLastLocked() bool { return s.poller != nil && s.queue != nil }

func (s *Session) wakeLocked() {
	if s.poller != nil && s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// roomLocked returns nil when a message can be queued, or sent on the socket. It unlocks mu while it waits.
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

// endUnpolled ends the session if too much waits for it and its client has not polled for PollTimeout.
func (s *Session) endUnpolled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != polling {
		return
	}
	most, _ := s.mostQueuedLocked() // Send has counted what there is no room in
	if s.queued >= most && time.Since(s.polled) >= s.server.config.PollTimeout {
		s.endSlowLocked(errNoPolls)
	}
}
