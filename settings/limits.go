package settings

import (
	"log/slog"
	"time"
)

// The limits that nobody can set from outside and that no package below decides. docs/limits.md has all limits of the
// program, these among them; a test compares its table with the code.
const (
	// MaxBuffered is how many bytes all WebSockets together may hold of messages that have arrived in part, and of
	// what waits to be sent; or eight times -max-message, where that is more. Garbage comes on top.
	MaxBuffered = 96 << 20
	// MaxPayload is the longest Socket.IO message in bytes, which clients of Socket.IO expect to be able to send.
	MaxPayload = 1_000_000
	// JournalBytes is what the events of Socket.IO take in each NATS server's memory, for clients that come back.
	JournalBytes = 64 << 20

	// HTTPConns is how many HTTP connections there may be that are no WebSockets, or not yet; and no more than a third of the
	// files that the process may have open. AddressHTTPConns is how many of them one address may have at least, however
	// few sockets it may have. HTTPLimits has both.
	HTTPConns        = 10_000
	AddressHTTPConns = 1000
	// InnerHTTPConns is how many HTTP connections there may be to -metrics-addr.
	InnerHTTPConns = 100

	// HeaderBytes is the most that a request's header may have: a socket keeps it.
	HeaderBytes = 16 << 10
	// HeaderTime is how long a request's header may take to arrive.
	HeaderTime = 10 * time.Second
	// BodyTime is how long a request's body may take to arrive.
	BodyTime = 30 * time.Second
	// AnswerTime is how long a client may take for an answer, from its first byte. One to a poll of Socket.IO goes on
	// as long as its client reads it.
	AnswerTime = time.Minute
	// IdleTime is how long an HTTP connection without a request stays open.
	IdleTime = 2 * time.Minute

	// Streams is how many requests one HTTP/2 connection may have under way (SETTINGS_MAX_CONCURRENT_STREAMS); RFC 9113,
	// section 6.5.2, recommends no fewer than 100.
	Streams = 100
	// StreamFrame is the longest frame of HTTP/2 that is taken, in bytes (SETTINGS_MAX_FRAME_SIZE): the least there is.
	StreamFrame = 16 << 10
	// StreamBuffer is how many bytes of one request's body may arrive over HTTP/2 before they are read
	// (SETTINGS_INITIAL_WINDOW_SIZE), and StreamsBuffer how many of all requests of a connection.
	StreamBuffer  = 256 << 10
	StreamsBuffer = 1 << 20
	// StreamPing is how long an HTTP/2 connection may be silent before it is pinged, and then before it is ended.
	StreamPing = 30 * time.Second

	// StartTime is how long a start without a cluster may take: a stream of many messages takes a while to be read.
	StartTime = time.Minute
	// ShutdownTime is how long the end waits for sockets and requests.
	ShutdownTime = 2500 * time.Millisecond
)

// Defaults are the settings where nothing else is said.
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
	mostRecovery   = time.Hour // all that a client may miss and come back to is kept in memory
	leastSecret    = 16        // bytes
	leastKeepTime  = time.Second
	leastKeepBytes = 1 << 20
	mostRate       = 1e6 // a second
)
