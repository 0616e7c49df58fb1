package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"
)

// watch forwards a log, and keeps the lines that should never be there, with those after a race or a panic.
type watch struct {
	out io.Writer

	mu    sync.Mutex     // guards what follows
	part  []byte         // of a line
	after int            // lines still to keep
	lines []string       // in the order of their first appearance
	count map[string]int // by content, without time and id
}

const (
	trace     = 60  // lines kept after a panic or a race
	mostLines = 400 // kept in total
	mostPart  = 64 << 10
)

var (
	traced = regexp.MustCompile(`panic|DATA RACE|fatal error`)
	bad    = regexp.MustCompile(`level=ERROR|"level":"ERROR"`)

	// changing matches what differs between two lines of the same fault.
	changing = regexp.MustCompile(`\b(time|id)=\S+ `)
)

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == nil {
		w.count = map[string]int{}
	}
	w.part = append(w.part, p...)
	for {
		i := bytes.IndexByte(w.part, '\n')
		if i < 0 {
			break
		}
		w.line(w.part[:i])
		w.part = w.part[i+1:]
	}
	if len(w.part) > mostPart {
		w.line(w.part)
		w.part = nil
	}
	return w.out.Write(p)
}

// line checks one line. mu is held.
func (w *watch) line(line []byte) {
	switch {
	case traced.Match(line):
		w.after = trace
	case bad.Match(line):
	case w.after > 0:
		w.after--
	default:
		return
	}
	what := changing.ReplaceAllString(string(line), "")
	if w.count[what]++; w.count[what] == 1 && len(w.lines) < mostLines {
		w.lines = append(w.lines, what)
	}
}

// found returns the lines that should not be there, and how often they are.
func (w *watch) found() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.part) > 0 {
		w.line(w.part)
		w.part = nil
	}
	for _, line := range w.lines {
		all = append(all, fmt.Sprintf("the log has, %d times: %s", w.count[line], line))
	}
	return all
}
