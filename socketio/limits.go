package socketio

import (
	"sync/atomic"
	"time"
)

// Limits bound what one client can make the server keep or do. The App and the engine have more limits: connections of an
// address, bytes of a message, bytes that wait. A field that is 0 has its default.
type Limits struct {
	// Namespaces is how many namespaces one connection may be in; 64 by default. Further CONNECTs are refused.
	Namespaces int
	// Connects is how many CONNECTs a second one connection may send, in bursts of Namespaces; 5 by default. Further ones
	// are refused.
	Connects float64
	// Auth is how many bytes of payload a CONNECT may carry; 16 KiB by default. A longer one is refused.
	Auth int
	// Arguments is how many arguments an event or an acknowledgement may have; 256 by default. A client that goes past
	// this limit, or past one of the next two, loses its connection.
	Arguments int
	// Attachments is how many binary values one packet may have, in either direction; 10 by default, and at most 255.
	Attachments int
	// AttachmentBytes is how many bytes the attachments of one packet may have together; 4 MiB by default.
	AttachmentBytes int
	// PartialBytes is how many bytes of attachments, of all connections together, may wait for the rest of their packets;
	// 64 MiB by default. One address (see ws.AddressOf) may have a quarter. The first 16 KiB of a packet do not count. A
	// connection that sends more is ended.
	PartialBytes int64
	// Rooms is how many rooms one socket may be in, besides its own; 1000 by default. Past that, Join fails.
	Rooms int
	// Acks is how many acknowledgements one client may owe; 1000 by default. Past that, EmitWithAck fails.
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

// limit names one of the Limits, to count how often it was reached.
type limit int

const (
	limitNamespaces limit = iota
	limitConnects
	limitAuth
	limitArguments
	limitAttachments
	limitAttachmentBytes
	limitPartialBytes
	limitAddressPartialBytes
	limitRooms
	limitAcks
	limitCount
)

// limitNames are their names in the metrics.
var limitNames = [limitCount]string{
	"namespaces", "connects", "auth", "arguments", "attachments", "attachment_bytes",
	"partial_bytes", "address_partial_bytes", "rooms", "acks",
}

// limitError ends the connection of a client that went past a limit.
type limitError struct {
	limit limit
	text  string
}

func (e *limitError) Error() string { return e.text }

// partialTime is how long a packet's attachments may take to arrive.
const partialTime = 30 * time.Second

// partialFree is how many bytes of a waiting packet are not counted.
const partialFree = 16 << 10

// budget counts bytes that are kept.
type budget struct {
	used atomic.Int64
	most int64
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// over reports whether more bytes are kept than that many times the most.
func (b *budget) over(times float64) bool { return float64(b.used.Load()) > times*float64(b.most) }
