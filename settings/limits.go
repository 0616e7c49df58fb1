package settings

import (
	"log/slog"
	"time"
)

// The limits that no setting changes and that no package below decides. docs/limits.md lists all limits of the program,
// including these; a test compares its table with the code.
const (
	// MaxBuffered is how many bytes all WebSockets together may hold of incomplete messages, and of what waits to be
	// sent; or eight times -max-message, if that is more. Garbage comes on top.
	MaxBuffered = 96 << 20
	// MaxPayload is the longest Socket.IO message in bytes; Socket.IO's clients expect to be able to send this much.
	MaxPayload = 1_000_000
	// MaxEvent is the longest entry in the journal in bytes: an event of MaxPayload bytes, and which rooms it is for. NATS servers
	// accept 1 MiB.
	MaxEvent = MaxPayload + 32<<10
	// JournalBytes is what Socket.IO's events may take in each NATS server's memory, for clients that come back.
	JournalBytes = 64 << 20

	// HTTPConns is how many HTTP connections there may be that are not (yet) WebSockets, but no more than a third of the files
	// that the process may open. AddressHTTPConns is how many of them one address may have at least, however few sockets it
	// may have. HTTPLimits applies both.
	HTTPConns        = 10_000
	AddressHTTPConns = 1000
	// InnerHTTPConns is how many HTTP connections there may be to -metrics-addr.
	InnerHTTPConns = 100

	// HeaderBytes is the longest header of a request: a socket keeps it.
	HeaderBytes = 16 << 10
	// HeaderTime is how long a request's header may take to arrive.
	HeaderTime = 10 * time.Second
	// BodyTime is how long a request's body may take to arrive.
	BodyTime = 30 * time.Second
	// AnswerTime is how long a client may take to read an answer, from its first byte. The answer to a poll of Socket.IO
	// continues as long as its client reads.
	AnswerTime = time.Minute
	// IdleTime is how long an HTTP connection without a request stays open.
	IdleTime = 2 * time.Minute

	// Streams is how many requests one HTTP/2 connection may have in progress (SETTINGS_MAX_CONCURRENT_STREAMS); RFC 9113,
	// section 6.5.2, recommends no fewer than 100.
	Streams = 100
	// StreamFrame is the longest HTTP/2 frame that is accepted, in bytes (SETTINGS_MAX_FRAME_SIZE): the smallest allowed.
	StreamFrame = 16 << 10
	// StreamBuffer is how many bytes of one request's body may arrive over HTTP/2 before they are read
	// (SETTINGS_INITIAL_WINDOW_SIZE), and StreamsBuffer how many of all requests of a connection.
	StreamBuffer  = 256 << 10
	StreamsBuffer = 1 << 20
	// StreamPing is how long an HTTP/2 connection may be silent before it is pinged, and then before it is ended.
	StreamPing = 30 * time.Second

	// StartTime is how long a start without a cluster may take: reading a stream of many messages takes a while.
	StartTime = time.Minute
	// ShutdownTime is how long the shutdown waits for sockets and requests.
	ShutdownTime = 2500 * time.Millisecond
)

// Defaults returns the default settings.
func Defaults() Settings {
	return Settings{
		Addr:           ":3000",
		Data:           "data",
		MaxMessage:     1 << 20,
		Ping:           25 * time.Second,
		KeepMessages:   1000,
		KeepTime:       30 * 24 * time.Hour,
		KeepBytes:      1 << 30,
		PostRate:       20,
		AddressRate:    50,
		AddressPosts:   200,
		MessageRate:    1000,
		AddressEvents:  50_000,
		Sockets:        100_000,
		AddressSockets: 2000,
		Log:            "text",
		LogLevel:       slog.LevelInfo,
		AnswerTime:     AnswerTime,
	}
}

// The bounds of what can be set.
const (
	largestMessage = 1 << 30 // bytes
	leastPing      = time.Second / 10
	mostRecovery   = time.Hour // everything that a client may come back to is kept in memory
	leastSecret    = 16        // bytes
	leastKeepTime  = time.Second
	leastKeepBytes = 1 << 20
	mostRate       = 1e6 // a second
)
