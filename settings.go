package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"echows/chat"
	"echows/ws"
)

// settings is what can be set from outside. Each flag has an environment variable of the same meaning.
type settings struct {
	addr     string
	origins  origins
	proxies  networks
	tls      tlsSettings
	data     string
	nats     natsSettings
	database string
	secret   string
	sync     syncTime

	maxMessage size
	ping       time.Duration

	keepMessages   int
	keepTime       time.Duration
	keepBytes      size
	postRate       float64
	addressRate    float64
	addressPosts   float64
	sockets        int
	addressSockets int
	messageRate    float64
	addressEvents  float64
	hosts          hosts
	compress       bool
	log            string // text or json
	logLevel       slog.Level
	recovery       time.Duration
	webSocketOnly  bool

	answerTime time.Duration // not for the outside
}

// tlsSettings say where a certificate comes from.
type tlsSettings struct {
	cert, key string
	domain    string
}

// natsSettings say where a NATS cluster is, how it knows us and we know it, and how much it keeps.
type natsSettings struct {
	url       string
	creds     string
	ca        string
	cert, key string
	replicas  int
}

// check says what is wrong with them.
func (n *natsSettings) check() error {
	switch {
	case n.url == "" && *n != natsSettings{}:
		return errors.New("-nats-creds, -nats-ca, -nats-cert, -nats-key and -replicas are for a NATS cluster: add -nats")
	case (n.cert == "") != (n.key == ""):
		return errors.New("-nats-cert and -nats-key go together")
	case n.replicas != 0 && n.replicas != 1 && n.replicas != 3 && n.replicas != 5:
		return errors.New("-replicas has to be 1, 3 or 5; or 0, for 3 in a cluster")
	}
	for _, file := range []struct{ flag, name, has, kind string }{
		{"-nats-creds", n.creds, "-----BEGIN USER NKEY SEED-----", "credentials of NATS"},
		{"-nats-ca", n.ca, "-----BEGIN CERTIFICATE-----", "certificates (PEM)"},
	} {
		if file.name == "" {
			continue
		}
		switch data, err := os.ReadFile(file.name); {
		case err != nil:
			return fmt.Errorf("%s: %w", file.flag, err)
		case !bytes.Contains(data, []byte(file.has)):
			return fmt.Errorf("%s: %s has no %s", file.flag, file.name, file.kind)
		}
	}
	if n.cert != "" {
		if _, err := tls.LoadX509KeyPair(n.cert, n.key); err != nil {
			return fmt.Errorf("certificate (-nats-cert, -nats-key): %w", err)
		}
	}
	return nil
}

// mostRecovery bounds what a client may miss and come back to: all of it is kept in memory.
const mostRecovery = time.Hour

