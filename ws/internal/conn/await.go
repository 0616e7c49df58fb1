package conn

import (
	"errors"
	"os"
)

// await is the one place where a connection waits for bytes: without a buffer, where the system can say that
// there are some.
func (c *Conn) await() error {
	c.sendGathered()
	c.noteBegin()
	c.seen.Store(c.engine.clock.Load())
	var err error
	if c.out.raw != nil {
		err = c.out.raw.Read(c.readable)
		if errors.Is(err, os.ErrDeadlineExceeded) { // the sweep's
			return errPark
		}
		if err == nil {
			err = c.in.err
		}
	} else if err = c.waitRead(); errors.Is(err, os.ErrDeadlineExceeded) {
		return errPark
	}
	c.in.woken = false
	if err != errPark { // parked, it still waits
		c.seen.Store(awake)
	}
	return err
}

// noteBegin tells the sweep since when a message has been arriving.
func (c *Conn) noteBegin() {
	partial := c.in.message != nil || c.in.kept != nil
	switch begun := c.begun.Load(); {
	case partial && begun == 0:
		c.begun.Store(max(c.engine.clock.Load(), 1))
	case !partial && begun != 0:
		c.begun.Store(0)
	}
}

// tryRead is called each time the connection might be readable; false waits for the next time.
func (c *Conn) tryRead(fd uintptr) bool {
	r := &c.in
	var err error
	if m := r.message; m != nil && m.takesDirectly() {
		space := m.space()
		r.direct, err = readNow(fd, space)
		r.full = r.direct == len(space)
	} else {
		ch := r.takeChunk()
		var n int
		if n, err = readNow(fd, ch.buf[ch.end:]); err != nil {
			ch.give()
		} else {
			ch.end += n
			r.full = ch.end == len(ch.buf)
			r.chunk, r.kept = ch, nil
		}
	}
	if err == errWouldBlock {
		if r.message != nil {
			r.message.buf.shrink()
		}
		if !r.brief {
			return false
		}
		err = errPark
	}
	r.err = err
	return true
}

// waitRead reads where one cannot ask: with a small buffer first, and with a larger one for as long as the last
// one was filled.
func (c *Conn) waitRead() error {
	r := &c.in
	if r.brief && !r.woken && c.out.under != nil {
		c.out.SetReadDeadline(longAgo) // what TLS holds is read, and nothing is waited for
	}
	for {
		switch m := r.message; {
		case !r.full:
			if m != nil {
				m.buf.shrink()
			}
			if r.small == nil {
				r.small = new([smallRead]byte)
			}
			n, err := c.out.Read(r.small[:])
			r.full = n == len(r.small)
			if n > 0 {
				r.chunk = r.takeChunk()
				r.kept = nil
				r.chunk.end += copy(r.chunk.buf[r.chunk.end:], r.small[:n])
				return nil
			}
			if err != nil {
				return err
			}
		case m != nil && m.takesDirectly():
			space := m.space()
			n, err := c.out.Read(space)
			r.full = n == len(space)
			if n > 0 {
				r.direct = n
				return nil
			}
			if err != nil {
				return err
			}
		default:
			ch := r.takeChunk()
			n, err := c.out.Read(ch.buf[ch.end:])
			ch.end += n
			r.full = ch.end == len(ch.buf)
			if n > 0 {
				r.chunk, r.kept = ch, nil
				return nil
			}
			ch.give()
			if err != nil {
				return err
			}
		}
	}
}
