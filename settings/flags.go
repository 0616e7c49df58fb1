package settings

import (
	"errors"
	"flag"
	"io"
)

// flagSet holds the flags, and the environment variable of each. A flag without one says what to do, not how.
type flagSet struct {
	*flag.FlagSet
	env map[string]string // by flag
}

// flags returns the flags that set set. Its present values are the defaults.
func (set *Settings) flags() *flagSet {
	f := &flagSet{FlagSet: flag.NewFlagSet("echows", flag.ContinueOnError), env: map[string]string{}}
	f.SetOutput(io.Discard) // a one-line error says more than the list of all flags
	set.addressFlags(f)
	set.storeFlags(f)
	set.limitFlags(f)
	set.logFlags(f)
	f.BoolFunc("healthcheck", "ask the server with the same settings on this machine whether it is alive, or with =ready whether it is ready: exit code 0 if so, 1 if not", set.setAsk)
	return f
}

func (set *Settings) setAsk(what string) error {
	switch what {
	case "true":
		set.Ask = "/healthz"
	case "ready":
		set.Ask = "/readyz"
	default:
		return errors.New("want -healthcheck or -healthcheck=ready")
	}
	return nil
}

// name notes the environment variable of a flag.
func (f *flagSet) name(flag, variable string) string {
	f.env[flag] = variable
	return flag
}

// addressFlags say where the server is, and for whom.
func (set *Settings) addressFlags(f *flagSet) {
	f.StringVar(&set.Addr, f.name("addr", "PORT"), set.Addr, "`address` to listen on; PORT is the port number alone")
	f.StringVar(&set.MetricsAddr, f.name("metrics-addr", "METRICS_ADDR"), set.MetricsAddr, "`address` to listen on for /metrics, /healthz and /readyz, over plain HTTP, such as 127.0.0.1:9100; then /metrics is not on -addr")
	f.Var((*origins)(&set.Origins), f.name("origins", "ALLOWED_ORIGINS"), "foreign `origins` whose pages may connect, separated by commas, such as https://example.com; * for all (pages of the same host always may)")
	f.Var((*hosts)(&set.Hosts), f.name("hosts", "HOSTS"), "the server's own `hosts`, separated by commas, such as example.com: pages of other hosts are then foreign, whatever host their requests name")
	f.Var((*networks)(&set.Proxies), f.name("trusted-proxies", "TRUSTED_PROXIES"), "`networks` of proxies whose X-Forwarded-For, -Proto and -Host are believed, separated by commas, such as 10.0.0.0/8")
	f.StringVar(&set.TLS.Cert, f.name("tls-cert", "TLS_CERT"), set.TLS.Cert, "`file` with the TLS certificate (PEM), to serve https: and wss:")
	f.StringVar(&set.TLS.Key, f.name("tls-key", "TLS_KEY"), set.TLS.Key, "`file` with its private key (PEM)")
	f.StringVar(&set.TLS.Domain, f.name("tls-domain", "TLS_DOMAIN"), set.TLS.Domain, "`domain` to get a certificate for, from Let's Encrypt; needs -addr :443")
	f.BoolVar(&set.Compress, f.name("compress", "COMPRESS"), set.Compress, "negotiate permessage-deflate on all WebSockets")
	f.Var((*span)(&set.Ping), f.name("ping", "PING_INTERVAL"), "`time` between two pings; a connection that is silent for twice as long, or with Socket.IO for 20s longer, is closed")
	f.Var((*span)(&set.Recovery), f.name("recovery", "RECOVERY"), "`time` within which a Socket.IO client that lost its connection can come back and receive what it missed; each event then has one more argument")
	f.BoolVar(&set.WebSocketOnly, f.name("websocket-only", "WEBSOCKET_ONLY"), set.WebSocketOnly, "serve Socket.IO over WebSockets only, so that several nodes need no sticky sessions")
}

