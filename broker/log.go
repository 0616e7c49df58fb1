package broker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	attemptTime = 2 * time.Second        // for the first attempt to append
	againTime   = time.Second / 2        // for each later one, so that a newly elected leader is found soon
	attemptWait = 100 * time.Millisecond // between two
	storingWait = 10 * time.Millisecond  // the same, at first, while an earlier attempt is being stored
	lostWait    = 5 * time.Minute        // between two log lines about a lost tail
	lostDoubt   = 2 * time.Second        // before the first: a new leader may lag behind for a moment
	failingTime = 4 * time.Second        // how long a failure counts, unless something is stored: nobody else may try
)

// LogConfig says what a Log keeps.
type LogConfig struct {
	// Name is the stream's: lower-case letters.
	Name string
	// PerTopic is how many messages of a topic are kept.
	PerTopic int
	// MaxAge is how long a message is kept.
	MaxAge time.Duration
	// MaxBytes bounds the disk space of all messages, in bytes. The oldest are dropped first.
	MaxBytes int64
	// Duplicates is how long an id is remembered. It should be much longer than a message can be on its way: a copy that
	// arrives later, over a connection that was lost, is stored again.
	Duplicates time.Duration
	// After is a sequence that a message has in a copy of the stream: messages stored from now on get higher
	// sequences.
	After uint64
}

// Entry is one message of a Log.
type Entry struct {
	Topic string
	Seq   uint64 // rises within the Log, and so within the topic; never assigned twice, even if the stream is lost
	Data  []byte
	// Skipped reports, to a Follower's deliver, that entries before this one were discarded before they could be
	// delivered.
	Skipped bool

	id string // under which it was appended
}

// Log is a stream of messages by topic, which everybody sees in one order. Its methods may be called from any
// goroutine.
type Log struct {
	broker *Broker
	config LogConfig
	stream string // its name in NATS
	live   *Listener
	soon   chan struct{} // holds one when tails are to be compared now

	ctx     context.Context // ends what reads the stream
	running *sync.WaitGroup // counts what reads the stream

	known atomic.Pointer[epochs] // of the stream; nil for none
	least atomic.Int64           // number of messages of a topic that the stream ever kept

	// Owned by OpenLog, then by compareTails.
	marked     mark // what was written down
	complained time.Time
	behind     time.Time // since when the stream ends before a sequence that was seen; zero if it does not
	resume     time.Time // when appends may go on after a loss: until then some nodes may not know of the new epoch
	compared   uint64    // NATS' last sequence when tails were compared
	rounds     int       // how often they were compared since the stream had it
	tails      []tail    // of which followers have yet to be told
	tailsWait  uint64    // messages that live must have handled before

	refuses atomic.Bool // appends, while the stream is behind
	answers atomic.Bool // the stream answered when tails were compared last

	// twice is the first of NATS' sequences that the stream is known to have assigned a second time, or 0. It proves that the
	// stream has lost its end, however far it goes now. From there on nothing is acknowledged until an epoch begins.
	twice atomic.Uint64

	home os.FileInfo // the stream's folder, when it was opened; nil on a cluster

	asking sync.Mutex // held while one call asks for Ready
	asked  asked      // the last good answer

	mu        sync.Mutex
	followers map[string]*Follower // by topic
	highest   uint64               // the last sequence seen, as shown
	failing   error                // why the last Append failed, if the broker was the reason
	failed    time.Time            // when
}

