// Package settings reads the server's settings: flags, and for each an environment variable with the same meaning. It also
// has the limits that the program decides itself, in limits.go, and turns settings into what the program starts with: the
// log, the secret, the certificates.
package settings

import (
	"log/slog"
	"net/netip"
	"time"
)

// Settings holds the settings, as Read returns them: each value is well-formed. The zero value is not useful; use
// Defaults.
type Settings struct {
	Addr        string         // to listen on, as net.Listen takes it
	MetricsAddr string         // to listen on for /metrics; "" to answer it on Addr
	Origins     []string       // foreign origins whose pages may connect
	Hosts       []string       // the server's own hosts; if empty, whatever a request names
	Proxies     []netip.Prefix // networks of trusted proxies
	TLS         TLS
	Data        string // the data folder
	NATS        NATS

	Database string        // the URL of a PostgreSQL database, or ""
	Secret   string        // what signs sessions, or "" for the data folder's
	Sync     time.Duration // between two syncs to disk; 0 for a sync before each acknowledgement

	MaxMessage int64 // bytes
	Ping       time.Duration
	Compress   bool

	KeepMessages int
	KeepTime     time.Duration
	KeepBytes    int64

	// Rates are per second; 0 means no limit if a comment says so.
	PostRate      float64
	AddressRate   float64
	AddressPosts  float64 // 0 for no limit
	MessageRate   float64 // 0 for no limit
	AddressEvents float64 // 0 for no limit

	Sockets        int // 0 for no limit
	AddressSockets int // 0 for no limit

	Recovery      time.Duration // 0 for none
	WebSocketOnly bool

	Log      string // text or json
	LogLevel slog.Level

	// Ask is the path to request from a server with the same settings, instead of serving: /healthz or /readyz, or "" to
	// serve.
	Ask string

	// AnswerTime is how long a client may take to read an answer, from its first byte. It is the constant of that name,
	// which tests shorten.
	AnswerTime time.Duration
}

// TLS says where the certificate comes from. The zero value means none: the server speaks plain HTTP.
type TLS struct {
	Cert, Key string // files
	Domain    string // for which to get a certificate
}

// NATS says where the NATS cluster is, how this server and the cluster authenticate to each other, and how many servers keep a
// message. The zero value means no cluster: a server inside this process keeps the messages.
type NATS struct {
	URL       string
	Creds     string // a file
	CA        string // a file
	Cert, Key string // files
	Replicas  int
}
