package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	staleWait   = 20 * time.Millisecond // for a replica that lags behind its leader
	retryWait   = 250 * time.Millisecond
	compareSize = 500 // topics whose tails one request asks for
	// compareRounds is how often tails are compared after the stream has grown: a replica that lags behind may answer.
	compareRounds = 3
)

// Follower delivers the entries of one topic: in order, each once, without a gap.
//
// It has no queue. While it fills a gap, live entries only tell it how far the topic goes, and it reads the stream up
// to there.
type Follower struct {
	log     *Log
	topic   string
	deliver func(Entry)
	whole   *whole // of a Journal's follower only

	mu      sync.Mutex
	cursor  uint64 // NATS' sequence of the last entry that was delivered, or skipped because it is no longer held
	want    uint64 // the highest sequence known to exist
	filling bool   // a goroutine reads the stream, or Start has not been called
	ended   bool

	missing atomic.Int64 // about how many entries up to want are not delivered; changed with mu held
}

// Follow prepares to deliver the entries after tail, the topic's last sequence, which it returns. Start begins
// the deliveries. deliver is called by one goroutine at a time. It must neither wait nor call the Follower.
// Each topic of a Log can have one Follower at a time.
func (l *Log) Follow(ctx context.Context, topic string, deliver func(Entry)) (f *Follower, tail uint64, err error) {
	if !ValidTopic(topic) {
		return nil, 0, fmt.Errorf("broker: %q is not a topic", topic)
	}
	before, stateErr := l.state(ctx) // later entries have higher sequences, even if the topic has none yet
	f = &Follower{log: l, topic: topic, deliver: deliver, filling: true}
	l.mu.Lock()
	if l.followers[topic] != nil {
		l.mu.Unlock()
		return nil, 0, fmt.Errorf("broker: %s is already followed", topic)
	}
	l.followers[topic] = f
	l.mu.Unlock()
	// First listen, then ask for the tail: an entry stored in between is heard of twice rather than never.
	if err = l.live.Add(ctx, l.liveSubject(topic)); err == nil {
		tail, err = l.tail(ctx, topic)
	}
	if err == nil && tail == 0 {
		err = stateErr
	}
	if err != nil {
		f.Stop()
		return nil, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursor = tail; tail == 0 {
		f.cursor = before.LastSeq
	}
	if tail > 0 {
		tail = l.epochs().seq(tail)
		l.mu.Lock()
		l.highest = max(l.highest, tail)
		l.mu.Unlock()
	}
	return f, tail, nil
}

// Start starts the deliveries.
func (f *Follower) Start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filling = false
	if f.want > f.cursor {
		f.fillLocked(f.want)
	} else {
		f.missing.Store(0) // what was heard of is not after the tail
	}
}

// Stop ends the deliveries. One in progress may end after Stop returns.
func (f *Follower) Stop() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.log.live.Remove(f.log.liveSubject(f.topic))
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	delete(f.log.followers, f.topic)
}

// handOut passes a live message to its follower.
func (l *Log) handOut(m *nats.Msg) {
	e, last, ok := entry(m)
	if !ok {
		l.broker.log.Warn("a live message without a sequence", "subject", m.Subject)
		return
	}
	l.mu.Lock()
	l.highest = max(l.highest, l.epochs().seq(e.Seq))
	f := l.followers[e.Topic]
	l.mu.Unlock()
	if f != nil {
		f.live(e, last)
	}
}

// live handles a live entry. last is the sequence of the topic's previous entry. It falls when entries are deleted, so
// only a last beyond the cursor means a gap.
func (f *Follower) live(e Entry, last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ended || e.Seq <= f.cursor:
	case f.filling || last > f.cursor || f.whole != nil && !f.whole.follows(f.cursor, last):
		f.fillLocked(e.Seq)
	default:
		f.deliverLocked(e)
	}
}

func (f *Follower) deliverLocked(e Entry) {
	f.cursor = e.Seq
	if f.whole != nil {
		f.whole.sure = max(f.whole.sure, e.Seq)
		if !f.whole.takeLocked(e) {
			return
		}
	}
	e.Seq = f.log.epochs().seq(e.Seq)
	f.deliver(e)
}

// exists tells the follower of an entry that it should have received.
func (f *Follower) exists(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended && seq > f.cursor {
		f.fillLocked(seq)
	}
}

