package conn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"echows/ws/internal/wire"
)

// Config is what many connections have in common. All fields but NoPing and Counters have to be set.
type Config struct {
	MaxMessage     int           // bytes of one message over all its fragments, inflated
	SendBuffer     int           // bytes that may wait to be sent before a sender waits
	PingInterval   time.Duration // between two pings; two without a sign of life end the connection
	NoPing         bool          // no pings, and silence ends nothing
	WriteTimeout   time.Duration // of one write
	CloseTimeout   time.Duration // for the peer's answer to a close frame
	MessageTimeout time.Duration // for a message to arrive, from its first byte
	Counters       *Counters     // count the messages; may be nil
}

// Handler is called back, by one goroutine at a time. A CloseError closes the connection; nil goes on.
type Handler interface {
	// Address says which address's part of the Engine's Buffers the connection uses. It may be called at any time, by any
	// goroutine.
	Address() string
	// Message runs for each message. data is valid until it returns.
	Message(op wire.Opcode, data []byte) *wire.CloseError
	// Pong runs for each pong.
	Pong(data []byte) *wire.CloseError
	// Closed runs once, when the connection has ended: with the code and reason of whoever closed first.
	Closed(code wire.CloseCode, reason string)
	// Freed runs last, when nothing is left of the connection: at most lingerTime later.
	Freed()
}

// Conn is one connection. Its exported methods may be called from any goroutine after Engine.Open.
//
// It has a reading and a sending half, each with few states:
//
//	reading                                    sending (outbox)
//
//	  awake ◄────────┐                           idle ──────► queued ──────► writing
//	    │ idle       │ bytes, or the end          ▲            ▲   │           │
//	    ▼            │                            └────────────┴───┴───────────┘
//	  asked ──────► parked                        │ Close: the close frame is the last one
//	    │                                         ▼
//	    ▼ the peer's close, a broken rule,      sealed
//	  done   the end of the transport             │ the peer answered, or time is over
//	                                              ▼
//	                                            broken: nothing can be written
//
// A goroutine reads while the connection is awake. A parked one has none; see park.go.
//
// The ways a connection ends:
//
//	who calls                          what the peer sees              what Closed gets
//	---------------------------------  ------------------------------  --------------------------------
//	Close, or an error of a callback   what was sent before, then      the code, or the peer's, if its
//	                                   a close frame with the code     close frame came first
//	a callback that fails with 1011,                                   as if it had not failed: the
//	and whose peer has left meanwhile                                  peer's code, or 1006
//	the peer, with a close frame       a close frame with its code     its code; 1005 if it has none
//	the reader, over a broken rule     a close frame: 1002, 1007,      that code
//	                                   1009; 1008 for a message that
//	                                   takes too long; 1013 past the
//	                                   Engine's budget
//	Offer, to a peer that does not     the write in progress, 1013     1013
//	read
//	a write that fails, since the                                      the peer's code, or 1006
//	peer has left
//	a write that takes too long        the end of the transport        1006
//	the sweep, over a silent peer      the end of the transport        1006
//	the peer, without a close frame                                    1006
//	Drop                               the end of the transport        the code given
type Conn struct {
	out outbox // guards itself; first, for its cache line

	// Static once open.
	engine     *Engine
	config     *Config
	handler    Handler
	slot       int32 // in the Engine's slots …
	generation int32 // … and which of those that have had it

	// Owned by the reading goroutine; handed on with phase.
	in         reader
	readable   func(fd uintptr) bool // tryRead
	registered bool                  // with the lot
	deaf       bool                  // a callback failed when the peer had left: what it still sent is read only to learn how it left

	leaves bool // owned by the sweep: the connection need not be watched any more

	phase atomic.Int32
	seen  atomic.Int64 // the tick when the reader began to wait for bytes, or awake
	begun atomic.Int64 // the tick when a message began that has not arrived as a whole; 0 for none

	// Guarded by the Engine.
	nextPing  int64 // tick
	place     int32 // in its bucket of the wheel
	isWatched bool

	gone bool // the connection is useless by now; guarded by mu

	mu      sync.Mutex // guards gone and the rest; taken after the outbox's, never before
	end     *wire.CloseError
	context *connContext // made for whom asks
}

// connContext ends with its connection.
type connContext struct {
	context.Context
	cancel context.CancelFunc
}

// The phases of the reading half.
const (
	phaseAwake  int32 = iota // a goroutine reads, or runs a callback
	phaseAsked               // the same; the sweep asked it to park
	phaseParked              // no goroutine; whoever sets it to awake again starts one
	phaseDone                // reading has ended
)

// awake, as Conn.seen, says that the reader is not waiting for its peer, whose silence then does not
// count.
const awake = int64(1) << 62

// Handler returns the Handler given to Open.
func (c *Conn) Handler() Handler { return c.handler }

// IsParked reports whether the connection waits without a goroutine.
func (c *Conn) IsParked() bool { return c.phase.Load() == phaseParked }

// NetConn returns the underlying connection.
func (c *Conn) NetConn() net.Conn { return c.out.Conn }

// IsCompressed reports whether permessage-deflate was agreed on.
func (c *Conn) IsCompressed() bool { return c.out.codec != nil }

// Context returns a context that is cancelled when the connection is useless: it has ended, or the peer has
// gone, which is noticed within two seconds even while a callback runs.
func (c *Conn) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.context == nil {
		ctx, cancel := context.WithCancel(context.Background())
		c.context = &connContext{ctx, cancel}
		if c.gone {
			cancel()
		}
	}
	return c.context.Context
}

// IsGone reports whether the connection is useless, as Context does.
func (c *Conn) IsGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// setGone ends the context.
func (c *Conn) setGone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.context != nil {
		c.context.cancel()
	}
}

// setEnd keeps the first reason given.
func (c *Conn) setEnd(why *wire.CloseError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = why
	}
}
