package ws

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// ErrClosed is what sending on a socket returns once its close has begun. It is net.ErrClosed, so
// that errors.Is knows it under either name.
var ErrClosed = fmt.Errorf("ws: socket is closed: %w", net.ErrClosed)

// errFull says that a frame was not queued, because its sender does not wait.
var errFull = &CloseError{CloseTryAgainLater, "the peer reads too slowly"}

const (
	// corkLimit is how many bytes of replies may gather, while more messages of one read are handled.
	corkLimit = 32 << 10
	// corkTime is how long they may, should one of those messages take its time.
	corkTime = time.Millisecond
)

// outbox is the sending half of a socket: one bounded queue of bytes, filled by any goroutine and
// written by one of them at a time, for all. No goroutine of its own stands by.
type outbox struct {
	transport
	socket *Socket // whose outbox it is

	// What a broadcast touches comes first, in one line of the cache.
	mu      sync.Mutex
	queue   *buffer       // whole frames that wait; nil when there are none
	inHand  int           // bytes of the write that is under way
	limit   int           // Config.Outbox
	err     error         // set once, when nothing can be written any more
	writing bool          // someone writes for all
	corked  bool          // the reader has more messages to handle: let the replies gather
	sealed  bool          // the close frame is in the queue: nothing comes after (RFC 6455 section 5.5.1)
	room    chan struct{} // closed when the write under way ends; made by who waits for that
	uncork  *time.Timer   // ends the corking, when it takes too long
	answer  *time.Timer   // ends the wait for the peer's close frame, since ours is written
}

// send queues a frame and writes it, unless somebody writes already or more replies are to come.
// While the outbox is full it waits: for the write under way, which has a deadline.
func (o *outbox) send(op Opcode, payload []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.roomLocked(len(payload)); err != nil {
		return err
	}
	first := o.queue == nil
	o.appendLocked(op, payload)
	return o.queuedLocked(first)
}

// sendFrame is send with what is encoded already.
func (o *outbox) sendFrame(frame []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.roomLocked(len(frame)); err != nil {
		return err
	}
	first := o.queue == nil
	if first {
		o.queue = takeBuffer()
	}
	o.queue.p = append(o.queue.p, frame...)
	return o.queuedLocked(first)
}

// roomLocked waits until n more bytes fit, or nothing can be sent any more.
func (o *outbox) roomLocked(n int) error {
	for o.full(n) && o.open() == nil {
		if o.writing {
			o.waitLocked()
		} else {
			o.drainLocked(true)
		}
	}
	return o.open()
}

// queuedLocked sees to it that what was queued is written: at once, unless somebody writes already or
// more replies are to come.
func (o *outbox) queuedLocked(first bool) error {
	switch {
	case o.writing: // who writes sees the queue when that write is done
	case !o.corked || len(o.queue.p) >= corkLimit:
		o.drainLocked(true)
	case first:
		o.armLocked()
	}
	return o.err
}

// offer queues an encoded frame if there is room, and has it written soon. It never waits.
func (o *outbox) offer(frame []byte) error {
	o.mu.Lock()
	err := o.offerLocked(frame)
	o.mu.Unlock() // by hand: this runs once for each member of each broadcast
	return err
}

func (o *outbox) offerLocked(frame []byte) error {
	if err := o.open(); err != nil {
		return err
	}
	if o.full(len(frame)) {
		return errFull
	}
	first := o.queue == nil || o.corked
	if o.queue == nil {
		o.queue = takeBuffer()
	}
	o.queue.p = append(o.queue.p, frame...)
	if first && !o.writing {
		o.socket.app.flusher.add(o.socket)
	}
	return nil
}

// seal queues the close frame for why as the last one, unless there is one already, and has it
// written soon. With drop the frames that wait are given up.
func (o *outbox) seal(why *CloseError, drop bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open() != nil {
		return
	}
	if drop && o.queue != nil {
		o.queue.p = o.queue.p[:0]
	}
	if drop && o.writing { // a peer that is given up gets no more than this to finish the frame under way
		o.SetWriteDeadline(time.Now().Add(o.socket.app.config.CloseTimeout))
	}
	o.appendLocked(opClose, closePayload(why.Code, why.Reason))
	o.sealed = true
	o.socket.setEnd(why) // under mu, as is the flusher's notice: once it is free, the socket may end
	if !o.writing {
		o.socket.app.flusher.add(o.socket)
	}
}

// flush writes what is queued, or leaves that to who writes already.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing {
		o.drainLocked(true)
	}
}

