package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"echows/bench/internal/attack"
)

const (
	mostMemory = 300 << 20 // resident bytes that an attack may drive the server to
	mostMedian = 20 * time.Millisecond
)

// result is what an attack did.
type result struct {
	attack         attack.Attack
	peak           int // resident bytes
	before, during map[string]pair
	lost           string // good clients that lost their connection
	heard          float64
	refused, done  string
	news           news
	log            float64 // bytes a minute
}

const tableHead = "| attack | peak | echo | round trip | post | heard | good clients lost | refused | newcomers | log | done |\n" +
	"| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | --- |"

// row is the result in the table.
func (r result) row() string {
	return fmt.Sprintf("| %s | %d MB | %s | %s | %s | %.0f/s | %s | %s | %v | %s/min | %s |",
		r.attack.Name, r.peak>>20, r.times(echoes), r.times(events), r.times(posts), r.heard,
		cmp.Or(r.lost, "none"), cmp.Or(r.refused, "nothing"), r.news, bytesOf(r.log), r.done)
}

// times are the medians, and in parentheses the 99th percentiles, before and during the attack, in ms.
func (r result) times(kind string) string {
	text := fmt.Sprintf("%v → %v", r.before[kind], r.during[kind])
	if r.during[kind].median > mostMedian {
		text += " (!)"
	}
	return text
}

// broken are the bounds that the attack broke.
func (r result) broken() (all []string) {
	if r.peak > mostMemory || r.peak == 0 {
		all = append(all, fmt.Sprintf("the server took %d MB (0 if it died)", r.peak>>20))
	}
	if r.news.served < r.news.tried || r.news.tried == 0 {
		all = append(all, "newcomers were kept out: "+strings.ReplaceAll(r.news.failed.String(), "<br>", ", "))
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
