package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	busBeat    = time.Second      // between two heartbeats of a node
	busSilence = 3 * time.Second  // after which a node is gone
	busBeats   = 1024             // heartbeats that may wait to be handled
	busOutbox  = 16 << 20         // bytes that may wait to be sent; past that, messages are refused
	busAskTime = 30 * time.Second // for answers, if the context has no deadline
	nodeSize   = 8                // bytes of a node's id
)

// A bus's subjects, after "bus.<name>.".
const (
	busMessages = "m."   // and the subject
	busAll      = "all"  // hello, goodbye, questions
	busTo       = "to."  // and the node: welcome, questions to it alone, answers; then "." and a number: it is not there
	busAlive    = "beat" // heartbeats
)

// Bus carries messages between the nodes of a cluster, at most once, and stores nothing. Its methods may
// be called from any goroutine, and also from the functions given to Serve, except those that wait: Ask,
// AskNode, Flush and Close.
//
// Every message begins with the id of its node, because NATS sends our own back to us: the connection is
// shared with others, who want theirs.
type Bus struct {
	broker   *Broker
	prefix   string
	node     string
	interval time.Duration // busBeat
	silence  time.Duration // busSilence

	message func(node, subject string, data []byte)
	asked   func(node string, data []byte, answer func([]byte))
	changed func()

	queue *subscriptions // everything but heartbeats, in order
	beats *subscriptions // apart from the queue, so that a flood of messages hides no node
	out   outbox
	greet chan struct{} // holds one when the others are to be greeted now
	slow  atomic.Bool   // the queue was full since the last look at it

	parts map[string]*inPart // by node; only for run

	number atomic.Uint64 // sent with our heartbeats

	published, failed, received atomic.Uint64

	end     chan struct{}
	running sync.WaitGroup
	serving sync.Once
	closing sync.Once

	mu      sync.Mutex
	closed  bool
	nodes   map[string]*member
	asking  map[uint64]*asking
	lastAsk uint64
}

// BusStats counts since OpenBus, except Nodes.
type BusStats struct {
	Published uint64 // messages, questions and answers that were sent
	Received  uint64 // messages that were handed over
	Dropped   uint64 // messages dropped because too many were waiting here
	Failed    uint64 // messages, questions and answers that could not be sent
	Nodes     int    // other nodes that are alive now
}

// OpenBus joins the nodes that opened a bus of that name (lower-case letters). From Serve on, the others see
// this node as alive, and it sees them.
func (b *Broker) OpenBus(ctx context.Context, name string) (*Bus, error) {
	return b.openBus(ctx, name, busBeat, busSilence)
}

func (b *Broker) openBus(ctx context.Context, name string, interval, silence time.Duration) (*Bus, error) {
	if !lowerLetters(name) {
		return nil, fmt.Errorf("broker: %q is not a name for a bus: use lower-case letters", name)
	}
	bus := &Bus{
		broker:   b,
		prefix:   "bus." + name + ".",
		node:     newNode(),
		interval: interval,
		silence:  silence,
		queue:    newSubscriptions(b.conn, listenQueue),
		beats:    newSubscriptions(b.conn, busBeats),
		out:      outbox{ready: make(chan struct{}, 1)},
		greet:    make(chan struct{}, 1),
		parts:    map[string]*inPart{},
		end:      make(chan struct{}),
		nodes:    map[string]*member{},
		asking:   map[uint64]*asking{},
	}
	if err := b.patiently(ctx, "the bus "+name, bus.subscribe); err != nil {
		bus.Close()
		return nil, fmt.Errorf("cannot open the bus %s: %w", name, err)
	}
	bus.running.Go(bus.write)
	b.mu.Lock()
	b.buses = append(b.buses, bus)
	b.mu.Unlock()
	return bus, nil
}

func (b *Bus) subscribe(ctx context.Context) error {
	for _, subject := range []string{busAll, busTo + b.node, busTo + b.node + ".*"} {
		if err := b.queue.add(b.prefix + subject); err != nil {
			return err
		}
	}
	if err := b.beats.add(b.prefix + busAlive); err != nil {
		return err
	}
	return b.roundTrip(ctx)
}

