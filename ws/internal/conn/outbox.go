package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"echows/ws/internal/wire"
)

// ErrClosed is what sending returns once a close has begun. It is net.ErrClosed, so that errors.Is knows it
// under either name.
var ErrClosed = fmt.Errorf("ws: socket is closed: %w", net.ErrClosed)

// ErrWrite is what sending returns, with the cause, once a write has failed: the peer has gone, or did not read in time.
var ErrWrite = errors.New("ws: write")

// ErrFull is what sending without waiting returns while too much waits to be sent.
var ErrFull = errors.New("ws: the send buffer is full")

var (
	errSlow        = &wire.CloseError{Code: wire.TryAgainLater, Reason: "the peer reads too slowly"}
	errBusy        = &wire.CloseError{Code: wire.TryAgainLater, Reason: "the server holds too much for slow peers"}
	errAddressBusy = &wire.CloseError{Code: wire.TryAgainLater, Reason: "the server holds too much for slow peers of this address"}
)

const (
	// corkLimit is how many bytes of replies may gather, while more messages of one read are handled.
	corkLimit = 32 << 10
	// corkTime is how long they may, should one of those messages take its time.
	corkTime = time.Millisecond
	// directFrom is the length of a payload, in bytes, that is written from where it is when nothing else
	// waits. For a shorter one a copy costs less than a second slice to write.
	directFrom = 16 << 10
	// writeChunk is how many bytes a peer has WriteTimeout to make room for, and counts as progress.
	writeChunk = 64 << 10
	// stallTime is how long a peer may take for a writeChunk, while a send buffer's worth waits for it, before it
	// counts as one that does not read.
	stallTime = time.Second
	// overload is how many send buffers may wait, besides the write under way, for a peer that does read.
	overload = 4
)

// outbox is the sending half of a connection: one bounded queue of whole frames, filled by any goroutine
// and written by one at a time. It is
//
//	idle       nothing is queued
//	queued     frames wait: for the reader to uncork them, or, if scheduled, for the flusher
//	writing    one goroutine writes what was queued when it began; more may be queued meanwhile
//	sealed     besides one of these: the close frame is in the queue, or was; nothing comes after it
//	broken     nothing can be written any more
//
// Whoever sends writes at once if the outbox is idle, and never more than one batch. The flusher writes what
// others queue meanwhile.
type outbox struct {
	// What a broadcast touches comes first, in one line of the cache.
	mu        sync.Mutex
	writing   bool      // a goroutine writes
	blocked   bool      // and waits for the peer
	scheduled bool      // with the flusher
	corked    bool      // the reader has more messages to handle: let the replies gather
	sealed    bool      // RFC 6455 section 5.5.1
	dead      bool      // the connection is closed
	side      wire.Side // static
	queue     *buffer   // frames that wait; nil when there are none, or just shared
	shared    []byte    // frames that wait, which others have too
	inHand    int       // bytes of the write that is under way
	sent      uint32    // messages that were queued since a write began; see Counters
	sentBytes uint32    // and their bytes

	err      error     // set once: broken; sealed is set, too, and dead, unless the reader still reads how the peer left
	progress int64     // the tick when the peer last took something, or a write began
	deadline time.Time // for everything, once a close has given up on what waited

	room   chan struct{} // closed when a write ends; made by a goroutine that waits for that
	uncork *time.Timer   // ends the corking, when it takes too long
	answer *time.Timer   // ends the wait for the peer's close frame, since ours is written

	transport
	codec *codec // static; nil without permessage-deflate. Its halves are guarded as the connection's are
	conn  *Conn  // whose outbox it is
}

// send queues a frame and writes it, unless somebody writes already or more replies are to come. While too
// much waits, it waits for writes to end, each of which has a deadline, and no longer
// than ctx lives. size is that of a message before it was compressed, or notCounted.
func (o *outbox) send(ctx context.Context, first byte, payload []byte, size int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.roomLocked(ctx, o.conn.config.SendBuffer); err != nil {
		return err
	}
	if ctx == nil && len(payload) >= directFrom && o.isIdleLocked() && !o.corked && o.conn.sendsAsIs() {
		o.countLocked(1, size)
		return o.sendDirectLocked(first, payload)
	}
	wasEmpty := o.isEmptyLocked()
	if why := o.appendLocked(first, payload); why != nil {
		return o.refuseLocked(why)
	}
	if size != notCounted {
		o.countLocked(1, size)
	}
	return o.queuedLocked(ctx, wasEmpty)
}

// notCounted is the size of a control frame, which is no message.
const notCounted = -1

