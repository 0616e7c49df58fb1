package socketio

import (
	"sync/atomic"
	"time"
)

// Limits are what one client can make the server keep or do, beside what the App and the engine bound:
// connections of an address, bytes of a message, bytes that wait. A field that is 0 has its default.
type Limits struct {
	// Namespaces is how many namespaces one connection may be in; 64 by default. More are refused.
	Namespaces int
	// Connects is how many CONNECTs of one connection are taken a second, in bursts of Namespaces; 5 by
	// default. More are refused.
	Connects float64
	// Auth is how many bytes CONNECT may carry; 16 KiB by default. More are refused.
	Auth int
	// Arguments is how many arguments an event or an acknowledgement may have; 256 by default. More end the
	// connection, as does what is past one of the next two.
	Arguments int
	// Attachments is how many binary values one packet may have, either way; 10 by default, and at most 255.
	Attachments int
	// AttachmentBytes is how many bytes they may have together; 4 MiB by default.
	AttachmentBytes int
	// PartialBytes is how many bytes of attachments may wait, over all connections, for the rest of their packets;
	// 64 MiB by default. One address, as ws.AddressOf tells it, may have a quarter; 16 KiB of a packet do not count. Past
	// that, the connection that brings more is ended.
	PartialBytes int64
	// Rooms is how many rooms one socket may be in, besides its own; 1000 by default. Then Join fails.
	Rooms int
	// Acks is how many acknowledgements one client may owe; 1000 by default. Then EmitWithAck fails.
	Acks int
}

func (l *Limits) setDefaults() {
	setDefault(&l.Namespaces, 64)
	setDefault(&l.Connects, 5)
	setDefault(&l.Auth, 16<<10)
	setDefault(&l.Arguments, 256)
	setDefault(&l.Attachments, 10)
	l.Attachments = min(l.Attachments, 255)
	setDefault(&l.AttachmentBytes, 4<<20)
	setDefault(&l.PartialBytes, 64<<20)
	setDefault(&l.Rooms, 1000)
	setDefault(&l.Acks, 1000)
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

// limit is one of the Limits, of which is counted how often it refuses something.
type limit int

const (
	limitNamespaces limit = iota
	limitConnects
	limitAuth
	limitArguments
	limitAttachments
	limitAttachmentBytes
	limitPartialBytes
	limitRooms
	limitAcks
	limitCount
)

// limitNames are how the metrics call them.
var limitNames = [limitCount]string{
	"namespaces", "connects", "auth", "arguments", "attachments", "attachment_bytes", "partial_bytes", "rooms", "acks",
}

// limitError ends the connection of a client that goes past a limit.
type limitError struct {
	limit limit
	text  string
}

func (e *limitError) Error() string { return e.text }

// partialTime is how long a packet's attachments may take to arrive.
const partialTime = 30 * time.Second

// partialFree is how many bytes of a packet that waits are not counted.
const partialFree = 16 << 10

// budget counts what is kept, in bytes, for all who share it.
type budget struct {
	used atomic.Int64
	most int64
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// over reports whether more is counted than so many times what there is room for.
func (b *budget) over(times float64) bool { return float64(b.used.Load()) > times*float64(b.most) }
