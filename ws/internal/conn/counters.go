package conn

import (
	"math"
	"sync/atomic"
)

// Counters count the messages of many connections, such as those of one route. The zero value is ready for use.
//
// A connection does not touch them for each message: it adds the messages of each read and of each write.
type Counters struct{ parts [16]counts }

// counts is a part of Counters, in a cache line of its own: connections on different processors seldom share one.
type counts struct {
	received, receivedBytes, sent, sentBytes atomic.Uint64
	_                                        [32]byte
}

// Traffic is what Counters counted. Bytes are those of the messages themselves: without headers, and inflated.
type Traffic struct {
	Received, ReceivedBytes uint64 // messages passed to the Handler
	Sent, SentBytes         uint64 // messages queued or written
}

// Traffic returns the sum over all connections.
func (n *Counters) Traffic() (t Traffic) {
	for i := range n.parts {
		p := &n.parts[i]
		t.Received += p.received.Load()
		t.ReceivedBytes += p.receivedBytes.Load()
		t.Sent += p.sent.Load()
		t.SentBytes += p.sentBytes.Load()
	}
	return t
}

// counts returns the part that c counts in, or nil.
func (c *Conn) counts() *counts {
	n := c.config.Counters
	if n == nil {
		return nil
	}
	return &n.parts[int(c.slot)%len(n.parts)]
}

// countReceived counts a message. While there is more in the same read, only the chunk counts it.
func (c *Conn) countReceived(bytes int, more bool) {
	ch := c.in.chunk
	if ch == nil {
		ch = new(chunk) // stays on the stack
	}
	ch.messages++
	ch.payload += bytes
	if !more {
		c.reportReceived(ch)
	}
}

// reportReceived adds what the chunk counted.
func (c *Conn) reportReceived(ch *chunk) {
	if ch.messages == 0 {
		return
	}
	if n := c.counts(); n != nil {
		n.received.Add(uint64(ch.messages))
		n.receivedBytes.Add(uint64(ch.payload))
	}
	ch.messages, ch.payload = 0, 0
}

// countLocked counts messages that were queued. They are added when a write begins.
func (o *outbox) countLocked(messages, bytes int) {
	if uint64(bytes) > math.MaxUint32-uint64(o.sentBytes) {
		o.reportLocked()
		if n := o.conn.counts(); n != nil {
			n.sentBytes.Add(uint64(bytes))
		}
		bytes = 0
	}
	o.sent += uint32(messages)
	o.sentBytes += uint32(bytes)
}

// reportLocked adds what was queued since its last call.
func (o *outbox) reportLocked() {
	if o.sent == 0 {
		return
	}
	if n := o.conn.counts(); n != nil {
		n.sent.Add(uint64(o.sent))
		n.sentBytes.Add(uint64(o.sentBytes))
	}
	o.sent, o.sentBytes = 0, 0
}
