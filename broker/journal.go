package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JournalConfig says what a Journal keeps. It must be the same on all nodes of a cluster.
type JournalConfig struct {
	// Name is the stream's: lower-case letters.
	Name string
	// MaxAge is how long an entry or a value is kept.
	MaxAge time.Duration
	// MaxBytes limits the memory for all entries in each server, in bytes. The oldest are dropped first. There should be
	// room for the entries of about ten seconds: followers that are further behind start over.
	MaxBytes int64
	// MaxEntry limits the size of one entry, in bytes. NATS servers accept 1 MiB, which includes some overhead,
	// unless their max_payload is different.
	MaxEntry int
}

// Journal keeps entries for a short while in the memory of the NATS servers, in one order for all nodes,
// and values that can be taken once. Its methods may be called from any goroutine.
//
// It keeps working after all servers were lost: the stream is then created again. A cluster does that by itself:
// the new stream is empty, with the same creation time, and its sequences start over. So every life of the stream
// has an epoch in its subjects: entries of one life can be neither stored nor read as entries of another.
type Journal struct {
	broker   *Broker
	config   JournalConfig
	stream   string // its name in NATS
	sessions *Once

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	soon    chan struct{} // holds one when the stream is to be checked now
	checked atomic.Uint64 // the connection's reconnections before the last successful look
	closing sync.Once

	entries, values *pipe

	mu      sync.Mutex
	closed  bool
	life    *life         // nil while a new life replaces the old one
	looked  chan struct{} // closed at the next successful look
	follows map[string]*following
}

// life is the stream from its creation until it is lost.
type life struct {
	*Log
	journal *Journal
	epoch   string
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	anchor *stored // an entry that must be in the stream, unless it was discarded; Log.mu guards it
	last   uint64  // the stream's last sequence at the previous look; owned by Journal.look
}

// OpenJournal creates the stream, or updates it to cfg. Only one Journal of each name may be open at a time.
func (b *Broker) OpenJournal(ctx context.Context, cfg JournalConfig) (*Journal, error) {
	if !lowerLetters(cfg.Name) || cfg.MaxAge <= 0 || cfg.MaxBytes <= 0 || cfg.MaxEntry <= 0 {
		return nil, fmt.Errorf("broker: a journal needs a name of lower-case letters and limits above 0: %+v", cfg)
	}
	sessions, err := b.OpenOnce(ctx, cfg.Name+"_values", cfg.MaxAge)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		broker:   b,
		config:   cfg,
		stream:   strings.ToUpper(cfg.Name),
		sessions: sessions,
		soon:     make(chan struct{}, 1),
		looked:   make(chan struct{}),
		follows:  map[string]*following{},
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	if j.entries, err = j.newPipe(); err == nil {
		j.values, err = j.newPipe()
	}
	if err == nil {
		err = j.open(ctx)
	}
	if err != nil {
		j.Close()
		return nil, err
	}
	j.running.Go(j.watch)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.journals = append(b.journals, j)
	return j, nil
}

// open retries until it has found or created the stream, and updates its limits.
func (j *Journal) open(ctx context.Context) error {
	err := j.broker.patiently(ctx, "the journal "+j.config.Name, func(ctx context.Context) error {
		if err := j.look(ctx); err != nil {
			return err
		}
		info, err := j.info(ctx)
		if err != nil {
			return err
		}
		is, want := info.Config, j.streamConfig(epochOf(info))
		if is.MaxAge != want.MaxAge || is.MaxBytes != want.MaxBytes || is.MaxMsgSize != want.MaxMsgSize || is.Duplicates != want.Duplicates {
			_, err = j.broker.makeStream(ctx, want, j.broker.js.UpdateStream)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot open the journal %s: %w", j.config.Name, err)
	}
	return nil
}

func (j *Journal) streamConfig(epoch string) jetstream.StreamConfig {
	prefix := j.config.Name + "." + epoch + "."
	return jetstream.StreamConfig{
		Name:        j.stream,
		Subjects:    []string{prefix + "*"},
		Storage:     jetstream.MemoryStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      j.config.MaxAge,
		MaxBytes:    j.config.MaxBytes,
		MaxMsgSize:  int32(j.config.MaxEntry + journalHeaders),
		Duplicates:  min(j.config.MaxAge, 3*journalTime),
		AllowDirect: true,
		RePublish:   &jetstream.RePublish{Source: prefix + "*", Destination: "live." + prefix + "{{wildcard(1)}}"},
	}
}

// epochOf returns the epoch that streamConfig put into the subjects.
func epochOf(info *jetstream.StreamInfo) string {
	if parts := strings.Split(strings.Join(info.Config.Subjects, " "), "."); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// nextEpoch returns the same result on all nodes, so that nodes that detect a loss at the same time agree on the next epoch.
func nextEpoch(epoch string) string {
	name, number, _ := strings.Cut(epoch, "-")
	n, _ := strconv.Atoi(number)
	return fmt.Sprint(name, "-", n+1)
}

// reconnections counts reconnections. After each, the servers may be different ones.
func (j *Journal) reconnections() uint64 { return j.broker.conn.Stats().Reconnects }

// inDoubt reports whether the servers may have lost the stream since the last look at it.
func (j *Journal) inDoubt() bool { return j.checked.Load() != j.reconnections() }

// lookSoon asks for a look at the stream now.
func (j *Journal) lookSoon() {
	select {
	case j.soon <- struct{}{}:
	default:
	}
}

// watch checks regularly whether the stream was lost and whether followers are behind.
func (j *Journal) watch() {
	tick := time.NewTicker(j.broker.config.Compare)
	defer tick.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-j.soon:
		case <-retry.C:
		case <-j.ctx.Done():
			return
		}
		ctx, cancel := j.broker.during(j.ctx, 2*requestTime)
		err := j.look(ctx)
		if err == nil {
			err = j.sessions.ready(ctx)
		}
		cancel()
		if err != nil && j.ctx.Err() == nil {
			retry.Reset(retryWait)
			if !failing {
				j.broker.log.Warn("the journal is not available", "journal", j.config.Name, "error", err)
			}
		}
		failing = err != nil
	}
}

// look compares the stream with its previous state. If it is a different stream, the next life begins.
func (j *Journal) look(ctx context.Context) error {
	reconnections := j.reconnections()
	life := j.life // only look changes it
	if life != nil {
		life.compareAll()
	}
	info, err := j.info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		info, err = j.broker.makeStream(ctx, j.streamConfig(newNode()+"-1"), j.broker.js.CreateStream)
	case err == nil && life != nil && life.epoch == epochOf(info):
		var lost bool
		if lost, err = life.lost(ctx, info); lost {
			j.broker.log.Warn("the NATS servers have lost the journal's contents", "journal", j.config.Name, "ends", info.State.LastSeq, "had", life.highestSeen())
			info, err = j.broker.makeStream(ctx, j.streamConfig(nextEpoch(life.epoch)), j.broker.js.UpdateStream)
		}
	}
	if err != nil {
		return err
	}
	if life == nil || life.epoch != epochOf(info) {
		j.begin(epochOf(info))
		life = j.life
	}
	if err := life.setAnchor(ctx, info); err != nil {
		return err
	}
	life.confirm(info)
	j.checked.Store(reconnections)
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.looked)
	j.looked = make(chan struct{})
	return nil
}

