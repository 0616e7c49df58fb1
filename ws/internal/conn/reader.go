package conn

import (
	"sync"
	"time"

	"echows/ws/internal/wire"
)

// reader is the receiving half of a connection: bytes in, messages out. All that it knows while it waits is
// here and nothing on a stack, so that another goroutine can go on; see park.go.
type reader struct {
	chunk   *chunk           // bytes read and not handled yet; nil while waiting
	kept    []byte           // the beginning of a frame whose rest has not come, while there is no chunk
	message *message         // whose payload, or fragments, are still coming; nil for none
	small   *[smallRead]byte // what a connection without raw waits with

	direct int   // bytes that the last read added to the message
	err    error // of the last try

	woken    bool // there is something to read
	brief    bool // park again at once when nothing is left to read
	soon     bool // it woke up soon after it parked
	large    bool // the last message was: read more at a time
	full     bool // the last read filled its buffer: more is there
	corked   bool // replies gather: more messages of the same read are to be handled
	gathered bool // replies may have gathered since the last wait

	late uint8 // reads since something came behind our close frame; see slowDown
}

// chunk is what one read takes off a connection.
type chunk struct {
	buf        []byte // with room for inflateTail behind
	start, end int
	home       *sync.Pool

	messages, payload int // bytes; counted and not yet reported
}

const (
	smallChunk = 4 << 10        // bytes
	largeChunk = 64<<10 + 2<<10 // a frame of 64 KiB, and what comes with it
	smallRead  = 512            // of a connection that has to wait with a buffer
	directRead = 4 << 10        // so much has to be missing for a read right into the message
	firstPart  = 64 << 10       // bytes that a message is given before they have come
)

var smallChunks, largeChunks sync.Pool

func init() {
	smallChunks.New = func() any { return newChunk(smallChunk, &smallChunks) }
	largeChunks.New = func() any { return newChunk(largeChunk, &largeChunks) }
}

func newChunk(size int, home *sync.Pool) *chunk {
	return &chunk{buf: make([]byte, size, size+inflateTail), home: home}
}

func (r *reader) takeChunk() *chunk {
	pool := &smallChunks
	if r.large {
		pool = &largeChunks
	}
	ch := pool.Get().(*chunk)
	ch.start, ch.end = 0, copy(ch.buf, r.kept)
	return ch
}

func (ch *chunk) give() {
	if ch.home != nil {
		ch.home.Put(ch)
	}
}

func (ch *chunk) bytes() []byte { return ch.buf[ch.start:ch.end] }

// message is one that does not lie in a chunk as a whole.
type message struct {
	opcode     wire.Opcode
	compressed bool
	final      bool // the frame under way is the last
	left       int  // bytes that the frame under way lacks
	key        [4]byte
	buf        *buffer
	valid      int  // bytes known to be UTF-8
	unwanted   bool // it began after our close frame, or when deaf: nothing of it is kept
}

// read handles what the peer sends, until its close frame, its broken rule, the connection's end, or errPark.
func (c *Conn) read() error {
	for {
		if c.in.chunk == nil {
			if c.in.late > 0 {
				c.in.slowDown()
			}
			if err := c.await(); err != nil {
				return err
			}
		}
		if err := c.consume(); err != nil {
			return err
		}
		c.release()
	}
}

const (
	// lateReads is how many reads, of up to largeChunk, take at once what comes behind our close frame: what was on its
	// way when the peer got that frame, and its answer.
	lateReads = 16
	// latePause comes before each further read. A peer that does not stop is not worth the processor's time: it has to
	// wait until CloseTimeout is over.
	latePause = 50 * time.Millisecond
)

// slowDown is called before a read of a connection that has sent its close frame.
func (r *reader) slowDown() {
	r.large = true
	if r.late <= lateReads {
		r.late++
		return
	}
	time.Sleep(latePause)
}

// release gives the chunk back, and keeps what it has of a frame that is not whole: less than a control frame.
func (c *Conn) release() {
	r, ch := &c.in, c.in.chunk
	if ch == nil {
		return
	}
	c.reportReceived(ch)
	r.chunk, r.kept = nil, nil
	if rest := ch.bytes(); len(rest) > 0 {
		r.kept = append(make([]byte, 0, len(rest)), rest...)
	}
	ch.give()
}

