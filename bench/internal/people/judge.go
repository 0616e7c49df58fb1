package people

import (
	"context"
	"fmt"
	"time"
)

// Verdict counts what went wrong, and keeps the first examples.
type Verdict struct {
	Acked, Kept        int
	Lost, Twice, Order int
	Missing            int // messages that a reader never got
	Different          int // messages that one has and another has not
	Incomplete         int // histories that were said to have a gap
	Pending            int // posts that were never acknowledged
	Samples            []string
}

// OK reports whether nothing went wrong, apart from posts that were never acknowledged.
func (v *Verdict) OK() bool { return v.Lost+v.Twice+v.Order+v.Missing+v.Different == 0 }

// blame counts a violation, and keeps the first ones of each sort.
func (v *Verdict) blame(count *int, sort, format string, args ...any) {
	if *count++; *count <= 5 {
		v.Samples = append(v.Samples, sort+": "+fmt.Sprintf(format, args...))
	}
}

// JudgeKept looks for one post that is kept as two messages.
func (v *Verdict) JudgeKept(kept map[string]Stored) {
	for room, messages := range kept {
		ids := map[string]uint64{}
		for _, m := range messages {
			v.Kept++
			if seq, ok := ids[m.ID]; ok {
				v.blame(&v.Twice, "twice", "%s is kept in %s as %d and %d", m.ID, room, seq, m.Seq)
			}
			ids[m.ID] = m.Seq
		}
	}
}

// JudgePosts looks for posts that were acknowledged but are not kept as the acknowledgement said, except those that
// excused says may be lost; nil excuses none. when describes a time, for the examples.
func (v *Verdict) JudgePosts(writers []*Writer, kept map[string]Stored, excused func(*Post) bool, when func(time.Time) string) {
	seqs := map[string]uint64{}
	for _, messages := range kept {
		for _, m := range messages {
			seqs[m.ID] = m.Seq
		}
	}
	for _, w := range writers {
		for _, p := range w.Posts {
			if p.Acked.IsZero() {
				v.Pending++
				continue
			}
			v.Acked++
			if seqs[p.ID] != p.Seq && (excused == nil || !excused(p)) {
				v.blame(&v.Lost, "lost", "%s was acknowledged as %d of %s, %v, and is kept as %d", p.ID, p.Seq, p.Room, when(p.Acked), seqs[p.ID])
			}
		}
	}
}

// JudgeReader compares what one reader saw with what is in its room. Anything else it saw must be foreign; if foreign is
// nil, nothing is.
func (v *Verdict) JudgeReader(reader *Reader, messages Stored, foreign func(Message) bool) {
	v.Incomplete += len(reader.gaps)
	seen := map[Message]bool{}
	var last uint64
	for _, m := range reader.seen {
		switch {
		case seen[m]:
			v.blame(&v.Twice, "twice", "%s got %s (%d) again", reader.Name, m.ID, m.Seq)
		case m.Seq <= last:
			v.blame(&v.Order, "out of order", "%s got %s (%d) after %d", reader.Name, m.ID, m.Seq, last)
		}
		seen[m] = true
		last = max(last, m.Seq)
	}
	for _, m := range messages {
		if !seen[m] {
			v.blame(&v.Missing, "missing", "%s never got %s (%d); its last is %d", reader.Name, m.ID, m.Seq, last)
		}
		delete(seen, m)
	}
	for m := range seen {
		if foreign == nil || !foreign(m) {
			v.blame(&v.Different, "different", "%s got %s (%d), which is not kept", reader.Name, m.ID, m.Seq)
		}
	}
}

// Await waits until readers have everything that was acknowledged to writers in their rooms, but no longer than most, or
// until ctx ends.
func Await(ctx context.Context, writers []*Writer, readers []*Reader, most time.Duration) {
	highest := map[string]uint64{}
	for _, w := range writers {
		for _, p := range w.Posts {
			highest[p.Room] = max(highest[p.Room], p.Seq)
		}
	}
	for end := time.Now().Add(most); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		waits := false
		for _, r := range readers {
			waits = waits || r.Reached() < highest[r.Room]
		}
		if !waits {
			return
		}
	}
}
