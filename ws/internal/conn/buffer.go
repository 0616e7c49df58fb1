package conn

import (
	"sync"

	"echows/internal/share"
	"echows/ws/internal/wire"
)

// buffer holds bytes of a message that is being received, or outgoing frames. Beyond bufferFree it is
// charged to the Engine's Buffers, under its connection's address.
type buffer struct {
	p       []byte
	conn    *Conn // its user; nil in the pool
	charged int   // bytes
}

const (
	bufferSize = 4 << 10   // bytes, to begin with
	bufferFree = 16 << 10  // not charged up to this
	bufferKeep = 128 << 10 // larger ones are left to the garbage collector
)

var buffers = sync.Pool{New: func() any { return &buffer{p: make([]byte, 0, bufferSize)} }}

// takeBuffer returns an empty buffer.
func (c *Conn) takeBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.conn = c
	if n := cap(b.p); n > bufferFree && !b.chargeIfFits(n) {
		b.p = make([]byte, 0, bufferSize) // there is no room for the large one, which is garbage
	}
	return b
}

// give ends the use of b.
func (b *buffer) give() {
	b.uncharge()
	b.conn = nil
	if n := cap(b.p); n >= bufferSize && n <= bufferKeep {
		b.p = b.p[:0]
		buffers.Put(b)
	}
}

// grow makes room for n more bytes in b, which grows to at most most bytes. The error is how to close the connection
// if there is no room.
func (b *buffer) grow(n, most int) *wire.CloseError {
	need := len(b.p) + n
	if need <= cap(b.p) {
		return nil
	}
	size := max(need, min(2*cap(b.p), most), bufferSize)
	if size > bufferFree {
		if why := b.charge(size); why != nil {
			return why
		}
	}
	b.p = append(make([]byte, 0, size), b.p...)
	return nil
}

// shrink moves b's bytes to a slice of their size, if b is much larger.
func (b *buffer) shrink() {
	if cap(b.p) < 4*len(b.p)+64 {
		return
	}
	small := append(make([]byte, 0, len(b.p)), b.p...)
	if n := cap(small); n > bufferFree {
		b.recharge(min(n, b.charged))
	} else {
		b.uncharge()
	}
	if n := cap(b.p); n >= bufferSize && n <= bufferKeep {
		buffers.Put(&buffer{p: b.p[:0]})
	}
	b.p = small
}

// charge raises b's charge to size bytes. The error says where there is no room.
func (b *buffer) charge(size int) *wire.CloseError {
	budget, more := b.conn.engine.Buffers, size-b.charged
	if budget == nil || more <= 0 {
		return nil
	}
	switch budget.Try(b.conn.handler.Address(), more) {
	case share.All:
		return errBusy
	case share.Address:
		return errAddressBusy
	}
	b.charged = size
	return nil
}

// chargeIfFits is like charge, for memory that is not essential: no room does not count as a refusal.
func (b *buffer) chargeIfFits(size int) bool {
	budget := b.conn.engine.Buffers
	return budget == nil || budget.Ask(b.conn.handler.Address(), size) == share.None && b.charge(size) == nil
}

func (b *buffer) uncharge() { b.recharge(0) }

// recharge lowers b's charge.
func (b *buffer) recharge(size int) {
	if b.charged > size {
		b.conn.engine.Buffers.Add(b.conn.handler.Address(), size-b.charged)
		b.charged = size
	}
}

// Overflow says where there was no room, if that is why the connection was closed.
func (c *Conn) Overflow() share.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.end {
	case errBusy:
		return share.All
	case errAddressBusy:
		return share.Address
	}
	return share.None
}