// tryFlush is flush without waiting: for a peer that makes it wait it finds another goroutine.
func (o *outbox) tryFlush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing {
		o.drainLocked(false)
	}
}

// settle returns when everything is written, or cannot be any more, and nobody is writing.
func (o *outbox) settle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing || o.queue != nil && o.err == nil {
		if o.writing {
			o.waitLocked()
		} else {
			o.drainLocked(true)
		}
	}
}

// cork lets replies gather, which leave within corkTime, or ends that: the next one, or release,
// writes those that have.
func (o *outbox) cork(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = on
}

// release writes what has gathered.
func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = false
	if o.uncork != nil {
		o.uncork.Stop()
	}
	if !o.writing {
		o.drainLocked(true)
	}
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
	return o.open() == nil
}

// The rest is called with mu held.

func (o *outbox) open() error {
	switch {
	case o.err != nil:
		return o.err
	case o.sealed:
		return ErrClosed
	}
	return nil
}

// full reports whether n more bytes have to wait. A message larger than the limit goes alone.
func (o *outbox) full(n int) bool {
	waiting := o.inHand
	if o.queue != nil {
		waiting += len(o.queue.p)
	}
	return waiting > 0 && waiting+n+maxHeader > o.limit
}

func (o *outbox) appendLocked(op Opcode, payload []byte) {
	if o.queue == nil {
		o.queue = takeBuffer()
	}
	o.queue.p = appendHeader(o.queue.p, op, len(payload))
	o.queue.p = append(o.queue.p, payload...)
}

func (o *outbox) armLocked() {
	if o.uncork == nil {
		o.uncork = time.AfterFunc(corkTime, o.tryFlush)
	} else {
		o.uncork.Reset(corkTime)
	}
}

// drainLocked writes until the queue is empty; mu is free meanwhile. Without wait, a peer that makes
// it wait gets a goroutine of its own, until it has read on or its write's deadline is over.
func (o *outbox) drainLocked(wait bool) {
	for o.queue != nil && o.err == nil {
		buf := o.queue
		o.queue, o.inHand, o.writing = nil, len(buf.p), true
		o.mu.Unlock()
		n, err := o.tryWrite(buf.p)
		if err == errWouldBlock {
			if !wait {
				o.socket.app.running.Go(func() { o.finishWrite(buf, n) })
				o.mu.Lock()
				return
			}
			err = o.waitWrite(buf.p[n:], o.socket.app.config.WriteTimeout)
		}
		o.mu.Lock()
		o.wroteLocked(buf, err)
	}
}

// finishWrite takes over a write of which n bytes are done, and all that is queued meanwhile.
func (o *outbox) finishWrite(buf *buffer, n int) {
	err := o.waitWrite(buf.p[n:], o.socket.app.config.WriteTimeout)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wroteLocked(buf, err)
	o.drainLocked(true)
}

func (o *outbox) wroteLocked(buf *buffer, err error) {
	giveBuffer(buf)
	o.inHand, o.writing = 0, false
	if err != nil {
		o.failLocked(fmt.Errorf("ws: write: %w", err))
	} else if o.sealed && o.queue == nil && o.answer == nil {
		o.answer = time.AfterFunc(o.socket.app.config.CloseTimeout, func() { o.fail(ErrClosed) })
	}
	o.wakeLocked()
}

func (o *outbox) failLocked(err error) {
	if o.err == nil {
		o.err = err
		o.socket.setEnd(&CloseError{CloseAbnormal, err.Error()}) // unless it is known why
		o.drop()                                                 // wakes the reader and the writer
		o.socket.endContext()
	}
	if o.queue != nil {
		giveBuffer(o.queue)
		o.queue = nil
	}
	if o.uncork != nil {
		o.uncork.Stop()
	}
	if o.answer != nil {
		o.answer.Stop()
	}
	o.wakeLocked()
}

func (o *outbox) wakeLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// waitLocked waits for the end of the write under way, which has a deadline.
func (o *outbox) waitLocked() {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	room := o.room
	o.mu.Unlock()
	<-room
	o.mu.Lock()
}

// buffer holds frames on their way out.
type buffer struct{ p []byte }

const (
	bufferSize = 4 << 10   // bytes, to begin with
	bufferKeep = 128 << 10 // larger ones are left to the garbage collector
)

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, bufferSize)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func giveBuffer(b *buffer) {
	if cap(b.p) <= bufferKeep {
		b.p = b.p[:0]
		buffers.Put(b)
	}
}
