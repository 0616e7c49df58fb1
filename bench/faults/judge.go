package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// result is what a run has to say.
type result struct {
	run     run
	skipped string // why it was not done

	acked, kept        int
	lost, twice, order int
	missing            int // messages that a reader never got
	different          int // messages that one node or the table has, and another not
	incomplete         int // histories that were said to have a gap
	other              []string
	samples            []string // of violations

	its, others time.Duration // the longest wait for an acknowledgement, of clients that a fault hit, and of others
	yes         time.Duration // the longest that a node was ready and took nothing
	no          time.Duration // the longest that a node was not ready and took posts
	told        map[string]int
	pending     int // posts that never were acknowledged
	homeless    int // posts that were, while there was no data folder
}

func (r *result) ok() bool {
	return r.lost+r.twice+r.order+r.missing+r.different+len(r.other) == 0
}

// blame counts a violation, and keeps the first ones of each sort.
func (r *result) blame(count *int, sort, format string, v ...any) {
	if *count++; *count <= 5 {
		r.samples = append(r.samples, sort+": "+fmt.Sprintf(format, v...))
	}
}

// judge compares what was acknowledged with what is kept, and both with what readers saw.
func judge(s *stage, l *load) *result {
	r := &result{run: s.run, told: map[string]int{}}
	kept, different, err := compare(s, l)
	if err != nil {
		r.other = append(r.other, fmt.Sprint("the messages cannot be read: ", err))
	}
	r.different = different
	if s.database != "" {
		table, err := inTable(s.database, kept)
		if err != nil {
			r.other = append(r.other, fmt.Sprint("the table cannot be read: ", err))
		}
		r.different += differences(kept, table)
	}
	r.judgeKept(kept)
	r.judgePosts(s, l, kept)
	if r.acked == 0 {
		r.other = append(r.other, "nothing was acknowledged")
	}
	if r.homeless > 0 {
		r.other = append(r.other, fmt.Sprintf("%d posts were acknowledged while there was no data folder", r.homeless))
	}
	if r.pending > 0 {
		r.other = append(r.other, fmt.Sprintf("%d posts were never acknowledged, %v after the last fault", r.pending, patience))
	}
	for _, reader := range l.readers {
		r.judgeReader(reader, kept[reader.room])
	}
	r.judgeTimes(s, l)
	return r
}

// judgeKept looks for one post that is kept as two messages.
func (r *result) judgeKept(kept map[string]stored) {
	for room, messages := range kept {
		ids := map[string]uint64{}
		for _, m := range messages {
			r.kept++
			if seq, ok := ids[m.ID]; ok {
				r.blame(&r.twice, "twice", "%s is kept in %s as %d and %d", m.ID, room, seq, m.Seq)
			}
			ids[m.ID] = m.Seq
		}
	}
}

// judgePosts looks for posts that were acknowledged and are not kept as the acknowledgement said.
func (r *result) judgePosts(s *stage, l *load, kept map[string]stored) {
	seqs := map[string]uint64{}
	for _, messages := range kept {
		for _, m := range messages {
			seqs[m.ID] = m.Seq
		}
	}
	for _, w := range l.writers {
		for _, p := range w.posts {
			if p.acked.IsZero() {
				r.pending++
				continue
			}
			r.acked++
			if p.begun.After(s.removed.from) && p.acked.Before(s.removed.to) {
				r.homeless++
			}
			if seqs[p.id] != p.seq && !s.forgives(p) {
				r.blame(&r.lost, "lost", "%s was acknowledged as %d of %s, %v, and is kept as %d", p.id, p.seq, p.room, s.place(p.acked), seqs[p.id])
			}
		}
	}
}

// forgives reports whether a post may be lost: the data folder was removed soon after it, before it was copied.
func (s *stage) forgives(p *post) bool {
	return p.acked.Before(s.removed.from) && p.acked.After(s.removed.from.Add(-copyTime))
}

// copyTime is how long a message may take to the table.
const copyTime = time.Second

// place says when something was, beside the faults.
func (s *stage) place(at time.Time) string {
	for _, f := range s.faults {
		if at.After(f.from) && at.Before(f.to) {
			return fmt.Sprintf("%.1f s into a fault", at.Sub(f.from).Seconds())
		}
	}
	for _, f := range slices.Backward(s.faults) {
		if at.After(f.to) {
			return fmt.Sprintf("%.1f s after a fault", at.Sub(f.to).Seconds())
		}
	}
	return "before the faults"
}

// judgeReader compares what one reader saw with what is kept of its room.
func (r *result) judgeReader(reader *reader, messages stored) {
	r.incomplete += reader.incomplete
	seen := map[message]bool{}
	var last uint64
	for _, m := range reader.seen {
		switch {
		case seen[m]:
			r.blame(&r.twice, "twice", "%s got %s (%d) again", reader.name, m.ID, m.Seq)
		case m.Seq <= last:
			r.blame(&r.order, "out of order", "%s got %s (%d) after %d", reader.name, m.ID, m.Seq, last)
		}
		seen[m] = true
		last = max(last, m.Seq)
	}
	for _, m := range messages {
		if !seen[m] {
			r.blame(&r.missing, "missing", "%s never got %s (%d); its last is %d", reader.name, m.ID, m.Seq, last)
		}
		delete(seen, m)
	}
	for m := range seen { // and is not kept
		if r.run.forgets == nil || !r.run.forgets(m) {
			r.blame(&r.different, "different", "%s got %s (%d), which is not kept", reader.name, m.ID, m.Seq)
		}
	}
}

