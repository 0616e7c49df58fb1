package conn

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"echows/internal/share"
	"echows/ws/internal/wire"
)

// Engine is what connections share: a clock, one sweep that keeps them alive, the goroutines that write
// broadcasts, the set that idle connections are parked in, and a budget of memory. Its goroutines run while
// it has connections. Its methods may be called from any goroutine.
type Engine struct {
	// Buffers bounds the bytes of incomplete messages, and of frames that wait to be sent, that all connections
	// together hold, and those of one address. Set it before the first Open; nil means no bound.
	Buffers *share.Budget

	tick    time.Duration
	clock   atomic.Int64 // ticks since the start
	running sync.WaitGroup
	flusher flusher
	slow    atomic.Uint64 // connections closed because their peers did not read
	silent  atomic.Uint64 // connections dropped because their peers sent nothing

	stepping sync.Mutex // held by a step of the sweep; taken before mu

	mu      sync.Mutex // guards the rest
	slots   []*Conn    // every connection, at Conn.slot; nil where free
	free    []int32    // free slots
	opened  int32      // connections so far: the generation of the next
	count   int
	wheel   [wheelSize][]*Conn // every connection, by the tick of its next ping; see sweep.go
	watched []*Conn            // those that the sweep checks on each tick
	stop    chan struct{}      // ends the sweep
	lot     *lot               // where connections park; nil while none has
	noLot   bool               // the system has none for us
}

// NewEngine makes an Engine for connections with ping intervals no shorter than interval.
func NewEngine(interval time.Duration) *Engine {
	e := &Engine{tick: min(max(interval/32, 10*time.Millisecond), 250*time.Millisecond)}
	e.flusher = flusher{spawn: e.running.Go, most: (runtime.GOMAXPROCS(0) + 1) / 2}
	return e
}

// ticks returns how many ticks d is, at least one.
func (e *Engine) ticks(d time.Duration) int64 { return max(int64(d/e.tick), 1) }

// Hold makes Wait wait until Release is called. It is called when a connection is about to be opened.
func (e *Engine) Hold() { e.running.Add(1) }

// Release undoes Hold.
func (e *Engine) Release() { e.running.Done() }

// Wait waits for the end of every connection and of the Engine's goroutines.
func (e *Engine) Wait() { e.running.Wait() }

// Slow returns how many connections were closed because their peers did not read: with 1013, or after
// WriteTimeout without a close frame.
func (e *Engine) Slow() uint64 { return e.slow.Load() }

// Silent returns how many connections were dropped because their peers sent nothing, not even pongs.
func (e *Engine) Silent() uint64 { return e.silent.Load() }

// Open makes c, which must be zero but for HoldFrames, a connection over nc, whose first bytes may already have been read into
// early. Nothing is read, and no callback runs, before Serve; frames can be sent immediately, unless HoldFrames was called.
func (e *Engine) Open(c *Conn, nc net.Conn, early []byte, side wire.Side, deflate *wire.Deflate, cfg *Config, h Handler) {
	c.engine, c.config, c.handler = e, cfg, h
	c.out.side = side
	if deflate != nil {
		c.out.codec = &codec{agreed: *deflate}
	}
	c.out.transport = newTransport(nc)
	c.out.conn = c
	c.readable = c.tryRead
	if len(early) > 0 {
		c.in.chunk = &chunk{buf: append(make([]byte, 0, len(early)+inflateTail), early...), end: len(early)}
	}
	c.out.progress = e.clock.Load()
	c.seen.Store(awake)
	c.in.brief = true
	e.running.Add(1) // until finish
	e.add(c)
}

// HoldFrames makes the frames of c wait until Answer returns. It is called before Open, and then Answer before Serve.
func (c *Conn) HoldFrames() { c.out.writing = true }

// Answer writes a server's answer to the opening handshake, which the peer must get before any frame. It has WriteTimeout.
// An error says why the write failed; the connection is then broken, and Serve ends it.
func (c *Conn) Answer(p []byte) error { return c.out.answerHandshake(p) }

// Serve starts the goroutine that runs start, and then reads.
func (c *Conn) Serve(start func() *wire.CloseError) {
	go c.live(start) // counted in running by Open
}

func (e *Engine) add(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.count++; e.count == 1 {
		e.stop = make(chan struct{})
		stop := e.stop
		e.running.Go(func() { e.sweep(stop) })
	}
	e.opened++
	c.generation = e.opened
	if n := len(e.free); n > 0 {
		c.slot, e.free = e.free[n-1], e.free[:n-1]
		e.slots[c.slot] = c
	} else {
		c.slot = int32(len(e.slots))
		e.slots = append(e.slots, c)
	}
	e.scheduleLocked(c, e.firstPing(c))
	e.watchLocked(c)
}

func (e *Engine) remove(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unscheduleLocked(c)
	e.slots[c.slot] = nil
	e.free = append(e.free, c.slot)
	if e.count--; e.count > 0 {
		return
	}
	close(e.stop)
	e.slots, e.free, e.watched = nil, nil, nil
	if e.lot != nil {
		e.lot.close()
		e.lot = nil
	}
}