// sendShared is send with frames that are encoded already.
func (o *outbox) sendShared(ctx context.Context, p *Prepared) error {
	frames := p.frames(o.conn)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.roomLocked(ctx, o.conn.config.SendBuffer); err != nil {
		return err
	}
	wasEmpty := o.isEmptyLocked()
	if why := o.appendSharedLocked(frames); why != nil {
		return o.refuseLocked(why)
	}
	o.countLocked(len(p.messages), p.size)
	return o.queuedLocked(ctx, wasEmpty)
}

// trySend queues frames if there is room, and has them written soon. It never waits.
func (o *outbox) trySend(p *Prepared) error {
	frames := p.frames(o.conn)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch err := o.openLocked(); {
	case err != nil:
		return err
	case o.waitingLocked() >= o.conn.config.SendBuffer:
		return ErrFull
	case o.appendSharedLocked(frames) != nil:
		return ErrFull
	}
	o.countLocked(len(p.messages), p.size)
	o.scheduleLocked()
	return nil
}

// offer is trySend that takes more from those who read; the error is why to close the connection.
func (o *outbox) offer(p *Prepared) *wire.CloseError {
	frames := p.frames(o.conn)
	o.mu.Lock()
	why := o.offerLocked(p, frames)
	o.mu.Unlock() // by hand: this runs once for each member of each broadcast
	return why
}

func (o *outbox) offerLocked(p *Prepared, frames []byte) *wire.CloseError {
	if o.sealed {
		return nil
	}
	if o.waitingLocked() >= o.conn.config.SendBuffer && o.isStalledLocked() {
		return errSlow
	}
	if why := o.appendSharedLocked(frames); why != nil {
		return why
	}
	o.countLocked(len(p.messages), p.size)
	o.scheduleLocked()
	return nil
}

// control queues a control frame of our own accord, unless SendBuffer bytes wait: then the frame would come too
// late to be of use.
func (o *outbox) control(op wire.Opcode, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.openLocked() != nil || o.waitingLocked() >= o.conn.config.SendBuffer || o.appendLocked(byte(op)|wire.Fin, payload) != nil {
		return
	}
	o.scheduleLocked()
}

// seal queues the close frame as the last one, has it written soon, and reports true, unless a close has
// begun already. With discard the frames that wait are given up, and the peer gets CloseTimeout for the rest of
// the one under way.
func (o *outbox) seal(why *wire.CloseError, discard bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.openLocked() != nil {
		return false
	}
	if discard {
		o.discardLocked()
		o.deadline = time.Now().Add(o.conn.config.CloseTimeout)
		if o.writing {
			o.SetWriteDeadline(o.deadline)
		}
	}
	var payload [wire.MaxControl]byte
	o.appendLocked(byte(wire.Close)|wire.Fin, wire.AppendClose(payload[:0], why.Code, why.Reason))
	o.sealed = true
	o.conn.setEnd(why) // under mu, as is the flusher's notice: once it is free, the connection may end
	o.scheduleLocked()
	return true
}

// cork lets replies gather, which leave within corkTime, or ends that: the next one, or flush, takes them
// along.
func (o *outbox) cork(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = on
}

// fail ends all sending: what waits is given up, and the write under way is cut short.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failLocked(err)
}

// isOpen reports whether frames can still be queued.
func (o *outbox) isOpen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.openLocked() == nil
}

// waiting is how many bytes wait to be sent.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waitingLocked()
}

