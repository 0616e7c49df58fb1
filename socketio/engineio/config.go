package engineio

import (
	"log/slog"
	"net/http"
	"time"
)

// Config holds a Server's settings. The zero value is ready for use.
type Config struct {
	// PingInterval is the time between two pings; 25 s by default.
	PingInterval time.Duration
	// PingTimeout is how long a client has to answer a ping; 20 s by default. What counts is silence: a client that sends
	// nothing for PingInterval and PingTimeout together loses its session. Any byte is a sign of life. The time during
	// which a callback of the session runs does not count.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a client may take to go over to a WebSocket that it has opened; 10 s by default.
	UpgradeTimeout time.Duration
	// PollTimeout is how long after a client's last GET sending waits for the next one, which makes room in the queue;
	// PingTimeout by default. After it, the session ends. It is also how long the client may take to read each 64 KiB of
	// an answer.
	PollTimeout time.Duration
	// MaxPayload bounds a message, and the body of a request, in bytes; 1,000,000 by default. The App's MaxMessage bounds
	// messages on WebSockets, too.
	MaxPayload int
	// MaxPackets is how many packets one request may carry; 10,000 by default. A request with more ends its session.
	MaxPackets int
	// MaxQueue is how many bytes may wait for a client that polls before Send waits; 1 MiB by default. Each packet counts
	// as 64 bytes more than its data. See Session.Offer for sending that does not wait.
	MaxQueue int
	// MaxBuffered is how many bytes all sessions together may hold in requests that have arrived at least in part, in
	// packets that wait to be polled, and in answers being written; 32 MiB by default. One address (see ws.AddressOf) may
	// hold a quarter. The first 16 KiB of each request, queue and answer do not count. Past this limit, a longer request
	// is answered with 503 and ends its session, and MaxQueue is 16 KiB.
	MaxBuffered int64
	// MaxSessions is how many sessions there may be; 100,000 by default. Past that, handshakes get 503.
	MaxSessions int
	// AddressMessageRate is how many packets a second the server takes from all sessions of one address (see ws.AddressOf)
	// together, in bursts of twice as many. A packet counts once more for each 512 bytes of its data. From an address that
	// sends more, packets are read later, after pauses of 50 ms or more. 0 is no limit.
	AddressMessageRate float64
	// WebSocketOnly refuses long-polling, and so upgrades: sessions begin on a WebSocket.
	WebSocketOnly bool
	// Origins are the origins whose pages may read answers (CORS), such as "https://example.com", or "*" for all. Use the
	// App's Origins, which decide whose requests are refused.
	Origins []string
	// Allow may refuse a handshake by an error, whose text the client gets with 403. nil allows all.
	Allow func(r *http.Request) error
	// OnRefused is called with each request that is refused, and the reason: a wrong handshake, one that is not allowed or
	// one too many, a foreign origin, an unknown session. It runs before the answer is sent, in the request's goroutine.
	OnRefused func(r *http.Request, status int, reason string)
	// Logger gets lines about sessions that end by a client's mistake (the first hundred, then five a second at most), about
	// callbacks that panic, about refused requests (one a second at most), and, at level debug, about each session that
	// begins or ends. Where lines are left out, the next one says how many. The attribute id is Session.LogID. The default is
	// slog.Default().
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
	setDefault(&cfg.MaxBuffered, 32<<20)
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
