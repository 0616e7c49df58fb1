package ws

import (
	"testing"
	"unsafe"
)

// An idle connection is little more than its Socket. The allocator adds 8 bytes to one, and its next size after 640
// bytes is 704, which ten thousand connections would notice. What has to be added has to fit into what padding is left.
func TestTheSizeOfASocket(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}) + 8; unsafe.Sizeof(uintptr(0)) == 8 && size > 640 {
		t.Errorf("a Socket takes %d bytes", size)
	}
}