func readSettings(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	set := settings{
		addr: ":3000", data: "data", maxMessage: 1 << 20, ping: 25 * time.Second,
		keepMessages: 1000, keepTime: 30 * 24 * time.Hour, keepBytes: 1 << 30,
		postRate: 20, addressRate: 50, addressPosts: 200, sockets: 100_000, addressSockets: 2000, messageRate: 1000, addressEvents: 100_000,
		answerTime: answerTime,
	}
	flags := flag.NewFlagSet("echows", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one line says more than the list of all flags
	env := map[string]string{}
	name := func(flag, variable string) string { env[flag] = variable; return flag }
	flags.StringVar(&set.addr, name("addr", "PORT"), set.addr, "`address` to listen on; in PORT the number alone")
	flags.Var(&set.origins, name("origins", "ALLOWED_ORIGINS"), "foreign `origins` whose pages may connect, with commas, such as https://example.com; * for all (the same host always may)")
	flags.Var(&set.hosts, name("hosts", "HOSTS"), "the server's own `hosts`, with commas, such as example.com: pages of others are foreign then, whatever host their requests name")
	flags.Var(&set.proxies, name("trusted-proxies", "TRUSTED_PROXIES"), "`networks` of proxies whose X-Forwarded-For, -Proto and -Host are believed, with commas, such as 10.0.0.0/8")
	flags.StringVar(&set.tls.cert, name("tls-cert", "TLS_CERT"), "", "`file` with the TLS certificate (PEM), to serve https: and wss:")
	flags.StringVar(&set.tls.key, name("tls-key", "TLS_KEY"), "", "`file` with its private key (PEM)")
	flags.StringVar(&set.tls.domain, name("tls-domain", "TLS_DOMAIN"), "", "`domain` to get a certificate for, from Let's Encrypt; needs -addr :443")
	flags.StringVar(&set.data, name("data", "DATA_DIR"), set.data, "`folder` for what lasts: messages, the secret, certificates")
	flags.StringVar(&set.nats.url, name("nats", "NATS_URL"), "", "`URLs` of a NATS cluster's servers, with commas, that keep the messages instead of this process")
	flags.StringVar(&set.nats.creds, name("nats-creds", "NATS_CREDS"), "", "`file` with the credentials for the NATS cluster")
	flags.StringVar(&set.nats.ca, name("nats-ca", "NATS_CA"), "", "`file` with the certificates that the NATS cluster's are checked against (PEM); the system's otherwise")
	flags.StringVar(&set.nats.cert, name("nats-cert", "NATS_CERT"), "", "`file` with our own TLS certificate for the NATS cluster (PEM)")
	flags.StringVar(&set.nats.key, name("nats-key", "NATS_KEY"), "", "`file` with its private key (PEM)")
	flags.IntVar(&set.nats.replicas, name("replicas", "REPLICAS"), 0, "`number` of NATS servers that keep each message: 1, 3 or 5; 0 for 3 in a cluster")
	flags.StringVar(&set.database, name("database", "DATABASE_URL"), "", "`URL` of a PostgreSQL database that gets a copy of every message")
	flags.StringVar(&set.secret, name("secret", "SESSION_SECRET"), "", "`text` that signs sessions, 16 bytes or more, the same on every node; one is made and kept in the data folder otherwise")
	flags.Var(&set.sync, name("sync", "SYNC"), "`when` messages are synced to disk: always, before the acknowledgement, or a time such as 1s, which a power cut may lose")
	flags.Var(&set.maxMessage, name("max-message", "MAX_MESSAGE"), "longest message taken, in `bytes`, or with KiB, MiB or GiB")
	flags.DurationVar(&set.ping, name("ping", "PING_INTERVAL"), set.ping, "`time` between two pings; twice as long without a sign of life ends a connection; one of Socket.IO has 20s more")
	flags.DurationVar(&set.recovery, name("recovery", "RECOVERY"), 0, "`time` for which a Socket.IO client that lost its connection can come back to what it missed; each event then has one more argument")
	flags.BoolVar(&set.webSocketOnly, name("websocket-only", "WEBSOCKET_ONLY"), false, "serve Socket.IO over WebSockets only, which need no sticky sessions where there are several nodes")
	flags.IntVar(&set.keepMessages, name("keep-messages", "KEEP_MESSAGES"), set.keepMessages, "`number` of messages kept of each chat room")
	flags.DurationVar(&set.keepTime, name("keep-time", "KEEP_TIME"), set.keepTime, "`time` that a message is kept")
	flags.Var(&set.keepBytes, name("keep-bytes", "KEEP_BYTES"), "`bytes` that all messages take on disk, or with KiB, MiB, GiB; the oldest go first")
	flags.Float64Var(&set.postRate, name("post-rate", "POST_RATE"), set.postRate, "`messages` a second that one chat connection may post, or one session by requests, in bursts of twice as many")
	flags.Float64Var(&set.addressPosts, name("address-posts", "ADDRESS_POSTS"), set.addressPosts, "`messages` a second that one address may post to the chat, over all its connections and requests, in bursts of ten times as many; 0 for no limit")
	flags.Float64Var(&set.addressRate, name("address-rate", "ADDRESS_RATE"), set.addressRate, "`connections` a second that one address may open to the chat, and tickets and reads, each counted by itself; in bursts of ten times as many")
	flags.IntVar(&set.sockets, name("sockets", "SOCKETS"), set.sockets, "`number` of connections in all, over all routes, clients that poll included; 0 for no limit")
	flags.IntVar(&set.addressSockets, name("address-sockets", "ADDRESS_SOCKETS"), set.addressSockets, "`number` of them that one address may have; 0 for no limit")
	flags.Float64Var(&set.messageRate, name("message-rate", "MESSAGE_RATE"), set.messageRate, "`messages` a second that are taken of one connection to /ws and /ws/broadcast, in bursts of twice as many; one that sends more is read more slowly; 0 for no limit")
	flags.Float64Var(&set.addressEvents, name("address-events", "ADDRESS_EVENTS"), set.addressEvents, "`packets` a second that are taken of one address over all its Socket.IO connections, in bursts of twice as many; a long one counts once more for each 512 bytes; what is more is read later; 0 for no limit")
	flags.StringVar(&set.log, name("log", "LOG"), "text", "`form` of the log: text or json")
	flags.TextVar(&set.logLevel, name("log-level", "LOG_LEVEL"), slog.LevelInfo, "lowest `level` that is logged: debug, info, warn or error")
	flags.BoolVar(&set.compress, name("compress", "COMPRESS"), false, "`whether` WebSockets agree on permessage-deflate")

	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(out, flags, env)
	}
	if err != nil {
		return set, fmt.Errorf("%w (-h lists the settings)", err)
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q (-h lists the settings)", flags.Arg(0))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for flag, variable := range env {
		value := getenv(variable)
		if value == "" || given[flag] {
			continue
		}
		if variable == "PORT" {
			value = ":" + value
		}
		if err := flags.Set(flag, value); err != nil {
			return set, fmt.Errorf("invalid value %q in the environment variable %s: %w", getenv(variable), variable, err)
		}
	}
	return set, set.check()
}