// storeFlags say where data is kept, and for how long.
func (set *Settings) storeFlags(f *flagSet) {
	f.StringVar(&set.Data, f.name("data", "DATA_DIR"), set.Data, "`folder` for data: messages, the secret, certificates")
	f.StringVar(&set.NATS.URL, f.name("nats", "NATS_URL"), set.NATS.URL, "`URLs` of a NATS cluster's servers, separated by commas, that keep the messages instead of this process")
	f.StringVar(&set.NATS.Creds, f.name("nats-creds", "NATS_CREDS"), set.NATS.Creds, "`file` with the credentials for the NATS cluster")
	f.StringVar(&set.NATS.CA, f.name("nats-ca", "NATS_CA"), set.NATS.CA, "`file` with the CA certificates for verifying the NATS cluster (PEM); the system's otherwise")
	f.StringVar(&set.NATS.Cert, f.name("nats-cert", "NATS_CERT"), set.NATS.Cert, "`file` with this server's TLS certificate for the NATS cluster (PEM)")
	f.StringVar(&set.NATS.Key, f.name("nats-key", "NATS_KEY"), set.NATS.Key, "`file` with its private key (PEM)")
	f.IntVar(&set.NATS.Replicas, f.name("replicas", "REPLICAS"), set.NATS.Replicas, "`number` of NATS servers that keep each message: 1, 3 or 5; 0 for 3 in a cluster")
	f.StringVar(&set.Database, f.name("database", "DATABASE_URL"), set.Database, "`URL` of a PostgreSQL database to copy every message into")
	f.StringVar(&set.Secret, f.name("secret", "SESSION_SECRET"), set.Secret, "`text` that signs sessions, 16 bytes or more, the same on every node; by default, one is generated and kept in the data folder")
	f.Var((*syncTime)(&set.Sync), f.name("sync", "SYNC"), "`when` messages are synced to disk: always (before each acknowledgement), or at an interval such as 1s: a power cut can then lose that much")
	f.IntVar(&set.KeepMessages, f.name("keep-messages", "KEEP_MESSAGES"), set.KeepMessages, "`number` of messages kept in each chat room")
	f.Var((*span)(&set.KeepTime), f.name("keep-time", "KEEP_TIME"), "`time` that a message is kept, such as 12h or 30d")
	f.Var((*size)(&set.KeepBytes), f.name("keep-bytes", "KEEP_BYTES"), "`bytes` that all messages may take on disk, or with KiB, MiB, GiB; the oldest are dropped first")
}

// limitFlags bound what a client, an address or everybody together may do.
func (set *Settings) limitFlags(f *flagSet) {
	f.Var((*size)(&set.MaxMessage), f.name("max-message", "MAX_MESSAGE"), "longest message accepted, in `bytes`, or with KiB, MiB or GiB")
	f.Float64Var(&set.PostRate, f.name("post-rate", "POST_RATE"), set.PostRate, "`messages` a second that one chat connection may post, or one session by requests, in bursts of twice as many")
	f.Float64Var(&set.AddressPosts, f.name("address-posts", "ADDRESS_POSTS"), set.AddressPosts, "`messages` a second that one address may post to the chat, over all its connections and requests, in bursts of ten times as many; 0 for no limit")
	f.Float64Var(&set.AddressRate, f.name("address-rate", "ADDRESS_RATE"), set.AddressRate, "`connections` a second that one address may open to the chat, and as many tickets and as many reads; in bursts of ten times as many")
	f.IntVar(&set.Sockets, f.name("sockets", "SOCKETS"), set.Sockets, "`number` of connections in total, over all routes, including polling clients; 0 for no limit")
	f.IntVar(&set.AddressSockets, f.name("address-sockets", "ADDRESS_SOCKETS"), set.AddressSockets, "`number` of connections that one address may have; 0 for no limit")
	f.Float64Var(&set.MessageRate, f.name("message-rate", "MESSAGE_RATE"), set.MessageRate, "`messages` a second that are accepted from one connection to /ws and /ws/broadcast, in bursts of twice as many; a connection that sends more is read more slowly; 0 for no limit")
	f.Float64Var(&set.AddressEvents, f.name("address-events", "ADDRESS_EVENTS"), set.AddressEvents, "`packets` a second that are accepted from one address over all its Socket.IO connections, in bursts of twice as many; a long packet counts once more for each 512 bytes; packets past the limit are read later; 0 for no limit")
}

// logFlags say what is logged, and how.
func (set *Settings) logFlags(f *flagSet) {
	f.StringVar(&set.Log, f.name("log", "LOG"), set.Log, "`format` of the log: text or json")
	f.Var((*level)(&set.LogLevel), f.name("log-level", "LOG_LEVEL"), "lowest `level` that is logged: debug, info, warn or error")
}
