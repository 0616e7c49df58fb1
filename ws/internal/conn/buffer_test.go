package conn

import (
	"bytes"
	"testing"

	"echows/internal/share"
)

// Giving a connection a small buffer because a large one does not fit does not count as a refusal.
func TestTakeBufferWithoutRoom(t *testing.T) {
	c := &Conn{engine: &Engine{Buffers: share.New(4 * bufferKeep)}, handler: &recorder{}}
	c.engine.Buffers.Add(c.handler.Address(), bufferKeep-1)
	for range 100 {
		buffers.Put(&buffer{p: make([]byte, 0, bufferKeep)})
		b := c.takeBuffer()
		if cap(b.p) > bufferFree || b.charged != 0 {
			t.Fatalf("%d bytes, of which %d are charged", cap(b.p), b.charged)
		}
		b.give()
	}
	if all, address := c.engine.Buffers.Refused(); all+address != 0 {
		t.Errorf("%d and %d were refused", all, address)
	}
}

// A buffer that shrinks stays charged, even if other connections have used up the budget in the meantime.
func TestShrinkKeepsItsCharge(t *testing.T) {
	const size, held = 1 << 20, 40 << 10
	c := &Conn{engine: &Engine{Buffers: share.New(4 * size)}, handler: &recorder{}}
	b := c.takeBuffer()
	if why := b.grow(size, size); why != nil {
		t.Fatal(why)
	}
	b.p = append(b.p, bytes.Repeat([]byte("x"), held)...)
	c.engine.Buffers.Add("others", 4*size)
	b.shrink()
	c.engine.Buffers.Add("others", -4*size)
	if used := c.engine.Buffers.Used(); len(b.p) != held || cap(b.p) >= size || used != int64(b.charged) || used < held {
		t.Errorf("%d bytes of %d, of which %d are charged; %d in all", len(b.p), cap(b.p), b.charged, used)
	}
	b.p = b.p[:1]
	b.shrink()
	b.give()
	if used := c.engine.Buffers.Used(); used != 0 {
		t.Errorf("%d bytes are still charged", used)
	}
}
