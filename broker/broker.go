package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrUnavailable is the error of every method while the broker cannot be reached, or does not answer in
// time. A message may or may not have been stored; it can be appended again under the same id.
var ErrUnavailable = errors.New("broker: not available")

const (
	connectTime = 2 * time.Second        // for a connection to one server
	embedTime   = 30 * time.Second       // for the embedded server to start
	requestTime = 5 * time.Second        // for one request, if its context has no earlier end
	drainTime   = time.Second            // for operations in progress when Close is called
	writeTime   = 5 * time.Second        // for a write to a server: a frozen one would block everything
	pingTime    = time.Second            // between two pings to the server
	pings       = 3                      // that may go unanswered: the connection leaves a silent server after 3 to 4 s, before an election can end
	inProcess   = 30 * time.Second       // for a connection or a write to the embedded server, and between two pings: no network can lose it
	lastTime    = 300 * time.Millisecond // for the last look at the stream
	reconnect   = 250 * time.Millisecond // between two attempts to reach a cluster
)

// Config says which NATS servers to use, and how.
type Config struct {
	// URL lists a NATS cluster's servers, such as nats://one:4222,nats://two:4222. Without it a NATS server
	// runs inside the process, with no listener, and keeps its files under Dir.
	URL string
	// Credentials is the file with the user's JWT and seed for the cluster; none by default.
	Credentials string
	// CA is the file with the CA certificates for verifying the cluster's (PEM); the system's by default.
	CA string
	// Cert and Key are the files of our own certificate for the cluster (PEM); none by default.
	Cert, Key string
	// Replicas is how many servers of the cluster keep each stream: 1, 3 or 5. With 0, the default, it is
	// three, or one if the cluster has fewer than three servers.
	Replicas int
	// Dir is the data folder of the embedded server; it is created, with mode 0700, if necessary.
	Dir string
	// Sync is how often the embedded server's files are synced to disk. With 0, the default, they are
	// synced before each acknowledgement; otherwise a power cut loses up to this much time.
	Sync time.Duration
	// Compare is the time between two comparisons of tails; 3 s by default.
	Compare time.Duration
	// Logger logs what an operator should know; slog.Default() by default.
	Logger *slog.Logger

	lostAfter time.Duration // defaultLost
}

// Broker is a connection to NATS, and the server inside the process if there is one. Its methods may be called
// from any goroutine.
type Broker struct {
	config  Config
	log     *slog.Logger
	conn    *nats.Conn
	js      jetstream.JetStream
	server  *embedded // nil with a URL
	folder  *folder   // the same
	unlock  func()
	closed  chan struct{} // the connection is
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	up      atomic.Bool  // there is a connection, as far as its callbacks have told
	largest atomic.Int64 // the largest message that the servers take, in bytes
	stores  *stores
	full    atomic.Uint64 // times that listenQueue, or another queue of NATS's messages, was reached
	crowded atomic.Uint64 // times that journalInFlight was reached
	unread  atomic.Uint64 // times that an append waited until this node had read more

	elections elections

	mu        sync.Mutex
	link      context.Context // ends when the connection is lost
	unlink    context.CancelFunc
	awaited   string    // what the last line about waiting named
	told      time.Time // when it was logged
	few       time.Time // when a cluster first had too few servers
	logs      []*Log
	sets      []*Set
	listeners []*Listener
	buses     []*Bus
	journals  []*Journal
}

