package ws

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// reader is the receiving half of a Socket: frames in, messages out.
type reader struct {
	frames *frames // lent while there are bytes to read
	one    [1]byte // what a connection waits with that cannot be asked whether it is readable, or rests
	rested bool    // this goroutine began with a rest and has read nothing yet
	err    error   // of the wait that brought the frames
	corked bool    // replies gather: more messages of the same read are to be handled

	gathered bool // replies may have gathered since the last wait

	// The message whose fragments are being joined.
	opcode Opcode // opContinuation (0) while there is none
	data   []byte
	buf    *[firstPart]byte // where data begins, lent by parts until it outgrows it
	valid  int              // bytes of data known to be UTF-8
}

// errPeerClosed ends reading after the peer's close frame: "after receiving a Close frame … discard
// any further data received" (RFC 6455 section 1.4).
var errPeerClosed = errors.New("ws: the peer closed")

// read handles what the peer sends, until its close frame, its broken rule or the connection's end.
func (s *Socket) read() error {
	defer s.releaseFrames()
	for {
		if err := s.await(); err != nil {
			return err
		}
		for s.in.frames.more() {
			if err := s.readFrame(); err != nil {
				return err
			}
		}
		s.releaseFrames()
	}
}

// awake, as Socket.seen, says that the socket is not waiting for its peer, whose silence then counts
// for nothing.
const awake = int64(1) << 62

// await returns when there are bytes to read. An idle socket waits here, at the bottom of its stack
// and without a buffer.
func (s *Socket) await() error {
	if s.in.frames != nil { // bytes that came together with the handshake
		return nil
	}
	s.writeReplies()
	s.seen.Store(s.app.clock.Load())
	defer s.seen.Store(awake)
	switch {
	case s.out.raw == nil:
		if _, err := io.ReadFull(s.out.Conn, s.in.one[:]); err != nil {
			return err
		}
		s.in.frames = framesPool.Get().(*frames)
		s.in.frames.socket, s.in.frames.early = s, s.in.one[:]
		return nil
	case s.in.rested:
		return s.awaitRested()
	}
	switch err := s.out.raw.Read(s.readable); {
	case err == nil:
		return s.in.err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errRest
	default:
		return err
	}
}

// tryRead is called each time the connection might be readable; false waits for the next time.
func (s *Socket) tryRead(fd uintptr) bool {
	f := framesPool.Get().(*frames)
	f.trying, f.fd = true, fd
	_, err := f.Peek(1)
	f.trying = false
	if err == errWouldBlock {
		f.release()
		return false
	}
	f.socket, s.in.frames, s.in.err = s, f, err
	return true
}

// waitRead reads the rest of what has begun. The replies so far go out first, since the peer may
// wait for them.
func (s *Socket) waitRead(p []byte) (int, error) {
	s.writeReplies()
	s.seen.Store(s.app.clock.Load())
	defer s.seen.Store(awake)
	for {
		n, err := s.out.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.out.SetReadDeadline(time.Time{}) // the sweep's wish came too late: there is something to wait for
		s.resting.Store(false)
	}
}

// writeReplies writes the replies that have gathered.
func (s *Socket) writeReplies() {
	if s.in.gathered {
		s.in.corked, s.in.gathered = false, false
		s.out.release()
	}
}

func (s *Socket) releaseFrames() {
	if s.in.frames != nil {
		s.in.frames.release()
		s.in.frames = nil
	}
}

func (s *Socket) readFrame() error {
	f := s.in.frames
	h, err := f.header()
	if err != nil {
		return err
	}
	joined := len(s.in.data)
	if s.in.opcode == opContinuation {
		joined = -1
	}
	if err := h.check(joined, s.app.config.MaxMessage); err != nil {
		return err
	}
	switch {
	case h.opcode.isControl():
		return s.readControl(h)
	case h.fin && joined < 0 && h.length <= uint64(f.Buffered()):
		return s.readInPlace(h)
	}
	if joined < 0 {
		s.in.opcode, s.in.valid = h.opcode, 0
	}
	if err := s.readFragment(h); err != nil || !h.fin {
		return err
	}
	if s.in.opcode == Text && s.in.valid != len(s.in.data) {
		return errNotUTF8 // it ends within a rune
	}
	m, buf := Message{s.in.opcode, s.in.data}, s.in.buf
	s.in.opcode, s.in.data, s.in.buf = opContinuation, nil, nil
	s.deliver(m)
	if buf != nil {
		parts.Put(buf)
	}
	return nil
}

