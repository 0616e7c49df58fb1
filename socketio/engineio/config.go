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
	// PingTimeout is how long a client has to answer a ping; 20 s by default. What counts is silence: a client of which
	// nothing has come for PingInterval and PingTimeout together loses its session. Any byte is a sign of life, and
	// time in which a callback of the session runs does not count.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a client has to go over to a WebSocket that it opened; 10 s by default.
	UpgradeTimeout time.Duration
	// PollTimeout is how long sending waits for a client that polls to fetch what waits for it, since its last GET;
	// PingTimeout by default. After it the session ends. It is also how long the client may take for each 64 KiB of an
	// answer.
	PollTimeout time.Duration
	// MaxPayload is the longest message, and the longest body of a request, in bytes; 1,000,000 by
	// default. The App's MaxMessage bounds messages of WebSockets too.
	MaxPayload int
	// MaxPackets is how many packets one request may carry; 10,000 by default. One with more ends its session.
	MaxPackets int
	// MaxQueue is how many bytes may wait for a client that polls before sending to it waits; 1 MiB by default. Each
	// packet counts for 64 bytes more than its data has. See Session.Offer for sending that does not wait.
	MaxQueue int
	// MaxBuffered is how many bytes all sessions together may hold of requests that have arrived, also in part, of
	// packets that wait to be polled, and of answers under way; 32 MiB by default. One address, as ws.AddressOf tells it,
	// may hold a quarter. 16 KiB of each thing do not count. Past that, a request with more is answered with 503 and ends
	// its session, and 16 KiB take the place of MaxQueue.
	MaxBuffered int64
	// MaxSessions is how many sessions there may be; 100,000 by default. Then handshakes get 503.
	MaxSessions int
	// AddressMessageRate is how many packets a second are taken of all sessions of one address, as ws.AddressOf tells
	// it, in bursts of twice as many; a packet counts once more for each 512 bytes that it has. An address that sends more is
	// read more slowly, 50 ms late or more at a time. 0 is no limit.
	AddressMessageRate float64
	// WebSocketOnly refuses long-polling, and with it upgrades: sessions begin on a WebSocket.
	WebSocketOnly bool
	// Origins are those whose pages are told, by CORS, that they may read answers: such as
	// "https://example.com", or "*" for all. They are to be the App's own Origins, by which requests are
	// refused.
	Origins []string
	// Allow may refuse a handshake with an error, whose text the client gets with 403.
	Allow func(r *http.Request) error
	// OnRefused is called with each request that no session takes, and why: a handshake that is wrong, not allowed or
	// one too many, a foreign origin, an unknown session. It runs before the answer, in the request's goroutine.
	OnRefused func(r *http.Request, status int, reason string)
	// Logger gets a line for each session that ends by its client's mistake, after the first hundred no more than five a
	// second; for callbacks that panic; once a second at most for what was refused; and, at level debug, for each session
	// that begins or ends. The attribute id is Session.LogID. slog.Default() by default.
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
