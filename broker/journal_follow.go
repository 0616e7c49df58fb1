package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// JournalHandler receives a topic's entries. Its functions are called one at a time, and must not wait, stop
// following, or close the Journal. They may call Append, Put and Remove.
type JournalHandler struct {
	// Deliver is called with each entry, in order, each once. Data is the handler's to keep.
	Deliver func(seq uint64, data []byte)
	// Hole, unless it is nil, is called when the stream shows that entries of one node are lost or out of order. Those that
	// should have come before the entry with this sequence were not delivered, and never will be. That entry comes next,
	// unless it is out of order itself.
	Hole func(seq uint64)
	// Ready is called once, when everything that was there when Follow was called is delivered; from is
	// Journal.From.
	Ready func(from uint64)
	// Reset is called before anything else, and again if entries may be lost before the next ones. A different epoch
	// means that the stream was created again, and that the sequences of the two are unrelated. If the epoch is the
	// same, delivery starts over with the oldest entry that is held.
	Reset func(epoch string)
}

// following is a followed topic with its handler, across all lives of the stream.
type following struct {
	topic string
	h     JournalHandler

	follower *Follower // of the present life; Journal.mu guards it
	ready    bool      // Ready was called; owned by whichever goroutine delivers
}

// whole is the state that a Journal's follower needs in addition to a Log's. A Log's follower skips entries that are no longer
// held; a Journal's follower starts with the oldest entry, and never skips one without a Reset. Follower.mu guards it.
type whole struct {
	life      *life
	following *following

	begun   bool   // Reset was called
	fresh   bool   // nothing was read since the Reset: the first entry held is the oldest
	readyAt uint64 // the topic's tail when it began
	heard   uint64 // how often the follower was told about an entry that it lacks
	from    uint64 // everything after this sequence was delivered since the Reset
	sure    uint64 // nothing up to this sequence is missing: there is a gap if the stream begins after it
	orders  orders // of what was delivered since the Reset
}

// Follow delivers all entries that the topic holds now, from the oldest, and then new entries. It does not
// wait: if the broker is unavailable or the stream is lost, delivery begins when they are back. Each topic can
// have one follower at a time. stop ends it, and waits for the current call.
func (j *Journal) Follow(topic string, h JournalHandler) (stop func(), err error) {
	if !ValidTopic(topic) {
		return nil, fmt.Errorf("broker: %q is not a topic", topic)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, fmt.Errorf("%w: the journal is closed", ErrUnavailable)
	case j.follows[topic] != nil:
		return nil, fmt.Errorf("broker: %s is already followed", topic)
	}
	f := &following{topic: topic, h: h}
	j.follows[topic] = f
	if j.life != nil {
		j.life.follow(f)
	}
	return sync.OnceFunc(func() { j.unfollow(f) }), nil
}

// unfollow stops the follower, including the follower of a life that begins in the meantime.
func (j *Journal) unfollow(f *following) {
	for stopped := (*Follower)(nil); ; {
		j.mu.Lock()
		follower := f.follower
		if follower == stopped {
			delete(j.follows, f.topic)
			j.mu.Unlock()
			return
		}
		j.mu.Unlock()
		follower.Stop()
		stopped = follower
	}
}

// From returns the sequence after which everything stored in a followed topic was or will be delivered;
// earlier entries may have been discarded unseen. ok is false before the first Reset. A JournalHandler's
// functions must not call it.
func (j *Journal) From(topic string) (seq uint64, ok bool) {
	j.mu.Lock()
	var follower *Follower
	if f := j.follows[topic]; f != nil {
		follower = f.follower
	}
	j.mu.Unlock()
	if follower == nil {
		return 0, false
	}
	follower.mu.Lock()
	defer follower.mu.Unlock()
	return follower.whole.from, follower.whole.begun
}

// follow starts delivering a topic's entries of this life. The caller holds Journal.mu.
func (l *life) follow(f *following) {
	follower := &Follower{
		log:     l.Log,
		topic:   f.topic,
		deliver: func(e Entry) { f.h.Deliver(e.Seq, e.Data) },
		whole:   &whole{life: l, following: f},
	}
	follower.mu.Lock()
	defer follower.mu.Unlock()
	f.follower = follower
	l.mu.Lock()
	l.followers[f.topic] = follower
	l.mu.Unlock()
	follower.fillLocked(0)
}

// follows reports whether an entry certainly comes next after cursor, given that last is its topic's previous entry. If that
// was discarded (last is 0 if none is held), others that the follower never saw may have been discarded, too.
func (w *whole) follows(cursor, last uint64) bool {
	return last > 0 && last == cursor && !w.life.journal.inDoubt()
}

