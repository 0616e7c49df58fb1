package ws

import (
	"encoding/binary"
	"iter"
	"sync"
)

// Route is one route's sockets.
type Route struct {
	app          *App
	handler      Handler
	subprotocols []string

	mu      sync.Mutex // guards sockets; held while a broadcast is queued, so all members see one order
	sockets map[*Socket]struct{}
}

// Subprotocols names the subprotocols that the route speaks (RFC 6455 section 1.9). The first one of
// a client's offers that is among them is agreed on. Call it before the server starts.
func (r *Route) Subprotocols(names ...string) *Route {
	r.subprotocols = names
	return r
}

// Len is the number of the route's open sockets.
func (r *Route) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sockets)
}

// Sockets ranges over the route's sockets that are open when the range begins.
func (r *Route) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		r.mu.Lock()
		open := make([]*Socket, 0, len(r.sockets))
		for s := range r.sockets {
			open = append(open, s)
		}
		r.mu.Unlock()
		for _, s := range open {
			if !yield(s) {
				return
			}
		}
	}
}

// Broadcast sends m to every socket of the route, in one order for all of them. It never waits: a
// socket whose outbox is full, because its peer does not read, is closed with 1013 instead. The error
// says what is wrong with m, as Send's does.
func (r *Route) Broadcast(m Message) error {
	f, err := NewFrame(m)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.sockets {
		s.Offer(f)
	}
	return nil
}

// Frame is a message encoded once, to be offered to many sockets, or several messages that are to stay
// together. It may be used by any number of goroutines, and kept.
type Frame struct{ bytes []byte }

// NewFrame encodes messages. The error says what is wrong with one, as Send's does.
func NewFrame(messages ...Message) (Frame, error) {
	size := 0
	for _, m := range messages {
		if err := m.check(); err != nil {
			return Frame{}, err
		}
		size += maxHeader + len(m.Data)
	}
	b := make([]byte, 0, size)
	for _, m := range messages {
		b = append(appendHeader(b, m.Opcode, len(m.Data)), m.Data...)
	}
	return Frame{b}, nil
}

// Len is how many bytes the frame has.
func (f Frame) Len() int { return len(f.bytes) }

// Messages ranges over what was encoded, for those whom it reaches in another way than by a socket. The
// data is shared, and not to be changed.
func (f Frame) Messages() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for rest := f.bytes; len(rest) > 0; {
			start, n := 2, int(rest[1])
			switch n {
			case 126:
				start, n = 4, int(binary.BigEndian.Uint16(rest[2:]))
			case 127:
				start, n = 10, int(binary.BigEndian.Uint64(rest[2:]))
			}
			if !yield(Message{Opcode(rest[0] & 0x0f), rest[start : start+n : start+n]}) {
				return
			}
			rest = rest[start+n:]
		}
	}
}

// SendFrame sends a frame; as Send.
func (s *Socket) SendFrame(f Frame) error { return s.out.sendFrame(f.bytes) }

// Offer sends a frame without ever waiting. A socket whose outbox is full, because its peer does not
// read, is closed with 1013, and what waited for it is given up. On a socket that closes already it
// does nothing.
func (s *Socket) Offer(f Frame) {
	if s.out.offer(f.bytes) == errFull {
		s.app.dropped.Add(1)
		s.close(errFull, true)
	}
}