// info asks the stream's leader. A server without a leader may lack the entries that were acknowledged last, but they are not
// lost.
func (j *Journal) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := j.broker.during(ctx, requestTime)
	defer cancel()
	info, err := j.broker.streamInfo(ctx, j.stream)
	if err != nil {
		return nil, err
	}
	if err := fromLeader(j.stream, info.Cluster); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return info, nil
}

// lost reports whether the stream has lost entries although its epoch is the same. A new leader may lag behind
// for a moment, so one look is not enough.
func (l *life) lost(ctx context.Context, info *jetstream.StreamInfo) (bool, error) {
	for try := 0; ; try++ {
		same, err := l.same(ctx, info)
		if err != nil || same || try == lostTries {
			return err == nil && !same, err
		}
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if info, err = l.journal.info(ctx); err != nil {
			return false, err
		}
	}
}

// lostTries is how many more times to check a stream that seems to have lost something.
const lostTries = 3

// same reports whether the stream reaches at least as far as before, and has the anchor unless that was discarded.
func (l *life) same(ctx context.Context, info *jetstream.StreamInfo) (bool, error) {
	l.mu.Lock()
	highest, anchor := l.highest, l.anchor
	l.mu.Unlock()
	if info.State.LastSeq < highest {
		return false, nil
	}
	if anchor == nil || anchor.Seq < info.State.FirstSeq {
		return true, nil
	}
	m, err := l.broker.leaderGet(ctx, l.stream, map[string]any{"seq": anchor.Seq})
	return err == nil && (m == nil || m.Time.Equal(anchor.Time)), err // nil: it was discarded in the meantime
}

// setAnchor remembers the stream's last entry.
func (l *life) setAnchor(ctx context.Context, info *jetstream.StreamInfo) error {
	last := info.State.LastSeq
	l.mu.Lock()
	same := l.anchor != nil && l.anchor.Seq == last
	l.mu.Unlock()
	if same || info.State.Msgs == 0 {
		return nil
	}
	m, err := l.broker.leaderGet(ctx, l.stream, map[string]any{"seq": last})
	if err == nil && m != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.anchor = m
	}
	return err
}

// begin ends a life and begins another.
func (j *Journal) begin(epoch string) {
	j.mu.Lock()
	old := j.life
	j.life = nil
	j.mu.Unlock()
	if old != nil {
		old.end()
		j.broker.log.Warn("the journal begins anew", "journal", j.config.Name, "epoch", epoch)
	}
	l := &life{journal: j, epoch: epoch}
	l.Log = &Log{
		broker:    j.broker,
		config:    LogConfig{Name: j.config.Name + "." + epoch},
		stream:    j.stream,
		running:   &l.tasks,
		followers: map[string]*Follower{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.live = j.broker.newListener(func(m *nats.Msg) { l.handOut(m) })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.life = l
	for _, f := range j.follows {
		l.follow(f)
	}
}

// end ends the deliveries of a life, and waits for those in progress.
func (l *life) end() {
	l.cancel()
	l.live.Close()
	for _, f := range l.allFollowers() {
		f.Stop()
	}
	l.tasks.Wait()
	l.live.subs.removeAll() // subscriptions that a follower added in the meantime
}

// Close ends the deliveries and waits up to a second for entries and values in flight; those not acknowledged by then fail.
// It must not be called from a function given to the Journal. It may be called again.
func (j *Journal) Close() {
	j.closing.Do(func() {
		j.mu.Lock()
		j.closed = true
		for _, p := range []*pipe{j.entries, j.values} {
			if p != nil {
				close(p.queue)
			}
		}
		j.mu.Unlock()
		j.cancel()
		j.running.Wait()
		if j.life != nil {
			j.life.end()
		}
		j.broker.mu.Lock()
		defer j.broker.mu.Unlock()
		j.broker.journals = slices.DeleteFunc(j.broker.journals, func(one *Journal) bool { return one == j })
	})
}