func (w *whole) readyLocked(cursor uint64) {
	if w.begun && !w.following.ready && cursor >= w.readyAt {
		w.following.ready = true
		w.following.h.Ready(w.from)
	}
}

// startWhole listens, finds where the stream begins, and calls Reset.
func (f *Follower) startWhole(ctx context.Context) time.Duration {
	if !f.listenWhole() {
		return retryWait
	}
	first, err := f.whole.life.first(ctx)
	if err != nil {
		return retryWait
	}
	tail, err := f.log.tail(ctx, f.topic)
	if err != nil {
		return retryWait
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return 0
	}
	w := f.whole
	f.cursor, w.from, w.sure = first-1, first-1, first-1
	f.want = max(f.want, tail)
	w.begun, w.fresh, w.readyAt, w.orders = true, tail > f.cursor, tail, orders{}
	w.following.h.Reset(w.life.epoch)
	return 0
}

// listenWhole starts listening, unless the follower was stopped: another one may be listening by then. The follower hears
// of all entries stored from now on, because the requests that follow use the same connection.
func (f *Follower) listenWhole() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.ended && f.log.live.subs.add(f.log.liveSubject(f.topic)) == nil
}

// fillWhole is fillOnce for a Journal's follower.
func (f *Follower) fillWhole(ctx context.Context, cursor, want uint64) time.Duration {
	f.mu.Lock()
	begun, heard := f.whole.begun, f.whole.heard
	f.mu.Unlock()
	if !begun {
		return f.startWhole(ctx)
	}
	entries, err := f.log.read(ctx, f.topic, cursor)
	if err != nil {
		f.whole.life.journal.lookSoon()
		return retryWait
	}
	tail := want
	if len(entries) == 0 { // the replica lags behind, or the wanted entries are not held
		if tail, err = f.log.tail(ctx, f.topic); err != nil {
			return retryWait
		}
	}
	// Read this last: entries that are held now were also held when the entries were read.
	first, err := f.whole.life.first(ctx)
	if err != nil {
		return retryWait
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.whole
	switch {
	case f.ended:
		return 0
	case w.fresh:
		w.fresh = false
		w.from, w.sure = max(w.from, first-1), max(w.sure, first-1)
	case first > w.sure+1:
		w.begun = false
		return 0
	}
	for _, e := range entries {
		if e.Seq > f.cursor {
			f.deliverLocked(e)
		}
	}
	if len(entries) > 0 {
		return 0
	}
	f.cursor = max(f.cursor, min(w.sure, f.want)) // the wanted entries were discarded before the follower began
	if tail > f.cursor {
		return staleWait
	}
	if w.heard == heard { // nothing was discarded, and nothing is there: the announced entry does not exist
		f.want = f.cursor
		w.readyAt = min(w.readyAt, f.cursor)
	}
	return 0
}

// first returns the sequence of the stream's first entry or, if it holds none, of the next one. It fails unless this is
// certainly still the same stream.
func (l *life) first(ctx context.Context) (uint64, error) {
	info, err := l.journal.info(ctx)
	if err == nil {
		var same bool
		if same, err = l.same(ctx, info); same && epochOf(info) == l.epoch && !l.journal.inDoubt() {
			return max(info.State.FirstSeq, 1), nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: the stream %s has to be checked", ErrUnavailable, l.stream)
	}
	l.journal.lookSoon()
	return 0, err
}

// compareAll tells followers about entries that they should have received: at once, since confirm relies on it.
func (l *life) compareAll() {
	for some := range slices.Chunk(l.allFollowers(), compareSize) {
		tails, err := l.appendTails(nil, some)
		for _, t := range tails {
			t.of.exists(t.seq)
		}
		if err != nil {
			return // the next look will try again
		}
	}
}

// confirm records which entries no follower can be missing: all up to the stream's end at the previous look, because
// compareAll has run since.
func (l *life) confirm(info *jetstream.StreamInfo) {
	first := max(info.State.FirstSeq, 1)
	for _, f := range l.allFollowers() {
		f.confirm(first, l.last)
	}
	l.last = info.State.LastSeq
	l.mu.Lock()
	defer l.mu.Unlock()
	l.highest = max(l.highest, l.last)
}

func (f *Follower) confirm(first, upTo uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.whole
	switch {
	case f.ended || f.filling || !w.begun:
	case first > w.sure+1:
		w.begun = false
		f.fillLocked(0)
	default:
		w.sure = max(w.sure, upTo)
	}
}
