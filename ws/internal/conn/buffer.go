package conn

import "sync"

// buffer holds bytes of a message that is being received, or frames on their way out. Beyond
// bufferFree it is charged to the Engine's budget.
type buffer struct {
	p       []byte
	charged int // bytes
}

const (
	bufferSize = 4 << 10   // bytes, to begin with
	bufferFree = 16 << 10  // not charged up to this
	bufferKeep = 128 << 10 // larger ones are left to the garbage collector
)

var buffers = sync.Pool{New: func() any { return &buffer{p: make([]byte, 0, bufferSize)} }}

// takeBuffer returns an empty buffer.
func (e *Engine) takeBuffer() *buffer {
	b := buffers.Get().(*buffer)
	if n := cap(b.p); n > bufferFree && !e.charge(b, n) {
		return &buffer{p: make([]byte, 0, bufferSize)} // over the budget; the large one is garbage
	}
	return b
}

// giveBuffer takes b back.
func (e *Engine) giveBuffer(b *buffer) {
	e.uncharge(b)
	if n := cap(b.p); n >= bufferSize && n <= bufferKeep {
		b.p = b.p[:0]
		buffers.Put(b)
	}
}

// grow makes room for n more bytes in b, which grows to no more than most. It reports false if the budget
// does not allow that.
func (e *Engine) grow(b *buffer, n, most int) bool {
	need := len(b.p) + n
	if need <= cap(b.p) {
		return true
	}
	size := max(need, min(2*cap(b.p), most), bufferSize)
	if size > bufferFree && !e.charge(b, size) {
		return false
	}
	b.p = append(make([]byte, 0, size), b.p...)
	return true
}

// shrink moves what little b holds to a place of that size, if b is much larger.
func (e *Engine) shrink(b *buffer) {
	if cap(b.p) < 4*len(b.p)+64 {
		return
	}
	small := append(make([]byte, 0, len(b.p)), b.p...)
	e.uncharge(b)
	if n := cap(small); n > bufferFree {
		e.charge(b, n) // of what was given back just now
	}
	if n := cap(b.p); n >= bufferSize && n <= bufferKeep {
		buffers.Put(&buffer{p: b.p[:0]})
	}
	b.p = small
}

// charge makes b's charge size bytes.
func (e *Engine) charge(b *buffer, size int) bool {
	if more := size - b.charged; more > 0 {
		if !e.Buffers.take(more) {
			return false
		}
		b.charged = size
	}
	return true
}

func (e *Engine) uncharge(b *buffer) {
	if b.charged > 0 {
		e.Buffers.give(b.charged)
		b.charged = 0
	}
}
