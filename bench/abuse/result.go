package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"echows/bench/internal/attack"
)

// The bounds of a row. A cell past its bound is marked.
const (
	mostMemory = 300 << 20 // resident bytes that an attack may drive the server to
	mostMedian = 20 * time.Millisecond
	mostLog    = 1e6 // bytes a minute
	mark       = " (!)"
)

// result is the effect of an attack.
type result struct {
	attack         attack.Attack
	peak           int // resident bytes
	before, during map[string]pair
	lost           string // good clients that were disconnected
	heard          float64
	refused, done  string
	news           news
	log            float64 // bytes a minute
}

const tableHead = "| attack | peak | echo | round trip | post | heard | good clients lost | refused | newcomers | log | done |\n" +
	"| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | --- |"

// row formats the result as a row of the table.
func (r result) row() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %.0f/s | %s | %s | %s | %s | %s |",
		r.attack.Name, marked(fmt.Sprintf("%d MB", r.peak>>20), r.hasGrown()), r.times(echoes), r.times(events), r.times(posts), r.heard,
		cmp.Or(r.lost, "none"), cmp.Or(r.refused, "nothing"), marked(r.news.String(), r.keptOut()),
		marked(bytesOf(r.log)+"/min", r.log > mostLog), r.done)
}

func marked(cell string, past bool) string {
	if past {
		cell += mark
	}
	return cell
}

// times formats the medians, with the 99th percentiles in parentheses, before and during the attack, in ms.
func (r result) times(kind string) string {
	return marked(fmt.Sprintf("%v → %v", r.before[kind], r.during[kind]), r.during[kind].median > mostMedian)
}

func (r result) hasGrown() bool { return r.peak > mostMemory || r.peak == 0 }
func (r result) keptOut() bool  { return r.news.served < r.news.tried || r.news.tried == 0 }

// breach is a bound that an attack broke.
type breach struct {
	what   string
	always bool // counts without -strict, too, since it would be the same on any other machine
}

func (r result) broken() (all []breach) {
	if r.hasGrown() {
		all = append(all, breach{fmt.Sprintf("the server took %d MB (0 if it died)", r.peak>>20), true})
	}
	if r.keptOut() {
		all = append(all, breach{"newcomers were kept out: " + strings.ReplaceAll(r.news.failed.String(), "<br>", ", "), true})
	}
	for _, kind := range []string{echoes, events, posts} {
		if median := r.during[kind].median; median > mostMedian {
			all = append(all, breach{fmt.Sprintf("the median of a good client's %s is %v", kind, median.Round(time.Millisecond/10)), false})
		}
	}
	if r.log > mostLog {
		all = append(all, breach{fmt.Sprintf("the log grows by %s a minute", bytesOf(r.log)), false})
	}
	return all
}

func bytesOf(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f KB", n/1e3)
	}
	return fmt.Sprintf("%.0f B", n)
}
