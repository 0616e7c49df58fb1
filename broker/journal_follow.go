package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// JournalHandler is told what a topic holds: one call at a time, none of which may wait, end the following
// or close the Journal. Append, Put and Remove may be called.
type JournalHandler struct {
	// Deliver is called with each entry, in order, each once. Data is the handler's to keep.
	Deliver func(seq uint64, data []byte)
	// Ready is called once, when all that was there at the call of Follow is delivered; from is Journal.From.
	Ready func(from uint64)
	// Reset is called before anything else, and again where entries may be lost before those that come next.
	// Another epoch means that the stream was made anew, and that sequences of one say nothing in the
	// other. After the same one, what is delivered begins again with the oldest entry that is held.
	Reset func(epoch string)
}

// following is a topic with its handler, over all lives of the stream.
type following struct {
	topic string
	h     JournalHandler

	follower *Follower // of the present life; Journal.mu guards it
	ready    bool      // Ready was called; owned by who delivers
}

// whole is what a Journal's follower has beside a Log's, which passes over what is held no more: it begins
// with the oldest entry, and never leaves one out without a Reset. Follower.mu guards it.
type whole struct {
	life      *life
	following *following

	begun   bool   // Reset was called
	fresh   bool   // what it held then was not read yet: the first entry held is the oldest, whichever it is
	readyAt uint64 // the topic's tail when it began
	heard   uint64 // how often somebody told of an entry that is missing
	from    uint64 // everything after this sequence was delivered since the Reset
	sure    uint64 // nothing up to this sequence is missing: a gap is one when the stream begins after it
}

// Follow delivers everything that the topic holds now, from the oldest entry, and then what comes. It waits
// for nothing: while the broker is away, or the stream is lost, it begins when they are back. Each topic
// can be followed once at a time. stop ends it, and waits for the call under way.
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
		return nil, fmt.Errorf("broker: %s is followed already", topic)
	}
	f := &following{topic: topic, h: h}
	j.follows[topic] = f
	if j.life != nil {
		j.life.follow(f)
	}
	return sync.OnceFunc(func() { j.unfollow(f) }), nil
}

// unfollow stops the follower, and that of a life which begins meanwhile.
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

// From is the sequence after which everything that was stored in a followed topic is delivered, or will be:
// what was stored before may have been discarded unseen. ok is false before the first Reset. Not for a
// JournalHandler's functions to call.
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

// follow lets a topic be delivered from this life. The caller holds Journal.mu.
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

// follows reports whether an entry comes next for certain, by the one that was before it in its topic.
// Where that was discarded (last is 0 when none is held), others may have been that we have never seen.
func (w *whole) follows(cursor, last uint64) bool {
	return last > 0 && last == cursor && !w.life.journal.inDoubt()
}

func (w *whole) readyLocked(cursor uint64) {
	if w.begun && !w.following.ready && cursor >= w.readyAt {
		w.following.ready = true
		w.following.h.Ready(w.from)
	}
}

// startWhole listens, finds where the stream begins, and says so.
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
	w.begun, w.fresh, w.readyAt = true, tail > f.cursor, tail
	w.following.h.Reset(w.life.epoch)
	return 0
}

// listenWhole begins to listen, unless the follower was stopped: another one may listen by then. What is
// stored from now on is heard of, because the requests that follow go the same way.
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
	if len(entries) == 0 { // the copy is behind, or what we look for is not held
		if tail, err = f.log.tail(ctx, f.topic); err != nil {
			return retryWait
		}
	}
	// Only now: what is not discarded yet was not when the entries were read.
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
	f.cursor = max(f.cursor, min(w.sure, f.want)) // what we looked for was discarded before we began
	if tail > f.cursor {
		return staleWait
	}
	if w.heard == heard { // nothing was discarded, and nothing is there: somebody else has told us of it
		f.want = f.cursor
		w.readyAt = min(w.readyAt, f.cursor)
	}
	return 0
}

// first is the sequence of the stream's first entry, or of the next one if it holds none. It fails while
// it is not certain that this is the stream that it was.
func (l *life) first(ctx context.Context) (uint64, error) {
	info, err := l.journal.info(ctx)
	if err == nil {
		var same bool
		if same, err = l.same(ctx, info); same && epochOf(info) == l.epoch && !l.journal.inDoubt() {
			return max(info.State.FirstSeq, 1), nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: the stream %s is to be looked at", ErrUnavailable, l.stream)
	}
	l.journal.lookSoon()
	return 0, err
}

// compareAll tells followers of entries that they should have seen.
func (l *life) compareAll() {
	for some := range slices.Chunk(l.allFollowers(), compareSize) {
		if err := l.compareSome(some); err != nil {
			return // the next look is soon enough
		}
	}
}

// confirm notes what no follower can miss any more: up to where the stream went at the look before this
// one, because tails were compared since.
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