// Open starts the embedded server, or connects to Config.URL. It waits for a cluster until ctx ends, since that may be
// started later. It returns immediately with an error that waiting cannot fix, and that says what a person can do: an
// invalid URL, a refused user or certificate, servers without JetStream. Close ends what Open began.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Compare == 0 {
		cfg.Compare = 3 * time.Second
	}
	if cfg.lostAfter == 0 {
		cfg.lostAfter = defaultLost
	}
	b := &Broker{
		config:    cfg,
		log:       cfg.Logger,
		stores:    newStores(),
		elections: elections{terms: map[string]*term{}},
		closed:    make(chan struct{}),
		unlock:    func() {},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.unlink = func() {}
	b.newLink()
	stop := context.AfterFunc(ctx, b.cancel) // which ends dialing
	defer stop()
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Broker) open(ctx context.Context) error {
	options := []nats.Option{
		nats.Name("echows"),
		nats.Timeout(connectTime),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // otherwise it gives up after two refusals
		nats.ReconnectWait(reconnect),
		nats.PingInterval(pingTime), // so that a server that accepts everything but is silent is noticed
		nats.MaxPingsOutstanding(pings),
		nats.FlusherTimeout(writeTime),
		nats.ReconnectOnFlusherError(),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.up.Store(false)
			b.newLink()
			if b.ctx.Err() == nil {
				b.log.Warn("the broker is gone", "error", err)
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			b.log.Info("the broker is back")
			b.isUp(conn)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) { // once, until the queue has room again
				b.full.Add(1)
				if b.slowBus(s.Subject) {
					return
				}
				b.log.Warn("live messages were dropped, and will be read from the stream", "subject", s.Subject)
				return
			}
			b.log.Warn("broker", "error", err)
		}),
	}
	if b.config.URL == "" {
		if err := b.embed(); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(b.server),
			nats.Timeout(inProcess), nats.PingInterval(inProcess), nats.FlusherTimeout(inProcess))
	}
	if err := b.connect(ctx, append(options, b.config.access()...)); err != nil {
		return err
	}
	b.isUp(b.conn)
	var err error
	if b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(requestTime)); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if b.config.URL != "" {
		if err := b.hearElections(); err != nil {
			return err
		}
	}
	if err := b.askForJetStream(ctx); err != nil {
		return err
	}
	if b.config.URL != "" {
		b.checkSync()
	}
	return nil
}

// access returns the options by which the cluster and this program authenticate each other.
func (c *Config) access() (options []nats.Option) {
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		options = append(options, nats.ClientCert(c.Cert, c.Key))
	}
	return options
}

// checkSync logs whether the cluster syncs before it acknowledges, which only its system account may know.
func (b *Broker) checkSync() {
	const advice = "set jetstream { sync_interval: always } on each server, or a power cut can lose acknowledged messages"
	m, err := b.conn.Request("$SYS.REQ.SERVER.PING.JSZ", nil, time.Second/2)
	switch {
	case err != nil || !strings.Contains(string(m.Data), `"config"`):
		b.log.Info("the cluster does not say whether it syncs before it acknowledges: make sure that sync_interval is always")
	case !strings.Contains(string(m.Data), `"sync_always":true`):
		b.log.Warn("the cluster does not sync before it acknowledges", "advice", advice)
	}
}

// isUp notes that there is a connection, and makes everybody look for what was missed in the meantime.
func (b *Broker) isUp(conn *nats.Conn) {
	b.largest.Store(conn.MaxPayload())
	b.up.Store(conn.IsConnected())
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.logs {
		l.compareSoon()
	}
	for _, s := range b.sets {
		s.compareSoon()
	}
	for _, j := range b.journals {
		j.lookSoon()
	}
	for _, bus := range b.buses {
		bus.greetSoon()
	}
}

// tooLarge returns an error for a message that is too large for the servers.
func (b *Broker) tooLarge(size int) error {
	if limit := b.largest.Load(); int64(size) > limit {
		return fmt.Errorf("broker: a message of %d bytes is larger than the %d that the NATS servers accept; raise max_payload in their configuration", size, limit)
	}
	return nil
}

// Close gives operations in progress a second to end, and stops the embedded server. It may be called again.
func (b *Broker) Close() {
	b.cancel()
	b.mu.Lock()
	listeners, buses, journals := b.listeners, b.buses, b.journals
	b.listeners, b.buses, b.journals = nil, nil, nil
	b.mu.Unlock()
	for _, j := range journals {
		j.Close()
	}
	for _, bus := range buses {
		bus.Close()
	}
	for _, l := range listeners {
		l.Close()
	}
	b.running.Wait()
	if b.conn != nil { // before its server: publishing to a server that is gone hangs
		if b.conn.Drain() != nil {
			b.conn.Close()
		}
		select {
		case <-b.closed:
		case <-time.After(drainTime):
			b.conn.Close()
			<-b.closed
		}
	}
	if b.server != nil {
		b.server.stop()
	}
	if b.folder != nil {
		b.folder.close()
	}
	b.unlock()
	b.unlock = func() {}
}

// redacted returns a list of URLs without their passwords.
func redacted(urls string) string {
	all := strings.Split(urls, ",")
	for i, one := range all {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil {
			all[i] = u.Redacted()
		} else {
			all[i] = "(not a URL)"
		}
	}
	return strings.Join(all, ",")
}

// ValidTopic reports whether s can be a topic's name: 1 to 64 of a–z, 0–9, - and _. NATS would accept other
// characters, and treat some of them as wildcards.
func ValidTopic(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}
