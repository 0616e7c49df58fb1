package conn

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"

	"echows/ws/internal/wire"
)

// codec is permessage-deflate (RFC 7692) on one connection. Without context takeover it holds nothing between
// messages: what compresses and inflates is borrowed for one message. With it, it remembers the last
// sentContext bytes sent, and as much as the peer's window of those received.
type codec struct {
	agreed   wire.Deflate
	sent     []byte // guarded by the outbox
	received []byte // owned by the reader
}

const (
	// deflateFrom is the length of a message, in bytes, from which on it is compressed: shorter ones hardly
	// get smaller.
	deflateFrom = 512
	// deflateInContextFrom is the same where there are earlier messages to refer to.
	deflateInContextFrom = 64
	// sentContext is how many bytes of earlier messages a compressed one may refer to.
	sentContext = 8 << 10
	// inflateTail is what follows a message's data for the decompressor.
	inflateTail = 9
)

// deflatedLimit is how long the compressed form of a message of at most limit bytes may be: data that cannot be
// compressed gets a little longer.
func deflatedLimit(limit int) int {
	if more := limit>>10 + 64; limit < maxInt-more {
		return limit + more
	}
	return maxInt
}

// bits is the window that side compresses with.
func (x *codec) bits(side wire.Side) int {
	if side == wire.Server {
		return x.agreed.ServerBits
	}
	return x.agreed.ClientBits
}

// keepsSent reports whether what side sends may refer to earlier messages. A small window is not worth that.
func (x *codec) keepsSent(side wire.Side) bool {
	none := x.agreed.ServerNoContext
	if side == wire.Client {
		none = x.agreed.ClientNoContext
	}
	return !none && 1<<x.bits(side) >= sentContext
}

// keepsReceived reports whether what side receives may refer to earlier messages.
func (x *codec) keepsReceived(side wire.Side) bool {
	if side == wire.Server {
		return !x.agreed.ClientNoContext
	}
	return !x.agreed.ServerNoContext
}

// remember makes p the latest of what was sent or received, as much as most bytes of it.
func remember(window, p []byte, most int) []byte {
	if len(p) >= most {
		return append(window[:0], p[len(p)-most:]...)
	}
	if over := len(window) + len(p) - most; over > 0 {
		window = append(window[:0], window[over:]...)
	}
	return append(window, p...)
}

// deflateInContext compresses a message that may refer to those that were compressed before, and remembers it. It
// reports false for one that is to be sent as it is: such a message is no part of the context. The outbox is
// locked, so the order is that of the frames.
func (x *codec) deflateInContext(b *buffer, p []byte, side wire.Side) bool {
	from := deflateFrom
	if len(x.sent) > 0 {
		from = deflateInContextFrom
	}
	if len(p) < from {
		return false
	}
	bits, context := x.bits(side), x.sent
	if bits < 15 { // then message and context have to fit into the window together
		context = context[max(len(context)-max(1<<bits-len(p), 0), 0):]
	}
	if bits < 15 && len(context) > 0 {
		bits = 15
	}
	if b.p = deflate(b.p, p, bits, context); len(b.p) >= len(p) {
		return false
	}
	x.sent = remember(x.sent, p, sentContext)
	return true
}

// deflater compresses one message at a time.
type deflater struct {
	out     []byte
	windows [15]*flate.Writer // by bits, for windows below 15
}

func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaters = sync.Pool{New: func() any { return new(deflater) }}

// deflate appends the compressed form of p to dst (RFC 7692 section 7.2.1). It may refer to the bytes of context,
// which came right before p, and to no more than 2^bits back.
func deflate(dst, p []byte, bits int, context []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out = dst
	if bits == 15 {
		flate.StatelessDeflate(d, p, false, context) // d does not fail
	} else {
		w := d.windows[bits]
		if w == nil {
			w, _ = flate.NewWriterWindow(d, 1<<bits) // 8–14 are allowed
			d.windows[bits] = w
		}
		w.Reset(d)
		w.Write(p)
		w.Flush()
	}
	out := d.out
	d.out = nil
	return out[:len(out)-4] // "remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end"
}

// tail is what deflate removed, and an empty last block for the decompressor to end with.
const tail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// inflater inflates one message at a time.
type inflater struct {
	in  bytes.Reader
	out io.ReadCloser // a flate.Resetter
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.out = flate.NewReader(&i.in)
	return i
}}

// inflate appends the original of p to b, up to the connection's limit (section 7.2.2). p has room for
// inflateTail bytes behind it, which are as they were afterwards.
func (x *codec) inflate(c *Conn, b *buffer, p []byte) error {
	room := p[len(p) : len(p)+inflateTail]
	var behind [inflateTail]byte
	copy(behind[:], room)
	copy(room, tail)
	defer copy(room, behind[:])

	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.in.Reset(p[:len(p)+inflateTail])
	i.out.(flate.Resetter).Reset(&i.in, x.received)
	limit := c.config.MaxMessage
	for {
		if len(b.p) == cap(b.p) {
			if why := b.grow(1, limit+1); why != nil {
				return why
			}
		}
		n, err := i.out.Read(b.p[len(b.p):cap(b.p)])
		b.p = b.p[:len(b.p)+n]
		switch {
		case len(b.p) > limit:
			return wire.ErrMessageTooLong
		case err == io.EOF && i.in.Len() <= inflateTail+1: // or there is more behind a last block
			if x.keepsReceived(c.out.side) {
				x.received = remember(x.received, b.p, 1<<x.bits(1-c.out.side))
			}
			return nil
		case err != nil:
			return wire.ErrDeflate
		}
	}
}
