package socketio

import (
	"testing"
	"unsafe"
)

// There may be a hundred thousand idle clients, so a larger size class for a Socket must be worth its memory.
func TestTheSizeOfASocket(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > 192 {
		t.Errorf("a socket takes %d bytes", size)
	}
	if size := unsafe.Sizeof(conn{}); size > 96 {
		t.Errorf("a connection takes %d bytes", size)
	}
}