// check says what is wrong with settings that are each well-formed.
func (set *settings) check() error {
	switch {
	case (set.tls.cert == "") != (set.tls.key == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case set.tls.cert != "" && set.tls.domain != "":
		return errors.New("-tls-domain gets its own certificate: leave out -tls-cert and -tls-key")
	case set.maxMessage > largestMessage:
		return fmt.Errorf("-max-message %v is too much; 1024MiB is the most", &set.maxMessage)
	case set.ping < time.Second/10:
		return fmt.Errorf("-ping %v is too short; 100ms is the least", set.ping)
	case set.recovery < 0 || set.recovery > mostRecovery:
		return fmt.Errorf("-recovery has to be 0, for none, to %v", mostRecovery)
	case set.log != "text" && set.log != "json":
		return errors.New("-log has to be text or json")
	case set.data == "":
		return errors.New("-data has to name a folder")
	case set.secret != "" && len(set.secret) < 16:
		return errors.New("-secret is too short; 16 bytes are the least")
	case set.keepMessages < 1 || set.keepMessages > chat.MaxKeep:
		return fmt.Errorf("-keep-messages has to be 1 to %d", chat.MaxKeep)
	case set.keepTime < time.Second:
		return fmt.Errorf("-keep-time %v is too short; 1s is the least", set.keepTime)
	case set.keepBytes < 1<<20:
		return fmt.Errorf("-keep-bytes %v is too little; 1MiB is the least", &set.keepBytes)
	case !isRate(set.postRate) || !isRate(set.addressRate):
		return errors.New("-post-rate and -address-rate have to be more than 0 and at most a million")
	case set.addressPosts != 0 && !isRate(set.addressPosts):
		return errors.New("-address-posts has to be 0, for no limit, or up to a million")
	case set.sockets < 0 || set.addressSockets < 0:
		return errors.New("-sockets and -address-sockets have to be 0, for no limit, or more")
	case set.messageRate != 0 && !isRate(set.messageRate):
		return errors.New("-message-rate has to be 0, for no limit, or up to a million")
	case set.addressEvents != 0 && !isRate(set.addressEvents):
		return errors.New("-address-events has to be 0, for no limit, or up to a million")
	}
	return set.nats.check()
}

// logger is how the server logs.
func (set *settings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: set.logLevel}
	if set.log == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// isRate reports whether f can be a limit; what is no number is none.
func isRate(f float64) bool { return f > 0 && f <= 1e6 }

// limits are the chat's.
func (set *settings) limits() chat.Limits {
	limits := chat.Limits{
		Posts:        rate.Limit(set.postRate),
		AddressPosts: rate.Limit(set.addressPosts),
		Connects:     rate.Limit(set.addressRate),
	}
	if set.addressPosts == 0 {
		limits.AddressPosts = rate.Inf
	}
	return limits
}

func usage(out io.Writer, flags *flag.FlagSet, env map[string]string) {
	fmt.Fprint(out, "echows is a WebSocket server to learn from and then keep.\n\nSettings, each as a flag or an environment variable:\n")
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "\n  -%s %s, %s\n      %s", f.Name, value, env[f.Name], text)
		if f.DefValue != "" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
}

// largestMessage is the most that -max-message may be: 1 GiB.
const largestMessage = 1 << 30

// size is a number of bytes that reads as 1048576, 1024KiB or 1MiB.
type size int64

var units = []struct {
	name  string
	bytes size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

func (s *size) String() string {
	for _, unit := range units {
		if *s > 0 && *s%unit.bytes == 0 {
			return strconv.FormatInt(int64(*s/unit.bytes), 10) + unit.name
		}
	}
	return "0"
}

func (s *size) Set(text string) error {
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > 1<<50/int64(unit.bytes) {
			break
		}
		*s = size(n) * unit.bytes
		return nil
	}
	return errors.New("want bytes, such as 65536, 64KiB or 1MiB")
}

// syncTime is how often messages are synced to disk; 0 is always.
type syncTime time.Duration

func (s *syncTime) String() string {
	if *s == 0 {
		return "always"
	}
	return time.Duration(*s).String()
}

func (s *syncTime) Set(text string) error {
	if text == "always" {
		*s = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 10*time.Millisecond || d > time.Hour {
		return errors.New("want always, or a time from 10ms to 1h, such as 1s")
	}
	*s = syncTime(d)
	return nil
}

// networks is a list with commas of networks, or single addresses.
type networks []netip.Prefix

func (n *networks) String() string {
	var all []string
	for _, one := range *n {
		all = append(all, one.String())
	}
	return strings.Join(all, ",")
}

func (n *networks) Set(text string) error {
	*n = nil
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(one)
		if addr, addrErr := netip.ParseAddr(one); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return errors.New("want networks or addresses, with commas, such as 10.0.0.0/8,127.0.0.1")
		}
		*n = append(*n, prefix.Masked())
	}
	return nil
}

// hosts is a list with commas.
type hosts []string

func (h *hosts) String() string { return strings.Join(*h, ",") }

func (h *hosts) Set(text string) error {
	all, err := list(text, ws.ParseHost)
	*h = all
	return err
}

// list splits text at commas, and has each part checked.
func list(text string, check func(string) error) (all []string, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if err := check(one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// origins is a list with commas.
type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }

func (o *origins) Set(text string) error {
	all, err := list(text, ws.ParseOrigin)
	*o = all
	return err
}