// rewind makes the Follower deliver again from after one of NATS' sequences: the stream has lost the entries that had
// the later sequences before.
func (f *Follower) rewind(to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor, f.want = min(f.cursor, to), min(f.want, to)
}

func (f *Follower) fillLocked(to uint64) {
	if to > f.want {
		f.want = to
		f.missing.Add(1)
	}
	if f.whole != nil {
		f.whole.heard++
	}
	if !f.filling && f.log.ctx.Err() == nil {
		f.filling = true
		f.log.running.Go(f.fill)
	}
}

// fill reads the stream until the cursor has reached the known end of the topic.
func (f *Follower) fill() {
	ctx, once := f.log.ctx, f.fillOnce
	if f.whole != nil {
		once = f.fillWhole
	}
	for {
		f.mu.Lock()
		cursor, want := f.cursor, f.want
		if f.whole != nil && !f.ended {
			f.whole.readyLocked(cursor)
		}
		if f.ended || ctx.Err() != nil || cursor >= want && (f.whole == nil || f.whole.begun) {
			f.filling = false
			f.missing.Store(0)
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		wait := once(ctx, cursor, want)
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
	}
}

// fillOnce delivers the stream's entries after cursor, and returns how long to wait before trying again.
func (f *Follower) fillOnce(ctx context.Context, cursor, want uint64) time.Duration {
	entries, left, err := f.log.following(ctx, f.topic, cursor)
	if err != nil {
		f.sayWaiting(cursor, err)
		return retryWait
	}
	f.mu.Lock()
	f.missing.Store(int64(left))
	for _, e := range entries {
		if !f.ended && e.Seq > f.cursor {
			f.deliverLocked(e)
		}
	}
	f.mu.Unlock()
	if len(entries) > 0 {
		return 0
	}
	// There is nothing: the replica lags behind, or the entries we look for were deleted.
	tail, err := f.log.tail(ctx, f.topic)
	switch {
	case err != nil:
		return retryWait
	case tail > cursor:
		return staleWait
	}
	if err := f.log.surePast(ctx, f.topic, cursor, want); err != nil {
		f.sayWaiting(cursor, err)
		return retryWait
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = max(f.cursor, want)
	return 0
}

// sayWaiting logs why a gap is not filled yet. Any topic with members may have one.
func (f *Follower) sayWaiting(cursor uint64, err error) {
	f.log.broker.log.Warn("a gap is waiting to be filled", "topic", f.topic, "after", cursor, "error", err)
}

// following reads the entries after the last one that was delivered, and returns how many more there are. The first entry
// says whether some before it were discarded.
func (l *Log) following(ctx context.Context, topic string, cursor uint64) (entries []Entry, left int, err error) {
	entries, pending, err := l.batch(ctx, get{Seq: max(cursor, 1), Next: l.subject(topic), Batch: batchSize + 1})
	if err != nil || len(entries) == 0 {
		return nil, 0, err
	}
	left = pending + 1 - len(entries)
	if entries[0].Seq == cursor { // since the oldest go first, everything after it is held
		return entries[1:], left, nil
	}
	whole, err := l.nothingLost(ctx, topic, cursor)
	if err != nil {
		return nil, 0, err
	}
	entries[0].Skipped = !whole
	return entries, left, nil
}

// surePast returns why it is not certain that the topic has nothing after cursor although want was stored, or nil. A
// leader that was deposed, and does not know that yet, may not have heard of want; so the topic's tail counts only if the
// leader knows want.
func (l *Log) surePast(ctx context.Context, topic string, cursor, want uint64) error {
	s, err := l.state(ctx)
	if err != nil {
		return err
	}
	if s.LastSeq < want {
		return fmt.Errorf("%w: the stream %s ends at %d, but %d is known", ErrUnavailable, l.stream, s.LastSeq, want)
	}
	tail, err := l.tail(ctx, topic)
	if err == nil && tail > cursor {
		err = fmt.Errorf("%w: the stream %s has another leader", ErrUnavailable, l.stream)
	}
	return err
}

// compareSoon asks for a comparison now.
func (l *Log) compareSoon() {
	select {
	case l.soon <- struct{}{}:
	default:
	}
}

// compareTails checks every few seconds whether a follower is behind its topic: if the live copy of the last entry is
// lost, no later one shows it. It also watches the end of the stream itself.
func (l *Log) compareTails() {
	tick := time.NewTicker(l.broker.config.Compare)
	defer tick.Stop()
	for {
		all := false
		select {
		case <-l.broker.ctx.Done():
			if l.broker.conn.IsConnected() {
				ctx, cancel := context.WithTimeout(context.Background(), lastTime)
				l.guard(ctx) // the last mark
				cancel()
			}
			return
		case <-tick.C:
		case <-l.soon:
			all = true
		}
		last, ok := l.guard(l.broker.ctx)
		if last != l.compared || all {
			l.compared, l.rounds = last, 0
		}
		if l.tellTails() && ok && l.rounds < compareRounds && l.compareAll() == nil {
			l.rounds++
			l.tellTails()
		}
	}
}

// tail is the last entry that a follower's topic has.
type tail struct {
	of  *Follower
	seq uint64
}

// compareAll asks for the tails of all followers. There is no need to while the stream does not grow.
func (l *Log) compareAll() (err error) {
	for some := range slices.Chunk(l.allFollowers(), compareSize) {
		if l.tails, err = l.appendTails(l.tails, some); err != nil {
			break // the next tick is soon enough for the others
		}
	}
	l.tailsWait = l.live.arrived()
	return err
}

// tellTails tells followers of the tails, and reports true, when everything has been handled that the Listener had
// received when they were asked for. A follower that was told earlier would read the stream for entries that only wait
// for it, and may find that a topic with many messages no longer holds them.
func (l *Log) tellTails() bool {
	if l.live.handled.Load() < l.tailsWait {
		return false
	}
	for _, t := range l.tails {
		t.of.exists(t.seq)
	}
	l.tails = nil
	return true
}

func (l *Log) allFollowers() []*Follower {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.followers))
}

