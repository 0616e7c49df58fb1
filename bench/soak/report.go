package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is the result. Its methods are for one goroutine.
type report struct {
	attacks             int
	before, most, after reading
	took                time.Duration // until everything was as before
	kinds               []*kind
	turns               map[string]int // of each attack
	failed              []error        // of attackers' processes
	wrong               []string       // anything else
}

func (r *report) blame(format string, v ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, v...))
}

func (r *report) ok() bool { return len(r.faults()) == 0 }

// faults returns everything that is not as it must be.
func (r *report) faults() []string {
	all := slices.Clone(r.wrong)
	for _, q := range quantities {
		_, was := r.before[q.name]
		if _, is := r.after[q.name]; !was || !is {
			all = append(all, q.name+" is not known")
		} else if !q.within(r.before, r.after) {
			all = append(all, fmt.Sprintf("%s: %s, and %s before", q.name, q.text(r.after[q.name]), q.text(r.before[q.name])))
		}
	}
	for _, k := range r.kinds {
		if lost, broken := k.lost.Load(), k.broken.Load(); lost > 0 || broken > 0 {
			all = append(all, fmt.Sprintf("%s: %d lost, %d times broken: %s", k.name, lost, broken, strings.ReplaceAll(k.why.String(), "<br>", ", ")))
		}
		if k.heard.Load() == 0 {
			all = append(all, k.name+": nothing was heard")
		}
	}
	for _, err := range r.failed {
		all = append(all, fmt.Sprintf("an attack failed: %v", err))
	}
	if len(r.turns) < r.attacks {
		all = append(all, fmt.Sprintf("%d attacks had a turn, of %d", len(r.turns), r.attacks))
	}
	return all
}

func (r *report) print(out io.Writer) {
	fmt.Fprintln(out, "| | before | most | after | bound |\n| --- | ---: | ---: | ---: | ---: |")
	for _, q := range quantities {
		bound := "–"
		if q.slack >= 0 {
			bound = q.text(r.before[q.name] + q.slack)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", q.name, q.text(r.before[q.name]), q.text(r.most[q.name]), q.text(r.after[q.name]), bound)
	}
	fmt.Fprintln(out, "\n| good clients | how many | sent | heard | lost | broken |\n| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, k := range r.kinds {
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d |\n", k.name, k.clients, k.sent.Load(), k.heard.Load(), k.lost.Load(), k.broken.Load())
	}
	turns := 0
	for n := range maps.Values(r.turns) {
		turns += n
	}
	fmt.Fprintf(out, "\n%d attacks, %d turns. Everything was as before %v after the last client left.\n", len(r.turns), turns, r.took.Round(time.Second/10))
	faults := r.faults()
	for _, one := range faults {
		fmt.Fprintln(out, "NOT OK:", one)
	}
	if len(faults) == 0 {
		fmt.Fprintln(out, "ok")
	}
}
