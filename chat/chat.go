package chat

import (
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/hub"
	"echows/internal/seldom"
	"echows/ws"
)

// Config holds a Chat's settings. Only Secret has no default.
type Config struct {
	// Secret signs sessions: at least 16 bytes, the same on every node.
	Secret []byte
	// Keep is how many messages of a room are kept; 1,000 by default, at most MaxKeep.
	Keep int
	// MaxAge is how long a message is kept; 30 days by default.
	MaxAge time.Duration
	// MaxBytes bounds the disk space of all messages, in bytes; 1 GiB by default. The oldest are dropped first.
	MaxBytes int64
	// Database is the URL of a PostgreSQL database that every message is copied into; none by default.
	Database string
	// Remembered bounds the messages that all rooms together keep in memory, in bytes; 32 MiB by default. The rest
	// is read from the stream when a client asks for it.
	Remembered int
	// Bus connects the nodes that share the messages; nil for a single node. The Chat serves and closes it.
	Bus *broker.Bus
	// Limits bound what one connection and one address may do.
	Limits Limits
	// Logger logs refusals and failures; slog.Default() by default. Texts, tickets and tokens are never logged. Clients can
	// cause any number of lines, so its handler has to bound them; each kind has one constant message.
	Logger *slog.Logger
}

// MaxKeep is the most that Config.Keep can be.
const MaxKeep = 10_000

// Limits bound what one connection and one address may do. The defaults suit a class of fifty behind
// one address.
type Limits struct {
	Posts      rate.Limit // messages a second of one connection, or of one session by requests; 20 by default, in bursts of twice as many
	Connects   rate.Limit // upgrades a second of one address, and as many tickets; 50 by default, in bursts of ten times as many
	Sessions   rate.Limit // sessions a second that one address may begin; 10 by default, in bursts of ten times as many. It may end a tenth as many
	TicketTime time.Duration

	// AddressPosts is how many messages a second one address may post, over all its connections and requests; 200 by
	// default, in bursts of ten times as many. rate.Inf is no limit.
	AddressPosts rate.Limit
}