// guard marks what the stream holds, and handles a loss if it holds less than before. It returns NATS' last sequence, if
// the stream answers and has lost nothing.
func (l *Log) guard(ctx context.Context) (last uint64, ok bool) {
	highest := l.highestSeen()
	if l.broker.folderFailure() != nil {
		return 0, false // already logged
	}
	info, err := l.info(ctx)
	l.answers.Store(err == nil)
	if err != nil {
		return 0, false // Ready says so
	}
	l.adopt(ctx, info.Config)
	if l.twice.Load() > 0 || l.endsBefore(info.State.LastSeq, highest) {
		l.lostEnd(ctx, info, highest)
		return info.State.LastSeq, false
	}
	l.behind = time.Time{}
	l.refuses.Store(time.Now().Before(l.resume))
	l.mu.Lock()
	l.highest = max(l.highest, l.epochs().seq(info.State.LastSeq))
	l.mu.Unlock()
	if err := l.setMark(info.State); err != nil && !l.broker.blame(err) {
		l.broker.log.Warn("cannot record what the stream holds", "error", err)
	}
	return info.State.LastSeq, true
}

// lostEnd handles a stream that ends before a sequence that was seen. A cluster's stream goes on after a while, in which
// its operators may restore it. The embedded server's cannot lose anything while it runs, unless its files are removed.
func (l *Log) lostEnd(ctx context.Context, info *jetstream.StreamInfo, highest uint64) {
	if l.behind.IsZero() {
		l.behind = time.Now()
	}
	if time.Since(l.behind) < lostDoubt {
		return
	}
	l.refuses.Store(true)
	wait := l.broker.config.lostAfter
	if l.twice.Load() > 0 { // the node that knows where the end was goes first
		wait /= 2
	}
	if l.broker.server == nil && time.Since(l.behind) > wait {
		if err := l.beginAfterLoss(ctx, info, highest); err != nil {
			l.broker.log.Warn("the stream cannot continue yet", "error", err)
		}
		return
	}
	if time.Since(l.complained) > lostWait {
		l.complained = time.Now()
		l.broker.log.Error("what was stored last is lost: restore the stream before anything else is stored",
			"stream", l.stream, "ends", l.epochs().seq(info.State.LastSeq), "had", highest)
	}
}

// appendTails asks for the tails of some followers.
func (l *Log) appendTails(tails []tail, followers []*Follower) ([]tail, error) {
	byTopic := make(map[string]*Follower, len(followers))
	subjects := make([]string, len(followers))
	for i, f := range followers {
		byTopic[f.topic], subjects[i] = f, l.subject(f.topic)
	}
	entries, _, err := l.batch(l.ctx, get{Last: subjects})
	for _, e := range entries {
		if f := byTopic[e.Topic]; f != nil {
			tails = append(tails, tail{f, e.Seq})
		}
	}
	return tails, err
}