// dropRead gives up what has arrived; reading has ended.
func (c *Conn) dropRead() {
	r := &c.in
	if r.chunk != nil {
		c.reportReceived(r.chunk)
		r.chunk.give()
	}
	if r.message != nil {
		r.message.buf.give()
	}
	*r = reader{}
}

// takesDirectly reports whether the frame's payload can be read to where it belongs.
func (m *message) takesDirectly() bool {
	return !m.unwanted && m.left >= directRead && len(m.space()) >= directRead
}

// space is where the frame's payload goes on.
func (m *message) space() []byte {
	p := m.buf.p
	return p[len(p):min(cap(p), len(p)+m.left)]
}

// consume handles the bytes that have been read. It leaves the beginning of a frame whose rest has not come.
func (c *Conn) consume() error {
	r := &c.in
	if n := r.direct; n > 0 {
		r.direct = 0
		r.message.buf.p = r.message.buf.p[:len(r.message.buf.p)+n]
		if err := c.received(n); err != nil {
			return err
		}
	}
	for r.chunk != nil && r.chunk.start < r.chunk.end {
		var err error
		if m := r.message; m != nil && m.left > 0 {
			err = c.consumePayload(m)
		} else {
			var whole bool
			if whole, err = c.consumeFrame(); err == nil && !whole {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
	if m := r.message; m != nil && !m.unwanted && m.left >= directRead && r.full {
		if why := m.buf.grow(min(m.left, max(len(m.buf.p), firstPart)), c.most(m)); why != nil {
			return why
		}
	}
	return nil
}

// consumePayload moves payload from the chunk to the message.
func (c *Conn) consumePayload(m *message) error {
	ch := c.in.chunk
	n := min(m.left, ch.end-ch.start)
	if m.unwanted {
		ch.start += n
		return c.received(n)
	}
	if why := m.buf.grow(n, c.most(m)); why != nil {
		return why
	}
	m.buf.p = append(m.buf.p, ch.buf[ch.start:ch.start+n]...)
	ch.start += n
	return c.received(n)
}

// most is how long the message may get.
func (c *Conn) most(m *message) int {
	switch {
	case m.final:
		return len(m.buf.p) + m.left
	case m.compressed:
		return deflatedLimit(c.config.MaxMessage)
	}
	return c.config.MaxMessage
}

// received judges the last n bytes of the message, and delivers it if they make it whole.
func (c *Conn) received(n int) error {
	m := c.in.message
	p := m.buf.p
	m.left -= n
	if m.unwanted {
		c.in.late = max(c.in.late, 1)
		if m.left == 0 && m.final {
			c.in.message = nil
			m.buf.give()
		}
		return nil
	}
	m.key = wire.Mask(m.key, p[len(p)-n:])
	if m.opcode == wire.Text && !m.compressed {
		var ok bool
		if m.valid, ok = wire.ValidUTF8(p, m.valid); !ok {
			return wire.ErrNotUTF8
		}
	}
	if m.left > 0 || !m.final {
		return nil
	}
	if m.opcode == wire.Text && !m.compressed && m.valid != len(p) {
		return wire.ErrNotUTF8 // it ends within a rune
	}
	c.in.message = nil
	defer m.buf.give()
	if m.compressed {
		if why := m.buf.grow(inflateTail, len(p)+inflateTail); why != nil {
			return why
		}
	}
	return c.deliver(m.opcode, m.compressed, m.buf.p)
}

// consumeFrame handles the frame that the chunk begins with, if it is a message or a control frame and there as
// a whole; of another message it takes the header. It reports false if more bytes are needed.
func (c *Conn) consumeFrame() (whole bool, err error) {
	r, ch := &c.in, c.in.chunk
	b := ch.bytes()
	h, n := wire.ParseHeader(b)
	if n == 0 {
		return false, nil
	}
	joined, compressed := -1, h.IsCompressed()
	if m := r.message; m != nil {
		joined, compressed = len(m.buf.p), m.compressed
	}
	limit := c.config.MaxMessage
	if compressed {
		limit = deflatedLimit(limit)
	}
	if err := h.Check(c.out.side, c.out.codec != nil, joined, limit); err != nil {
		return false, err
	}
	length := int(h.Length)
	whole = len(b)-n >= length
	switch {
	case h.Opcode.IsControl():
		if !whole {
			return false, nil
		}
		ch.start += n + length
		return true, c.receiveControl(h, b[n:n+length:n+length])
	case whole && h.Fin && joined < 0:
		ch.start += n + length
		p := b[n : n+length]
		wire.Mask(h.Key, p)
		if h.Opcode == wire.Text && !compressed {
			if good, ok := wire.ValidUTF8(p, 0); !ok || good != length {
				return true, wire.ErrNotUTF8
			}
		}
		return true, c.deliver(h.Opcode, compressed, p)
	}
	if joined < 0 {
		r.message = &message{opcode: h.Opcode, compressed: compressed, buf: c.takeBuffer(), unwanted: !c.wants()}
	}
	m := r.message
	m.final, m.left, m.key = h.Fin, length, h.Key
	ch.start += n
	if length == 0 {
		return true, c.received(0)
	}
	return true, nil
}

// wants reports whether what is received is still delivered.
func (c *Conn) wants() bool { return !c.deaf && c.out.isOpen() }

// deliver hands a message to the Handler, but for those that come after our close frame. Should the callback
// fail, reading goes on for the peer's answer to the close. Compressed data has room for inflateTail bytes behind it.
func (c *Conn) deliver(op wire.Opcode, compressed bool, data []byte) error {
	c.in.large = len(data) > smallChunk && len(data) <= firstPart
	if compressed {
		b := c.takeBuffer()
		defer b.give()
		if err := c.out.codec.inflate(c, b, data); err != nil {
			return err
		}
		if data = b.p; op == wire.Text {
			if good, ok := wire.ValidUTF8(data, 0); !ok || good != len(data) {
				return wire.ErrNotUTF8
			}
		}
	}
	if c.begun.Load() != 0 {
		c.begun.Store(0)
	}
	if !c.wants() {
		c.in.late = max(c.in.late, 1)
		return nil
	}
	more := c.in.chunk != nil && c.in.chunk.start < c.in.chunk.end
	c.countReceived(len(data), more)
	c.gatherReplies(more)
	if why := c.handler.Message(op, data[:len(data):len(data)]); why != nil { // what a callback appends must not reach the bytes behind
		c.callbackFailed(why)
	}
	return nil
}

// gatherReplies makes the replies to all messages of one read leave in one write: while more is there
// to be handled they wait, and the reply to the last one takes them along.
func (c *Conn) gatherReplies(more bool) {
	if more != c.in.corked {
		c.in.corked, c.in.gathered = more, true
		c.out.cork(more)
	}
}

// sendGathered writes the replies that have gathered, since the peer may wait for them.
func (c *Conn) sendGathered() {
	if c.in.gathered {
		c.in.corked, c.in.gathered = false, false
		c.out.release()
	}
}

func (c *Conn) receiveControl(h wire.Header, p []byte) error {
	wire.Mask(h.Key, p)
	if c.in.message == nil && c.begun.Load() != 0 {
		c.begun.Store(0)
	}
	if !c.wants() {
		c.in.late = max(c.in.late, 1)
	}
	switch h.Opcode {
	case wire.Ping:
		// "an endpoint MUST send a Pong frame in response, unless it already received a Close frame" (5.5.2).
		// If it cannot be written, reading tells how the connection ended.
		c.out.send(forever, byte(wire.Pong)|wire.Fin, p, notCounted)
	case wire.Pong:
		if c.wants() {
			if why := c.handler.Pong(p); why != nil {
				c.callbackFailed(why)
			}
		}
	case wire.Close:
		code, reason, err := wire.ParseClose(p)
		if err != nil {
			return err
		}
		c.Close(code, reason)                                  // echoes it, unless it answers ours
		c.setEnd(&wire.CloseError{Code: code, Reason: reason}) // if it could not be echoed
		return errPeerClosed
	}
	return nil
}