// OpenLog creates the stream, or updates it to cfg. A Log of a name may be opened once.
func (b *Broker) OpenLog(ctx context.Context, cfg LogConfig) (*Log, error) {
	l := &Log{
		broker:    b,
		config:    cfg,
		stream:    strings.ToUpper(cfg.Name),
		soon:      make(chan struct{}, 1),
		ctx:       b.ctx,
		running:   &b.running,
		followers: map[string]*Follower{},
		highest:   cfg.After,
	}
	var info *jetstream.StreamInfo
	var made bool
	err := b.patiently(ctx, "the stream "+l.stream, func(ctx context.Context) (err error) {
		info, made, err = l.openStream(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if lost := info.State.Lost; lost != nil {
		return nil, fmt.Errorf("the stream %s is damaged: %d messages (%d bytes) cannot be read; restore its files, or start over with another folder (-data)",
			l.stream, len(lost.Msgs), lost.Bytes)
	}
	if err := l.checkMark(info.State, made); err != nil {
		return nil, err
	}
	if last := info.State.LastSeq; last > 0 {
		l.highest = max(l.highest, l.epochs().seq(last))
	}
	if err := l.setMark(info.State); err != nil {
		return nil, err
	}
	if l.home, err = b.homeOf(l.stream); err != nil {
		return nil, err
	}
	l.live = b.listen(l.handOut)
	l.answers.Store(true)
	b.mu.Lock()
	b.logs = append(b.logs, l)
	b.mu.Unlock()
	b.running.Go(l.compareTails)
	return l, nil
}

// makeStream creates or updates a stream. In a cluster it asks for three replicas, or for Config.Replicas.
func (b *Broker) makeStream(ctx context.Context, want jetstream.StreamConfig,
	create func(context.Context, jetstream.StreamConfig) (jetstream.Stream, error)) (*jetstream.StreamInfo, error) {
	want.Replicas = b.replicas()
	stream, err := create(ctx, want)
	if want.Replicas > 1 && b.tooFewServers(err) {
		b.log.Warn("the cluster cannot keep three replicas of the stream", "stream", want.Name, "error", err)
		want.Replicas = 1
		stream, err = create(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// tooFewServers reports whether a cluster is too small for the replicas that were asked for, if Config.Replicas does not
// say how many there must be. Its servers have some time to start. No other error is a reason to keep fewer replicas.
func (b *Broker) tooFewServers(err error) bool {
	var refused *jetstream.APIError
	if b.config.Replicas != 0 || !errors.As(err, &refused) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused.ErrorCode == codeNoPeers && b.few.IsZero() {
		b.few = time.Now()
	}
	return refused.ErrorCode == codeNotClustered || refused.ErrorCode == codeNoPeers && time.Since(b.few) > fewTime
}

// replicas returns how many replicas to ask for: three by default, as a cluster should have at least three servers.
func (b *Broker) replicas() int {
	switch {
	case b.config.Replicas != 0:
		return b.config.Replicas
	case b.conn.ConnectedClusterName() != "":
		return 3
	}
	return 1
}

func (l *Log) subject(topic string) string     { return l.config.Name + "." + topic }
func (l *Log) liveSubject(topic string) string { return "live." + l.config.Name + "." + topic }

// Append stores data under the topic, and returns its sequence when it is on disk. The same id again within
// LogConfig.Duplicates stores nothing: Append returns the first one's sequence, and that it was stored before. Ids are
// compared across all topics. While the broker is unavailable, Append keeps trying until ctx ends, but it does not wait
// for a data folder that is full or gone. While this node is far behind with reading, Append first waits up to 2 s. The error is
// ErrUnavailable: the message may be stored, or be on its way and be stored later, after messages that were appended
// later. Append with the same id finds it then.
func (l *Log) Append(ctx context.Context, topic, id string, data []byte) (seq uint64, before bool, err error) {
	if !ValidTopic(topic) {
		return 0, false, fmt.Errorf("broker: %q is not a topic", topic)
	}
	since := time.Now()
	seq, before, err = l.append(ctx, topic, id, data)
	switch {
	case err == nil && !before:
		l.broker.stores.isStored(since)
	case err != nil && !errors.Is(ctx.Err(), context.Canceled): // a caller that gave up says nothing about the broker
		l.broker.stores.failed.Add(1)
	}
	return seq, before, err
}

// append is Append with a valid topic.
func (l *Log) append(ctx context.Context, topic, id string, data []byte) (seq uint64, before bool, err error) {
	l.awaitReading(ctx, topic)
	storing := storingWait
	for limit := attemptTime; ; limit = againTime {
		if l.refuses.Load() {
			return 0, false, l.errLost()
		}
		highest := l.highestSeen()
		if err = l.broker.folderFailure(); err != nil {
			return 0, false, fmt.Errorf("%w: append: %w", ErrUnavailable, err)
		}
		seq, before, err = l.attempt(ctx, limit, topic, id, data)
		if err == nil && !before && seq <= highest { // the stream has lost its end, which nobody has noticed yet
			l.noteLost(seq)
			l.compareSoon()
			return 0, false, l.errLost()
		}
		if err == nil {
			err = l.checkHome() // before acknowledging
		}
		if err == nil || isFinal(err) || ctx.Err() != nil {
			break
		}
		if l.broker.blame(err) {
			continue // the next round returns the reason
		}
		wait := attemptWait
		if isStoring(err) { // which may take long: the stream may have lost its quorum
			wait, storing = storing, min(2*storing, attemptWait)
		} else {
			l.noteRefusal(err)
		}
		select {
		case <-time.After(wait):
			continue
		case <-ctx.Done():
		case <-l.broker.ctx.Done():
		}
		break
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // as above
			l.failing, l.failed = err, time.Now()
		}
		return 0, false, fmt.Errorf("%w: append to the stream %s: %w", ErrUnavailable, l.stream, err)
	}
	l.failing = nil
	l.highest = max(l.highest, seq)
	return seq, before, nil
}

// noteLost notes that a message was stored under a sequence that another one had, and refuses later messages.
func (l *Log) noteLost(seq uint64) {
	l.refuses.Store(true)
	raw, exact := l.epochs().floor(seq)
	if !exact || raw == 0 { // another epoch has begun in the meantime
		return
	}
	for before := l.twice.Load(); (before == 0 || raw < before) && !l.twice.CompareAndSwap(before, raw); {
		before = l.twice.Load()
	}
}

func (l *Log) errLost() error {
	return fmt.Errorf("%w: append: the stream %s has lost its end", ErrUnavailable, l.stream)
}

func (l *Log) attempt(ctx context.Context, limit time.Duration, topic, id string, data []byte) (seq uint64, before bool, err error) {
	ctx, cancel := l.broker.during(ctx, limit)
	defer cancel()
	m := &nats.Msg{Subject: l.subject(topic), Data: data, Header: nats.Header{jetstream.MsgIDHeader: {id}}}
	var ack *jetstream.PubAck
	err = l.broker.askLeader(ctx, l.stream, func(ctx context.Context) (err error) {
		ack, err = l.broker.js.PublishMsg(ctx, m, jetstream.WithExpectStream(l.stream))
		return err
	})
	if err != nil {
		return 0, false, explained(ctx, err)
	}
	return l.epochs().seq(ack.Sequence), ack.Duplicate, nil
}

// noteRefusal lets Ready know, while an append keeps trying, that the stream answers but stores nothing.
func (l *Log) noteRefusal(err error) {
	if refused := (*jetstream.APIError)(nil); !errors.As(err, &refused) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing, l.failed = err, time.Now()
}

// isStoring reports whether an attempt was refused because an earlier one, under the same id, is being stored.
func isStoring(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.Code == http.StatusConflict
}

// isFinal reports whether trying again is useless.
func isFinal(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refusedForGood(refused) || errors.Is(err, nats.ErrMaxPayload) ||
		errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, errGone)
}

// State returns the first and the last sequence of the whole Log. It is empty if first > last.
func (l *Log) State(ctx context.Context) (first, last uint64, err error) {
	s, err := l.state(ctx)
	if err != nil {
		return 0, 0, err
	}
	es := l.epochs()
	return es.seq(s.FirstSeq), es.seq(s.LastSeq), nil
}

func (l *Log) state(ctx context.Context) (jetstream.StreamState, error) {
	info, err := l.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, nil
}

// info asks the stream's leader for the stream's configuration and state. An answer from a server without a leader, or
// from a leader without a quorum, may be old, and is an error.
func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := l.broker.during(ctx, requestTime)
	defer cancel()
	part := "the state of the stream " + l.stream
	info, err := l.broker.streamInfo(ctx, l.stream)
	if err != nil {
		return nil, unavailable(ctx, part, err)
	}
	if err = leads(l.stream, info.Cluster); err == nil {
		err = l.checkHome()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return info, nil
}

// streamInfo asks a stream's leader for what it knows of the stream.
func (b *Broker) streamInfo(ctx context.Context, stream string) (info *jetstream.StreamInfo, err error) {
	err = b.askLeader(ctx, stream, func(ctx context.Context) error {
		s, err := b.js.Stream(ctx, stream)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info, err
}

func (l *Log) highestSeen() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.highest
}

// entry reads a message that the stream sent as an answer or republished. A publisher's fields with the same names come
// first, so the last value is the server's.
func entry(m *nats.Msg) (e Entry, last uint64, ok bool) {
	field := func(name string) string {
		if values := m.Header.Values(name); len(values) > 0 {
			return values[len(values)-1]
		}
		return ""
	}
	subject := field(jetstream.SubjectHeader)
	seq, err := strconv.ParseUint(field(jetstream.SequenceHeader), 10, 64)
	if err != nil || seq == 0 || subject == "" {
		return Entry{}, 0, false
	}
	last, _ = strconv.ParseUint(field(jetstream.LastSequenceHeader), 10, 64)
	return Entry{Topic: topicOf(subject), Seq: seq, Data: m.Data, id: m.Header.Get(jetstream.MsgIDHeader)}, last, true
}

// topicOf returns the last part of a subject.
func topicOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