// readInPlace handles a whole message that lies in the read buffer, where it stays.
func (s *Socket) readInPlace(h header) error {
	f, n := s.in.frames, int(h.length)
	p, err := f.Peek(n)
	if err != nil {
		return err
	}
	p = p[:n:n] // what a callback appends must not reach the bytes behind
	unmask(h.key, p)
	if h.opcode == Text {
		if good, ok := validUTF8(p, 0); !ok || good != n {
			return errNotUTF8
		}
	}
	s.gatherReplies(f.Buffered() > n)
	s.deliver(Message{h.opcode, p})
	_, err = f.Discard(n)
	return err
}

// firstPart is how many bytes a message is given before they have come. Beyond it, memory follows
// what arrives: a length is easily declared.
const firstPart = 64 << 10

var parts = sync.Pool{New: func() any { return new([firstPart]byte) }}

// readFragment appends a frame's payload to the message, and judges a text's bytes as they come.
func (s *Socket) readFragment(h header) error {
	m := &s.in
	for left := int(h.length); left > 0; {
		if m.buf == nil && m.data == nil {
			m.buf = parts.Get().(*[firstPart]byte)
			m.data = m.buf[:0]
		}
		if len(m.data) == cap(m.data) { // doubling, so that tiny fragments cost no more than large ones
			more := max(min(left, firstPart), len(m.data))
			m.data = append(make([]byte, 0, min(len(m.data)+more, s.app.config.MaxMessage)), m.data...)
			if m.buf != nil {
				parts.Put(m.buf)
				m.buf = nil
			}
		}
		at := len(m.data)
		n, err := m.frames.Reader.Read(m.data[at:min(cap(m.data), at+left)])
		m.data = m.data[:at+n]
		left -= n
		h.key = unmask(h.key, m.data[at:])
		if m.opcode == Text {
			var ok bool
			if m.valid, ok = validUTF8(m.data, m.valid); !ok {
				return errNotUTF8
			}
		}
		if err != nil {
			return err
		}
	}
	s.gatherReplies(m.frames.more())
	return nil
}

// gatherReplies makes the replies to all messages of one read leave in one write: while more is there
// to be handled they wait, and the reply to the last one takes them along.
func (s *Socket) gatherReplies(more bool) {
	if more != s.in.corked {
		s.in.corked, s.in.gathered = more, true
		s.out.cork(more)
	}
}

func (s *Socket) readControl(h header) error {
	f, n := s.in.frames, int(h.length)
	p, err := f.Peek(n) // 125 bytes at most
	if err != nil {
		return err
	}
	p = p[:n:n]
	unmask(h.key, p)
	switch h.opcode {
	case opPing:
		// "an endpoint MUST send a Pong frame in response, unless it already received a Close frame" (5.5.2).
		if err := s.out.send(opPong, p); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	case opPong:
		if s.onPong != nil && s.out.isOpen() {
			if err := s.guard(func() error { s.onPong(p); return nil }); err != nil {
				s.fail(err)
			}
		}
	case opClose:
		code, reason, err := parseClosePayload(p)
		if err != nil {
			return err
		}
		s.close(&CloseError{code, reason}, false) // echoes it, unless it answers ours
		return errPeerClosed
	}
	_, err = f.Discard(n)
	return err
}

// deliver hands a message to the callback, but for those that come after our close frame. Should the
// callback fail, reading goes on for the peer's answer to the close.
func (s *Socket) deliver(m Message) {
	if s.onMessage == nil || !s.out.isOpen() {
		return
	}
	if err := s.guardMessage(m); err != nil {
		s.fail(err)
	}
}

// panicError is a callback's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

// guardMessage is guard for the callback that runs for each message: it allocates nothing.
func (s *Socket) guardMessage(m Message) (err error) {
	defer recoverTo(&err)
	return s.onMessage(m)
}

// guard calls f and turns its panic into an error.
func (s *Socket) guard(f func() error) (err error) {
	defer recoverTo(&err)
	return f()
}

func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{v, debug.Stack()}
	}
}
