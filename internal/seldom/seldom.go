// Package seldom leaves lines out of a log where they come too often, and says how many.
package seldom

import (
	"sync"
	"time"
)

// Lines are log lines of one kind: the first ones are written, and then one in each interval. It is for packages that others
// use, whose log nothing else may pace, and for lines of which one in a while is enough. The zero value writes one a second.
type Lines struct {
	First    int           // how many are written whenever they come
	Interval time.Duration // between two of the others; a second by default

	mu      sync.Mutex // guards the rest
	written int        // no more than First
	last    time.Time  // when one was written
	leftOut int        // since then
}

// OK reports whether a line is to be written now, and returns the attributes to add to it: how many were left out since the
// last one, if any were.
func (l *Lines) OK() (attrs []any, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	interval := l.Interval
	if interval == 0 {
		interval = time.Second
	}
	now := time.Now()
	if l.written < l.First {
		l.written++
	} else if now.Sub(l.last) < interval {
		l.leftOut++
		return nil, false
	}
	l.last = now
	if l.leftOut > 0 {
		attrs = []any{"left out since the last such line", l.leftOut}
		l.leftOut = 0
	}
	return attrs, true
}