// waitForRoom returns when fewer than most bytes wait, the peer has stopped reading, or nothing can be sent.
func (o *outbox) waitForRoom(ctx context.Context, most int) error {
	most = max(most, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.openLocked() == nil && o.waitingLocked() >= most && !o.isStalledLocked() {
		look := time.NewTimer(stallTime / 4)
		err := o.waitLocked(ctx, look.C)
		look.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// waitToSend returns when send would not wait, or why nothing can be sent.
func (o *outbox) waitToSend(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.roomLocked(ctx, o.conn.config.SendBuffer)
}

// The rest is called with mu held.

func (o *outbox) openLocked() error {
	switch {
	case o.err != nil:
		return o.err
	case o.sealed:
		return ErrClosed
	}
	return nil // it is idle, queued, or writing
}

func (o *outbox) isEmptyLocked() bool { return o.queue == nil && o.shared == nil }
func (o *outbox) isIdleLocked() bool  { return o.isEmptyLocked() && !o.writing }

func (o *outbox) waitingLocked() int {
	n := o.inHand + len(o.shared)
	if o.queue != nil {
		n += len(o.queue.p)
	}
	return n
}

// isStalledLocked reports whether the peer, for which something waits, does not read.
func (o *outbox) isStalledLocked() bool {
	e := o.conn.engine
	return o.writing && e.clock.Load()-o.progress > e.ticks(stallTime) ||
		o.waitingLocked()-o.inHand >= overload*o.conn.config.SendBuffer
}

// roomLocked waits until fewer than most bytes wait, or nothing can be sent any more.
func (o *outbox) roomLocked(ctx context.Context, most int) error {
	for o.waitingLocked() >= most && o.openLocked() == nil {
		switch {
		case o.writing || o.scheduled:
			if err := o.waitLocked(ctx, nil); err != nil {
				return err
			}
		default:
			o.writeLocked(ctx == nil)
		}
	}
	return o.openLocked()
}

// refuseLocked closes the connection, since there is no room for what it wants to hold.
func (o *outbox) refuseLocked(why *wire.CloseError) error {
	o.mu.Unlock()
	o.seal(why, true)
	o.mu.Lock()
	return o.openLocked()
}

// appendLocked queues a frame. The error is how to close the connection if there is no room for it; a control frame is
// queued all the same.
func (o *outbox) appendLocked(first byte, payload []byte) *wire.CloseError {
	if why := o.growLocked(wire.MaxHeader+len(payload), wire.Opcode(first&0xf).IsControl()); why != nil {
		return why
	}
	b := o.queue
	if x := o.codec; x != nil && x.keepsSent(o.side) && !wire.Opcode(first&0xf).IsControl() {
		deflated := o.conn.takeBuffer()
		defer deflated.give()
		if x.deflateInContext(deflated, payload, o.side) {
			first, payload = first|wire.RSV1, deflated.p
		}
	}
	if o.side == wire.Server {
		b.p = append(wire.AppendHeader(b.p, first, len(payload)), payload...)
		return nil
	}
	key := maskingKey()
	b.p = append(wire.AppendMaskedHeader(b.p, first, len(payload), key), payload...)
	wire.Mask(key, b.p[len(b.p)-len(payload):])
	return nil
}

// appendSharedLocked queues frames without copying them, as long as they are alone, or follow one another in
// memory. For a peer that does not read, small ones are copied, so that it does not keep a log's chunk.
func (o *outbox) appendSharedLocked(frames []byte) *wire.CloseError {
	if x := o.codec; x != nil {
		x.sent = x.sent[:0] // what the next message may refer to begins after these
	}
	if o.queue == nil && (!o.blocked || len(frames) > logFrame) {
		if o.shared == nil {
			o.shared = frames
			return nil
		}
		if follows(o.shared, frames) {
			o.shared = o.shared[:len(o.shared)+len(frames)]
			return nil
		}
	}
	if why := o.growLocked(len(frames), false); why != nil {
		return why
	}
	o.queue.p = append(o.queue.p, frames...)
	return nil
}

// growLocked makes room for n bytes in queue, behind what is shared. Where there is none, the error is how to close the
// connection, and queue stays as it is; a control frame gets its room all the same.
func (o *outbox) growLocked(n int, control bool) *wire.CloseError {
	if o.queue == nil {
		o.queue = o.conn.takeBuffer()
	}
	why := o.queue.grow(n+len(o.shared), maxInt)
	if why != nil && !control {
		if len(o.queue.p) == 0 {
			o.queue.give()
			o.queue = nil
		}
		return why
	}
	if o.shared != nil {
		o.queue.p = append(o.queue.p, o.shared...)
		o.shared = nil
	}
	return nil
}

const maxInt = int(^uint(0) >> 1)

// queuedLocked has what was queued written: at once, unless somebody writes already or more replies are to
// come.
func (o *outbox) queuedLocked(ctx context.Context, wasEmpty bool) error {
	switch {
	case o.writing || o.scheduled:
	case !o.corked || o.waitingLocked() >= corkLimit:
		o.writeLocked(ctx == nil)
	case wasEmpty:
		o.armLocked()
	}
	return o.err
}

func (o *outbox) scheduleLocked() {
	if !o.writing && !o.scheduled {
		o.scheduled = true
		o.conn.engine.flusher.add(o)
	}
}

func (o *outbox) armLocked() {
	if o.uncork == nil {
		o.uncork = time.AfterFunc(corkTime, o.turnLate)
	} else {
		o.uncork.Reset(corkTime)
	}
}

// turnLate is turn when corkTime is over.
func (o *outbox) turnLate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.isEmptyLocked() && o.err == nil {
		o.scheduleLocked()
	}
}