// judgeTimes finds the longest waits, and whether nodes told of them.
func (r *result) judgeTimes(s *stage, l *load) {
	attempts := make([][]attempt, len(s.nodes))
	for _, w := range l.writers {
		for _, p := range w.posts {
			until := p.acked
			if until.IsZero() {
				until = time.Now()
			}
			if wait := until.Sub(p.begun); s.hit(p.node, p.begun, until) {
				r.its = max(r.its, wait)
			} else {
				r.others = max(r.others, wait)
			}
		}
		for _, a := range w.attempts {
			attempts[a.node] = append(attempts[a.node], a)
			if !a.acked && a.told != "the end" {
				r.told[a.told]++
			}
		}
	}
	for place := range s.nodes {
		gaps, acks := describe(attempts[place])
		for _, g := range gaps {
			r.yes = max(r.yes, readyIn(l.samples[place], g))
		}
		r.no = max(r.no, refusing(l.samples[place], acks))
	}
}

// hit reports whether a fault hits a node's clients in a time, or has just done.
func (s *stage) hit(place int, from, to time.Time) bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool {
		return slices.Contains(f.nodes, place) && from.Before(f.to) && to.After(f.from)
	})
}

// span is a time.
type span struct{ from, to time.Time }

const (
	together = 1500 * time.Millisecond // between two attempts of which a node is said to be asked all the time
	window   = 400 * time.Millisecond  // around a sample of readiness, in which an acknowledgement contradicts it
)

// describe finds the times in which a node was asked to take posts and took none, and when it acknowledged.
func describe(attempts []attempt) (gaps []span, acks []time.Time) {
	slices.SortFunc(attempts, func(a, b attempt) int { return a.from.Compare(b.from) })
	var busy []span
	for _, a := range attempts {
		if last := len(busy) - 1; last >= 0 && a.from.Sub(busy[last].to) < together {
			if a.to.After(busy[last].to) {
				busy[last].to = a.to
			}
		} else {
			busy = append(busy, span{a.from, a.to})
		}
		if a.acked {
			acks = append(acks, a.to)
		}
	}
	slices.SortFunc(acks, time.Time.Compare)
	for _, b := range busy {
		at := b.from
		for _, ack := range acks {
			if ack.After(at) && !ack.After(b.to) {
				gaps, at = append(gaps, span{at, ack}), ack
			}
		}
		gaps = append(gaps, span{at, b.to})
	}
	return gaps, acks
}

// readyIn is for how long in a gap a node said that it was ready.
func readyIn(samples []sample, gap span) (yes time.Duration) {
	for i, one := range samples {
		from, to := one.at, gap.to
		if i+1 < len(samples) {
			to = samples[i+1].at
		}
		if from.Before(gap.from) {
			from = gap.from
		}
		if to.After(gap.to) {
			to = gap.to
		}
		if one.ready && to.After(from) {
			yes += to.Sub(from)
		}
	}
	return yes
}

// refusing is the longest time in which a node said that it was not ready, and acknowledged all the time.
func refusing(samples []sample, acks []time.Time) (longest time.Duration) {
	var begun time.Time
	for _, one := range samples {
		i, _ := slices.BinarySearchFunc(acks, one.at.Add(-window), time.Time.Compare)
		switch taking := i < len(acks) && acks[i].Before(one.at.Add(window)); {
		case one.ready || !taking:
			begun = time.Time{}
		case begun.IsZero():
			begun = one.at
		default:
			longest = max(longest, one.at.Sub(begun))
		}
	}
	return longest
}

const mostReady = 5 * time.Second // that a node may say it is ready while it takes nothing

// report prints the table, and reports whether everything holds that has to.
func report(out io.Writer, results []*result, strict bool) bool {
	ok := true
	fmt.Fprintln(out, "| run | acknowledged | lost | twice | out of order | missing | different | other | longest wait, its clients | others | ready, takes nothing | not ready, takes | told |")
	fmt.Fprintln(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
	for _, r := range results {
		if r.skipped != "" {
			fmt.Fprintf(out, "| %s | skipped: %s | | | | | | | | | | | |\n", r.run.name, r.skipped)
			continue
		}
		inTime := true
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s |\n", r.run.name, r.acked, r.lost, r.twice, r.order,
			r.missing, r.different, len(r.other), bounded(r.its, r.run.its, &inTime), bounded(r.others, r.run.others, &inTime),
			bounded(r.yes, mostReady, &inTime), seconds(r.no), tellings(r.told))
		ok = ok && r.ok() && (inTime || !strict)
	}
	return ok
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// bounded is a time beside its bound, if it has one.
func bounded(d, most time.Duration, holds *bool) string {
	switch {
	case most == 0:
		return seconds(d)
	case d.Round(time.Second/10) > most:
		*holds = false
		return fmt.Sprintf("**%s** (≤ %v)", seconds(d), most)
	}
	return fmt.Sprintf("%s (≤ %v)", seconds(d), most)
}

// tellings are the ways in which clients were told, the most frequent first.
func tellings(told map[string]int) string {
	var ways []string
	for way := range told {
		ways = append(ways, way)
	}
	slices.SortFunc(ways, func(a, b string) int {
		return cmp.Or(cmp.Compare(told[b], told[a]), cmp.Compare(a, b))
	})
	for i, way := range ways {
		ways[i] = fmt.Sprintf("%s ×%d", way, told[way])
	}
	return strings.Join(ways[:min(len(ways), 4)], ", ")
}
