package engineio

import (
	"log/slog"
	"net/http"
	"time"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// PingInterval is the time between pings; 25 s by default.
	PingInterval time.Duration
	// PingTimeout is how long a client has to answer a ping; 20 s by default. A session ends when its client has sent
	// nothing at all, not even one byte, for PingInterval plus PingTimeout. The time during which a callback of the session
	// runs does not count.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a client may take to complete an upgrade after it has opened the WebSocket; 10 s by default.
	UpgradeTimeout time.Duration
	// PollTimeout limits how long Send waits for a client to poll and so make room in the queue, counted from the client's
	// last GET; PingTimeout by default. After that, the session ends. It is also how long the client may take to read each
	// 64 KiB of an answer.
	PollTimeout time.Duration
	// MaxPayload is the maximum size of a message, and of a request's body, in bytes; 1,000,000 by default. The App's
	// MaxMessage also limits messages on WebSockets.
	MaxPayload int
	// MaxPackets is the maximum number of packets in one request; 10,000 by default. A request with more ends its session.
	MaxPackets int
	// MaxQueue is how many bytes may be queued for a client that polls before Send waits; 1 MiB by default. Each packet
	// counts as its data plus 64 bytes. See Session.Offer for sending without waiting.
	MaxQueue int
	// MaxBuffered is how many bytes all sessions together may hold in requests that have arrived at least in part, in
	// queued packets, and in answers being written; 32 MiB by default, or 8 times MaxPayload if that is more. Each address (see ws.AddressOf) may use a quarter of
	// it. The first 16 KiB of each request, queue and answer do not count. Past this limit, a longer request is answered
	// with 503 and ends its session, and MaxQueue is 16 KiB.
	MaxBuffered int64
	// MaxSessions is the maximum number of sessions; 100,000 by default. Further handshakes get 503.
	MaxSessions int
	// AddressMessageRate is how many packets a second the server handles from all sessions of one address (see
	// ws.AddressOf) together, in bursts of up to twice as many. A packet counts as one, plus one for each 512 bytes of its
	// data. Packets past the limit are handled later, after pauses of 50 ms or more. 0 means no limit.
	AddressMessageRate float64
	// WebSocketOnly refuses long-polling: sessions begin on a WebSocket, and there are no upgrades.
	WebSocketOnly bool
	// Origins lists the origins whose pages may read answers (CORS), such as "https://example.com", or "*" for all.
	// The default is the App's Origins, which decide whose requests are refused.
	Origins []string
	// Allow refuses a handshake by returning an error, whose text the client gets with 403. nil allows all.
	Allow func(r *http.Request) error
	// OnRefused is called with each refused request and the reason, such as an invalid handshake, one that Allow refuses or
	// that exceeds a limit, a foreign origin, or an unknown session. It runs before the answer is sent, in the request's
	// goroutine.
	OnRefused func(r *http.Request, status int, reason string)
	// Logger logs sessions that end because of a client's mistake (the first hundred, then at most five a second), callbacks
	// that panic, refused requests (at most one a second), and, at level debug, the beginning and end of each session. If
	// lines are left out, the next one says how many. The attribute id is Session.LogID. The default is slog.Default().
	Logger *slog.Logger
}

func (cfg *Config) setDefaults() {
	setDefault(&cfg.PingInterval, 25*time.Second)
	setDefault(&cfg.PingTimeout, 20*time.Second)
	setDefault(&cfg.UpgradeTimeout, 10*time.Second)
	setDefault(&cfg.PollTimeout, cfg.PingTimeout)
	setDefault(&cfg.MaxPayload, 1_000_000)
	setDefault(&cfg.MaxPackets, 10_000)
	setDefault(&cfg.MaxQueue, 1<<20)
	setDefault(&cfg.MaxBuffered, max(32<<20, 8*int64(cfg.MaxPayload)))
	setDefault(&cfg.MaxSessions, 100_000)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}