func (cfg *Config) setDefaults() {
	setDefault(&cfg.Keep, 1000)
	setDefault(&cfg.MaxAge, 30*24*time.Hour)
	setDefault(&cfg.MaxBytes, 1<<30)
	setDefault(&cfg.Remembered, 32<<20)
	setDefault(&cfg.Limits.Posts, 20)
	setDefault(&cfg.Limits.AddressPosts, 200)
	setDefault(&cfg.Limits.Connects, 50)
	setDefault(&cfg.Limits.Sessions, 10)
	setDefault(&cfg.Limits.TicketTime, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

const (
	duplicates = 5 * time.Minute  // how long an id is remembered
	postTime   = 20 * time.Second // for the broker to store a message: a cluster that loses its leader needs some seconds
	openTime   = 5 * time.Second  // for opening a room
	mostLoads  = 4                // rooms for which the stream is read at a time; others wait
	keepTime   = time.Second      // between two runs of keep
	quietTime  = 10 * time.Second // how long a room without members stays open
)

// Chat is the rooms of one node. Its methods may be called from any goroutine.
type Chat struct {
	config  Config
	log     *slog.Logger
	app     *ws.App
	hub     *hub.Hub
	entries *broker.Log
	archive *archive    // nil without a database
	ended   *broker.Set // sessions that were signed out
	bus     *broker.Bus // nil on one node
	node    string      // this process, among the nodes

	counts *counters

	shelf     shelf         // what rooms remember
	pages     atomic.Int64  // bytes of histories, made for one member each, that are being sent
	answering atomic.Int64  // bytes of answers with older messages that are being written
	loads     chan struct{} // holds one for each room for which the stream is read

	addressPosts *middleware.RateLimiterMemoryStore // by address
	userPosts    *middleware.RateLimiterMemoryStore // by User.ID, of requests
	addressReads *middleware.RateLimiterMemoryStore // by address, of parts of answers
	answers      *gate
	tooManyLines seldom.Lines // of the log: requests past a limit

	tickets  *tickets
	online   online
	presence *presence
	running  sync.WaitGroup
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc

	mu    sync.Mutex
	rooms map[string]*room
	quiet *list.List // rooms without members, the one without them for longest first
}

// Open makes a Chat that stores its messages with b. Close closes it and Config.Bus; close b after that.
func Open(ctx context.Context, app *ws.App, h *hub.Hub, b *broker.Broker, cfg Config) (*Chat, error) {
	cfg.setDefaults()
	if len(cfg.Secret) < 16 {
		return nil, errors.New("the secret that signs sessions needs at least 16 bytes")
	}
	if cfg.Keep < 1 || cfg.Keep > MaxKeep {
		return nil, fmt.Errorf("a room can keep 1 to %d messages", MaxKeep)
	}
	c := &Chat{
		config:  cfg,
		log:     cfg.Logger,
		app:     app,
		hub:     h,
		bus:     cfg.Bus,
		node:    rand.Text()[:8],
		tickets: newTickets(cfg.Limits.TicketTime),
		shelf:   shelf{limit: cfg.Remembered},
		loads:   make(chan struct{}, mostLoads),
		rooms:   map[string]*room{},
		quiet:   list.New(),
		counts:  newCounters(),

		addressPosts: limiter(cfg.Limits.AddressPosts, 10),
		userPosts:    limiter(cfg.Limits.Posts, 2),
		addressReads: limiter(cfg.Limits.Connects, 10),
		answers:      newGate(answersAtOnce, addressAnswers),
	}
	c.presence = newPresence(h, cfg.Logger, cfg.Bus)
	if c.bus != nil {
		c.node = c.bus.Node()
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var err error
	var archived uint64 // sequence; the stream goes on above it
	if cfg.Database != "" {
		if c.archive, archived, err = openArchive(ctx, cfg.Database, c.log); err != nil {
			return nil, err
		}
	}
	if c.entries, err = b.OpenLog(ctx, broker.LogConfig{
		Name:       "chat",
		PerTopic:   cfg.Keep,
		MaxAge:     cfg.MaxAge,
		MaxBytes:   cfg.MaxBytes,
		Duplicates: min(duplicates, cfg.MaxAge),
		After:      archived,
	}); err == nil && c.archive != nil {
		err = c.archive.begin(ctx, c.entries)
	}
	if err == nil {
		c.ended, err = b.OpenSet(ctx, c.endedSessions())
	}
	if err != nil {
		if c.archive != nil {
			c.archive.close()
		}
		return nil, err
	}
	if c.archive != nil {
		c.running.Go(func() { c.archive.run(c.ctx) })
		c.running.Go(func() { c.archive.watch(c.ctx) })
	}
	if c.bus != nil {
		if err := c.presence.listen(); err != nil {
			c.Close()
			return nil, err
		}
		c.bus.Serve(c.presence.heard, c.asked, c.presence.nodesChanged)
	}
	c.running.Go(func() { c.presence.run(c.ctx) })
	c.running.Go(c.keep)
	return c, nil
}

// keep closes quiet rooms, drops expired tickets, and asks other nodes for missing news, once a second. While
// there is nothing to do, that costs nothing, however many rooms there are.
func (c *Chat) keep() {
	tick := time.NewTicker(keepTime)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			c.closeQuiet(now)
			c.tickets.sweep(now)
			c.presence.look()
		case <-c.ctx.Done():
			return
		}
	}
}

// Ready returns an error that says what the chat lacks, or nil. The Broker's Ready tells whether posts can be
// stored.
func (c *Chat) Ready(ctx context.Context) error {
	if c.archive == nil {
		return nil
	}
	return c.archive.ready()
}

// Archive returns the state of the copy in the database. Without a database it is zero.
func (c *Chat) Archive() ArchiveStats {
	if c.archive == nil {
		return ArchiveStats{}
	}
	return c.archive.stats()
}

// Rooms returns how many rooms are open on this node.
func (c *Chat) Rooms() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rooms)
}

// Close closes the rooms, the copy and the bus, and waits. Close the sockets first.
func (c *Chat) Close() {
	c.cancel()
	c.running.Wait()
	if c.bus != nil {
		c.bus.Close() // which tells the other nodes that nobody is here any more
	}
	c.mu.Lock()
	rooms := c.rooms
	c.rooms = map[string]*room{}
	c.mu.Unlock()
	for _, r := range rooms {
		if r.opened() {
			r.follower.Stop()
		}
	}
	if c.archive != nil {
		c.archive.close()
	}
}