// roundTrip waits until the server has handled all that was sent to it.
func (b *Bus) roundTrip(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if err := b.broker.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func lowerLetters(s string) bool {
	for _, c := range []byte(s) {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

// newNode makes an id.
func newNode() string { return strings.ToLower(rand.Text()[:nodeSize]) }

// Node returns this node's id: 8 lower-case letters and digits, new at each start.
func (b *Bus) Node() string { return b.node }

// Serve starts the bus: it greets the others, which answer immediately. It does not wait, and must be called
// once.
//
//   - message is called with what other nodes publish to subjects this one listens to, in each node's
//     order across all subjects;
//   - asked is called with what other nodes Ask; it may call answer later, from any goroutine, once;
//   - changed is called when Nodes has changed.
//
// They are called one at a time. Up to 8192 messages wait in the meantime; then NATS drops messages, which
// Stats counts. So none of the functions may block for long. They may keep data.
func (b *Bus) Serve(message func(node, subject string, data []byte), asked func(node string, data []byte, answer func([]byte)), changed func()) {
	b.serving.Do(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed {
			return
		}
		b.message, b.asked, b.changed = message, asked, changed
		b.running.Go(b.run)
		b.running.Go(b.keepAlive)
	})
}

// run handles everything that is received. Only it changes which nodes are alive.
func (b *Bus) run() {
	tick := time.NewTicker(b.interval)
	defer tick.Stop()
	for {
		select {
		case m := <-b.queue.queue:
			b.receive(m)
		case m := <-b.beats.queue:
			b.hear(m)
		case <-tick.C:
			b.sweep()
		case <-b.end:
			return
		}
	}
}

// receive handles a message of the queue.
func (b *Bus) receive(m *nats.Msg) {
	if nobodyThere(m) {
		b.notThere(m.Subject)
		return
	}
	node, ok := b.hear(m)
	if !ok {
		return
	}
	data, ok := b.join(node, m)
	if !ok {
		return
	}
	if subject, ok := strings.CutPrefix(m.Subject[len(b.prefix):], busMessages); ok {
		b.received.Add(1)
		b.message(node, subject, data)
		return
	}
	b.control(node, data)
}

// Publish sends to the other nodes that listen to the subject, at most once each, never to this one. One
// node's messages arrive in order. Publish never waits: up to 16 MiB wait to be sent, and a message past that,
// or while there is no connection, is refused with ErrUnavailable. A message that is too large for the servers is
// sent in parts; one of more than 16 MiB is refused. Data may be reused when it returns.
func (b *Bus) Publish(subject string, data []byte) error {
	if !validSubject(subject) {
		return fmt.Errorf("broker: %q is not a subject", subject)
	}
	return b.post(outgoing{subject: b.prefix + busMessages + subject, data: b.mark(data), counted: true})
}

// mark puts this node's id before parts of a message.
func (b *Bus) mark(parts ...[]byte) []byte {
	n := nodeSize
	for _, p := range parts {
		n += len(p)
	}
	data := append(make([]byte, 0, n), b.node...)
	for _, p := range parts {
		data = append(data, p...)
	}
	return data
}

// Listen begins receiving what is published to a subject: letters, digits, - and _, with dots as
// separators. It does not wait for a round trip; Flush does.
func (b *Bus) Listen(subject string) error {
	if !validSubject(subject) {
		return fmt.Errorf("broker: %q is not a subject", subject)
	}
	return b.queue.add(b.prefix + busMessages + subject)
}

// Unlisten ends what Listen began. Waiting messages are still handed over.
func (b *Bus) Unlisten(subject string) { b.queue.remove(b.prefix + busMessages + subject) }

// Flush waits until the server has everything that was published, and knows what this node listens to. The
// other servers of a cluster know a moment later. If ctx has no deadline, Flush waits 5 s at most.
func (b *Bus) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	written := make(chan struct{})
	if err := b.post(outgoing{written: written}); err != nil {
		return err
	}
	select {
	case <-written:
		return b.roundTrip(ctx)
	case <-b.end:
		return fmt.Errorf("%w: the bus is closed", ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("%w: flush: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// validSubject reports whether s can be listened to: 1 to 200 bytes.
func validSubject(s string) bool {
	before := byte('.')
	for _, c := range []byte(s) {
		switch {
		case c == '.' && before == '.':
			return false
		case c == '.', c == '-', c == '_', c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		default:
			return false
		}
		before = c
	}
	return before != '.' && len(s) <= 200
}

// Stats returns the counters.
func (b *Bus) Stats() BusStats {
	b.mu.Lock()
	nodes := len(b.nodes)
	b.mu.Unlock()
	return BusStats{
		Published: b.published.Load(),
		Received:  b.received.Load(),
		Dropped:   b.queue.lost(),
		Failed:    b.failed.Load(),
		Nodes:     nodes,
	}
}

// slowBus tells a bus that NATS drops its messages, if the subject belongs to one.
func (b *Broker) slowBus(subject string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bus := range b.buses {
		if strings.HasPrefix(subject, bus.prefix) {
			bus.slow.Store(true)
		}
	}
	return strings.HasPrefix(subject, "bus.")
}

// Close says goodbye to the others, so that they need not wait for silence, and waits for the current call of
// a function given to Serve, which therefore must not call it. It may be called again.
func (b *Bus) Close() {
	b.closing.Do(func() {
		b.out.put(outgoing{subject: b.prefix + busAll, data: b.mark([]byte{kindBye}), last: true})
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
		close(b.end)
		b.queue.removeAll()
		b.beats.removeAll()
		b.broker.forget(b)
	})
	b.running.Wait()
}
