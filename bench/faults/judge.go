package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"echows/bench/internal/people"
)

// result is the result of a run.
type result struct {
	run     run
	skipped string // why it was not done

	people.Verdict
	other []string

	its, others time.Duration // the longest wait for an acknowledgement, of clients that a fault hit, and of others
	yes         time.Duration // the longest time that a node was ready and acknowledged nothing
	no          time.Duration // the longest time that a node was not ready and acknowledged posts
	told        map[string]int
	homeless    int             // posts acknowledged while there was no data folder
	listed      []time.Duration // as stage.listed
}

func (r *result) ok() bool { return r.OK() && len(r.other) == 0 }

// judge compares what was acknowledged with what is kept, and both with what readers saw.
func judge(s *stage, l *load) *result {
	r := &result{run: s.run, told: map[string]int{}, listed: s.listed}
	kept, different, err := compare(s, l)
	if err != nil {
		r.other = append(r.other, fmt.Sprint("the messages cannot be read: ", err))
	}
	r.Different = different
	if s.database != "" {
		table, err := inTable(s.database, kept)
		if err != nil {
			r.other = append(r.other, fmt.Sprint("the table cannot be read: ", err))
		}
		r.Different += differences(kept, table)
	}
	r.JudgeKept(kept)
	r.JudgePosts(l.writers, kept, s.forgives, s.place)
	r.homeless = s.homeless(l)
	if r.Acked == 0 {
		r.other = append(r.other, "nothing was acknowledged")
	}
	if r.homeless > 0 {
		r.other = append(r.other, fmt.Sprintf("%d posts were acknowledged while there was no data folder", r.homeless))
	}
	if r.Pending > 0 {
		r.other = append(r.other, fmt.Sprintf("%d posts were never acknowledged, %v after the last fault", r.Pending, patience))
	}
	for _, reader := range l.readers {
		r.JudgeReader(reader, kept[reader.Room], s.run.forgets)
	}
	r.judgeTimes(s, l)
	return r
}

// forgives reports whether a post may be lost: the data folder was removed soon after it, before it was copied.
func (s *stage) forgives(p *people.Post) bool {
	return p.Acked.Before(s.removed.from) && p.Acked.After(s.removed.from.Add(-copyTime))
}

// homeless counts the posts that were acknowledged while there was no data folder.
func (s *stage) homeless(l *load) (n int) {
	for _, w := range l.writers {
		for _, p := range w.Posts {
			if !p.Acked.IsZero() && p.Begun.After(s.removed.from) && p.Acked.Before(s.removed.to) {
				n++
			}
		}
	}
	return n
}

// copyTime is how long a message may take to reach the table.
const copyTime = time.Second

// place describes a time relative to the faults.
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

// judgeTimes finds the longest waits, and compares them with what nodes said about their readiness.
func (r *result) judgeTimes(s *stage, l *load) {
	attempts := make([][]people.Attempt, len(s.nodes))
	for _, w := range l.writers {
		for _, p := range w.Posts {
			until := p.Acked
			if until.IsZero() {
				until = time.Now()
			}
			if wait := until.Sub(p.Begun); s.hit(p.Node, p.Begun, until) {
				r.its = max(r.its, wait)
			} else {
				r.others = max(r.others, wait)
			}
		}
		for _, a := range w.Attempts {
			attempts[a.Node] = append(attempts[a.Node], a)
			if !a.Acked && a.Told != "the end" {
				r.told[a.Told]++
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

// hit reports whether a fault hit a node's clients within a time.
func (s *stage) hit(place int, from, to time.Time) bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool {
		return slices.Contains(f.nodes, place) && from.Before(f.to) && to.After(f.from)
	})
}

// span is a period of time.
type span struct{ from, to time.Time }

const (
	together = 1500 * time.Millisecond // at most, between two attempts that count as continuous
	window   = 400 * time.Millisecond  // around a sample of readiness, in which an acknowledgement contradicts it
)

// describe finds the periods in which clients posted to a node and it acknowledged nothing, and when it acknowledged.
func describe(attempts []people.Attempt) (gaps []span, acks []time.Time) {
	slices.SortFunc(attempts, func(a, b people.Attempt) int { return a.From.Compare(b.From) })
	var busy []span
	for _, a := range attempts {
		if last := len(busy) - 1; last >= 0 && a.From.Sub(busy[last].to) < together {
			if a.To.After(busy[last].to) {
				busy[last].to = a.To
			}
		} else {
			busy = append(busy, span{a.From, a.To})
		}
		if a.Acked {
			acks = append(acks, a.To)
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

// readyIn returns how long in a gap a node said that it was ready.
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

// refusing returns the longest time in which a node said that it was not ready, but kept acknowledging.
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

const mostReady = 5 * time.Second // how long a node may say it is ready while it acknowledges nothing

// report prints the table, and reports whether all is as it must be.
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
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s |\n", r.run.name, r.Acked, r.Lost, r.Twice, r.Order,
			r.Missing, r.Different, len(r.other), bounded(r.its, r.run.its, &inTime), bounded(r.others, r.run.others, &inTime),
			bounded(r.yes, mostReady, &inTime), seconds(r.no), tellings(r.told))
		ok = ok && r.ok() && (inTime || !strict)
	}
	for _, r := range results {
		if inTime := true; len(r.listed) > 0 {
			fmt.Fprintf(out, "\n`%s`: people on a killed node were listed as present for %s at most.\n", r.run.name, bounded(slices.Max(r.listed), mostListed, &inTime))
			ok = ok && (inTime || !strict)
		}
	}
	return ok
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// bounded formats a time with its bound, if it has one.
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

// tellings lists how clients were told, the most frequent first.
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
