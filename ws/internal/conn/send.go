package conn

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"

	"echows/ws/internal/wire"
)

// Send sends a message or a ping. It returns when that is written or queued; while SendBuffer bytes wait, it
// waits for writes to end, each of which has WriteTimeout. The error is ErrClosed once a close has begun, or says
// why the write failed.
func (c *Conn) Send(op wire.Opcode, payload []byte) error {
	return c.SendContext(forever, op, payload)
}

// forever is the context of senders that wait as long as it takes.
var forever context.Context

// SendContext is like Send, but waits only until ctx ends, and does not wait for its own write.
func (c *Conn) SendContext(ctx context.Context, op wire.Opcode, payload []byte) error {
	first := byte(op) | wire.Fin
	x, size := c.out.codec, len(payload)
	if op.IsControl() {
		size = notCounted
	}
	if x == nil || x.keepsSent(c.out.side) || op.IsControl() || len(payload) < deflateFrom {
		return c.out.send(ctx, first, payload, size) // with context takeover, the outbox compresses, in its order
	}
	b := c.takeBuffer()
	defer b.give()
	if b.p = deflate(b.p, payload, x.bits(c.out.side), nil); len(b.p) < len(payload) {
		first, payload = first|wire.RSV1, b.p
	}
	return c.out.send(ctx, first, payload, size)
}

// sendsAsIs reports whether a payload that Send has compressed goes over the wire unchanged.
func (c *Conn) sendsAsIs() bool {
	return c.out.side == wire.Server && (c.out.codec == nil || !c.out.codec.keepsSent(c.out.side))
}

// Message is one message to send.
type Message struct {
	Opcode wire.Opcode
	Data   []byte
}

// Prepared is messages encoded once, to be sent to many. Its methods may be called from any goroutine.
type Prepared struct {
	messages []Message
	size     int    // bytes of the messages alone
	plain    []byte // as frames of a server

	// of is what a Log placed, and log where.
	of  *Prepared
	log *Log

	mu       sync.Mutex
	deflated map[int][]byte // the same with compression, by window bits
}

// Prepare encodes messages. It keeps their data, which must not change.
func Prepare(messages []Message) *Prepared {
	size := 0
	for _, m := range messages {
		size += wire.MaxHeader + len(m.Data)
	}
	p := &Prepared{messages: slices.Clone(messages), plain: make([]byte, 0, size)}
	for i, m := range messages {
		p.plain = append(wire.AppendHeader(p.plain, byte(m.Opcode)|wire.Fin, len(m.Data)), m.Data...)
		p.size += len(m.Data)
		p.messages[i].Data = p.plain[len(p.plain)-len(m.Data) : len(p.plain) : len(p.plain)]
	}
	return p
}

// Messages returns the messages that were encoded; they are shared, and must not be changed.
func (p *Prepared) Messages() []Message { return p.messages }

// Len returns the size of the frames without compression, in bytes.
func (p *Prepared) Len() int { return len(p.plain) }

// frames returns the frames as c's peer understands them.
func (p *Prepared) frames(c *Conn) []byte {
	switch {
	case c.out.side == wire.Client:
		var masked []byte
		for _, m := range p.messages {
			key := maskingKey()
			masked = append(wire.AppendMaskedHeader(masked, byte(m.Opcode)|wire.Fin, len(m.Data), key), m.Data...)
			wire.Mask(key, masked[len(masked)-len(m.Data):])
		}
		return masked
	case c.out.codec != nil:
		return p.compressed(c.out.codec.bits(c.out.side))
	}
	return p.plain
}

// compressed returns the frames with their messages compressed, if that makes them smaller. It compresses once
// for all peers with windows of the same size.
func (p *Prepared) compressed(bits int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames, ok := p.deflated[bits]
	if ok {
		return frames
	}
	if p.log != nil {
		frames = p.log.place(bits, p.of.compressed(bits))
	} else {
		frames = p.deflate(bits)
	}
	if p.deflated == nil {
		p.deflated = make(map[int][]byte, 1)
	}
	p.deflated[bits] = frames
	return frames
}

func (p *Prepared) deflate(bits int) (frames []byte) {
	var one []byte
	for _, m := range p.messages {
		first, data := byte(m.Opcode)|wire.Fin, m.Data
		if len(data) >= deflateFrom {
			if one = deflate(one[:0], data, bits, nil); len(one) < len(data) {
				first, data = first|wire.RSV1, one
			}
		}
		frames = append(wire.AppendHeader(frames, first, len(data)), data...)
	}
	return frames
}

// SendPrepared is like Send, for encoded messages.
func (c *Conn) SendPrepared(p *Prepared) error {
	return c.out.sendShared(forever, p)
}

// TrySend sends without waiting. The error is ErrFull while SendBuffer bytes wait, or is like Send's.
func (c *Conn) TrySend(p *Prepared) error { return c.out.trySend(p) }

// Offer sends without waiting. It closes a connection
// with 1013 if SendBuffer bytes wait and the peer does not read, or if so many more wait that the peer reads far
// too slowly; what waited is discarded. On a closing connection it does nothing.
func (c *Conn) Offer(p *Prepared) {
	if why := c.out.offer(p); why != nil && c.out.seal(why, true) && why == errSlow {
		c.engine.slow.Add(1)
	}
}

// WaitForRoom waits until fewer than most bytes wait to be sent, if the peer reads; otherwise it returns
// immediately. The error is the context's.
func (c *Conn) WaitForRoom(ctx context.Context, most int) error { return c.out.waitForRoom(ctx, most) }

// WaitToSend waits, as Send does, until fewer than SendBuffer bytes wait, or ctx ends.
func (c *Conn) WaitToSend(ctx context.Context) error { return c.out.waitToSend(ctx) }

// Buffered returns how many bytes wait to be sent.
func (c *Conn) Buffered() int { return c.out.waiting() }

// IsOpen reports whether messages can be sent: no close has begun.
func (c *Conn) IsOpen() bool { return c.out.isOpen() }

// Flush writes replies that wait for replies to other messages of the same read.
func (c *Conn) Flush() { c.out.flush() }

// maskingKey returns a new key for a client's frame: it must be unpredictable (RFC 6455 section 5.3).
func maskingKey() (key [4]byte) {
	rand.Read(key[:])
	return key
}
