package conn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"echows/ws/internal/wire"
)

// This file writes the outbox: one batch at a time, by whichever goroutine comes first.

// turn writes a batch without waiting: if the peer would make it wait, it starts another goroutine.
func (o *outbox) turn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scheduled = false
	if !o.writing && !o.isEmptyLocked() {
		o.writeLocked(false)
	}
}

// flush writes what is queued, unless another goroutine is writing, which then continues with it.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing && !o.isEmptyLocked() {
		o.writeLocked(true)
	}
}

// hurry gives the peer WriteTimeout for everything that still waits; nothing more is read from it.
func (o *outbox) hurry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.deadline.IsZero() {
		o.deadline = time.Now().Add(o.conn.config.WriteTimeout)
	}
}

// settle returns when everything is written, or can no longer be, and nobody is writing.
func (o *outbox) settle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing || !o.isEmptyLocked() && o.err == nil {
		if o.writing {
			o.waitLocked(forever, nil)
		} else {
			o.writeLocked(true)
		}
	}
}

// release ends corking, and writes what has gathered.
func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = false
	if o.uncork != nil {
		o.uncork.Stop()
	}
	if !o.writing && !o.scheduled && !o.isEmptyLocked() {
		o.writeLocked(true)
	}
}

// writeLocked writes what is queued now; mu is free during the write. Without wait, a peer that makes it wait gets
// a goroutine of its own, until it reads again or times out.
func (o *outbox) writeLocked(wait bool) {
	buf, frames := o.takeLocked()
	o.mu.Unlock()
	n, err := o.tryWrite(frames, nil)
	if err == errWouldBlock {
		if !wait {
			o.mu.Lock()
			o.blocked = true
			rest := frames[n:]
			if buf == nil && len(rest) <= logChunk { // shared with others: see appendSharedLocked
				buf = o.conn.takeBuffer()
				if buf.grow(len(rest), maxInt) == nil {
					buf.p = append(buf.p, rest...)
					rest = buf.p
				}
			}
			o.conn.engine.running.Go(func() { o.finishWrite(buf, rest) })
			return
		}
		o.mu.Lock()
		o.blocked = true
		o.mu.Unlock()
		err = o.waitWrite(frames[n:])
	}
	o.mu.Lock()
	o.wroteLocked(buf, err)
	if !o.isEmptyLocked() && o.err == nil {
		o.scheduleLocked()
	}
}

// finishWrite takes over a write that would block, and everything queued in the meantime.
func (o *outbox) finishWrite(buf *buffer, rest []byte) {
	err := o.waitWrite(rest)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wroteLocked(buf, err)
	for !o.writing && !o.isEmptyLocked() && o.err == nil {
		o.writeLocked(true)
	}
}

// answerHandshake ends the write that HoldFrames began.
func (o *outbox) answerHandshake(p []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writeDirectLocked(p, nil)
}

// sendDirectLocked writes a frame from where its payload is; the outbox is idle.
func (o *outbox) sendDirectLocked(first byte, payload []byte) error {
	head := heads.Get().(*[wire.MaxHeader]byte)
	defer heads.Put(head)
	return o.writeDirectLocked(wire.AppendHeader(head[:0], first, len(payload)), payload)
}

// writeDirectLocked writes two slices, which follow one another, from where they are; mu is free during the write.
func (o *outbox) writeDirectLocked(first, second []byte) error {
	o.beginLocked(len(first) + len(second))
	o.mu.Unlock()
	n, err := o.tryWrite(first, second)
	if err == errWouldBlock {
		if n < len(first) {
			err = o.waitWrite(first[n:])
			n = len(first)
		}
		if err == nil || err == errWouldBlock {
			err = o.waitWrite(second[n-len(first):])
		}
	}
	o.mu.Lock()
	o.wroteLocked(nil, err)
	if !o.isEmptyLocked() && o.err == nil {
		o.scheduleLocked()
	}
	return o.err
}

var heads = sync.Pool{New: func() any { return new([wire.MaxHeader]byte) }}

// takeLocked begins a write of what is queued.
func (o *outbox) takeLocked() (buf *buffer, frames []byte) {
	buf, frames = o.queue, o.shared
	if buf != nil {
		frames = buf.p
	}
	o.queue, o.shared = nil, nil
	o.beginLocked(len(frames))
	return buf, frames
}

func (o *outbox) beginLocked(n int) {
	o.inHand, o.writing, o.progress = n, true, o.conn.engine.clock.Load()
	o.reportLocked()
}

// waitWrite writes all of p, waiting for the peer to make room for each chunk; mu is free. tryWrite comes first,
// since setting a deadline costs as much as a small write.
func (o *outbox) waitWrite(p []byte) error {
	for len(p) > 0 {
		if err := o.extend(len(p)); err != nil {
			return err
		}
		n, err := o.Conn.Write(p[:min(len(p), writeChunk)])
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return o.SetWriteDeadline(time.Time{}) // an old deadline would fail the next try
}

// extend sets the deadline of the next chunk; left bytes of the write are still to be written.
func (o *outbox) extend(left int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inHand = left
	o.progress = o.conn.engine.clock.Load()
	d := o.deadline
	if d.IsZero() {
		d = time.Now().Add(o.conn.config.WriteTimeout)
	}
	return o.SetWriteDeadline(d) // under mu, so that seal's deadline comes after this one
}

func (o *outbox) wroteLocked(buf *buffer, err error) {
	if buf != nil {
		buf.give()
	}
	o.inHand, o.writing, o.blocked = 0, false, false
	if err != nil {
		if !o.sealed && errors.Is(err, os.ErrDeadlineExceeded) {
			o.conn.engine.slow.Add(1)
		}
		err = fmt.Errorf("%w: %w", ErrWrite, err)
		if o.err == nil && o.isGone() {
			o.loseLocked(err)
		} else {
			o.failLocked(err)
		}
	} else if o.sealed && o.isEmptyLocked() && o.answer == nil {
		o.answer = time.AfterFunc(o.conn.config.CloseTimeout, func() { o.fail(ErrClosed) })
	}
	o.wakeLocked()
}

// loseLocked ends all sending to a peer that has left, and leaves the rest to the reader.
func (o *outbox) loseLocked(err error) {
	o.err, o.sealed = err, true
	o.conn.left()
	o.endLocked()
	o.answer = time.AfterFunc(o.conn.config.CloseTimeout, func() { o.fail(ErrClosed) }) // what is unread takes no time
}

func (o *outbox) failLocked(err error) {
	if !o.dead {
		o.dead, o.sealed = true, true
		if o.err == nil {
			o.err = err
		}
		o.conn.broken(o.err)
	}
	o.endLocked()
}

// endLocked gives up what waits.
func (o *outbox) endLocked() {
	o.reportLocked()
	o.discardLocked()
	if o.uncork != nil {
		o.uncork.Stop()
	}
	if o.answer != nil {
		o.answer.Stop()
	}
	o.wakeLocked()
}

// discardLocked discards what waits.
func (o *outbox) discardLocked() {
	if o.queue != nil {
		o.queue.give()
	}
	o.queue, o.shared = nil, nil
}

func (o *outbox) wakeLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// waitLocked waits for the end of a write, for ctx, or for late.
func (o *outbox) waitLocked(ctx context.Context, late <-chan time.Time) error {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	room := o.room
	var over <-chan struct{}
	if ctx != nil {
		over = ctx.Done()
	}
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-room:
	case <-late:
	case <-over:
		return context.Cause(ctx)
	}
	return nil
}
