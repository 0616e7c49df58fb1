package socketio

import (
	"sync/atomic"
	"time"
)

// Limits bound the memory and work that one client can cost the server. The App and the engine have more limits, on
// connections per address, bytes per message and queued bytes. A field that is 0 means its default.
type Limits struct {
	// Namespaces is how many namespaces one connection may be in; 64 by default. Further CONNECTs are refused.
	Namespaces int
	// Connects is how many CONNECTs per second one connection may send, in bursts of Namespaces; 5 by default. Further
	// CONNECTs are refused.
	Connects float64
	// Auth is the maximum size of the payload of a CONNECT, in bytes; 16 KiB by default. A CONNECT with a longer payload is
	// refused.
	Auth int
	// Arguments is how many arguments an event or an acknowledgement may have; 256 by default. A client that exceeds this
	// limit, or one of the next two, is disconnected.
	Arguments int
	// Attachments is how many binary values one packet may have, in either direction; 10 by default, and at most 255.
	Attachments int
	// AttachmentBytes is the maximum total size of the attachments of one packet, in bytes; 4 MiB by default, or
	// the engine's MaxPayload if that is more.
	AttachmentBytes int
	// PartialBytes is how many bytes of incomplete packets, which wait for attachments, the server holds for all
	// connections together; 64 MiB by default, or 8 times AttachmentBytes if that is more. One address (see ws.AddressOf) may
	// use a quarter. The first 16 KiB of each packet do not count. A client that exceeds the limit is disconnected.
	PartialBytes int64
	// Rooms is how many rooms one socket may be in, besides its own; 1000 by default. Beyond that, Join fails.
	Rooms int
	// Acks is how many acknowledgements one socket's client may owe; 1000 by default. Beyond that, Socket.EmitWithAck fails,
	// and Emitter.EmitWithAck skips the socket and counts its answer as missing.
	Acks int
	// AckBytes is how many bytes the acknowledgements of one Emitter.EmitWithAck may have, in total on each node; 8 MiB by
	// default. Further ones count as missing.
	AckBytes int
}

func (l *Limits) setDefaults(maxPayload int) {
	setDefault(&l.Namespaces, 64)
	setDefault(&l.Connects, 5)
	setDefault(&l.Auth, 16<<10)
	setDefault(&l.Arguments, 256)
	setDefault(&l.Attachments, 10)
	l.Attachments = min(l.Attachments, 255)
	setDefault(&l.AttachmentBytes, max(4<<20, maxPayload))
	setDefault(&l.PartialBytes, max(64<<20, 8*int64(l.AttachmentBytes)))
	setDefault(&l.Rooms, 1000)
	setDefault(&l.Acks, 1000)
	setDefault(&l.AckBytes, 8<<20)
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

// limit identifies one of the Limits, or another bound, to count how often it was reached.
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
	limitAckBytes
	limitNamespaceName // maxNamespace
	limitConnectTime   // Config.ConnectTimeout
	limitPartialTime   // partialTime
	limitCount
)

// limitNames are the names of the limits in the metrics.
var limitNames = [limitCount]string{
	"namespaces", "connects", "auth", "arguments", "attachments", "attachment_bytes",
	"partial_bytes", "address_partial_bytes", "rooms", "acks", "ack_bytes",
	"namespace_name", "connect_time", "partial_time",
}

// limitError is the error that ends the connection of a client that exceeded a limit.
type limitError struct {
	limit limit
	text  string
}

func (e *limitError) Error() string { return e.text }

// partialTime is how long a packet's attachments may take to arrive.
const partialTime = 30 * time.Second

// partialFree is how many bytes of a waiting packet are not counted.
const partialFree = 16 << 10

// budget counts bytes kept for recovery.
type budget struct {
	used atomic.Int64
	most int64
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// over reports whether more than times*most bytes are used.
func (b *budget) over(times float64) bool { return float64(b.used.Load()) > times*float64(b.most) }
