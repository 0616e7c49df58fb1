// Package seldom limits how often lines are logged, and counts those left out.
package seldom

import (
	"sync"
	"time"
)

// Lines limits log lines of one kind: it admits the first few, and then one in each interval. Use it in packages that other
// programs may import, where nothing else may limit the log, and for lines of which one now and then is enough. The zero
// value admits one line a second. OK may be called from any goroutine.
type Lines struct {
	First    int           // how many lines are admitted without a limit
	Interval time.Duration // minimum time between later lines; a second by default

	mu      sync.Mutex // guards the rest
	written int        // lines admitted, up to First
	last    time.Time  // when a line was last admitted
	leftOut int        // lines left out since then
}

// OK reports whether to write a line now, and returns attributes to add to it: the number of lines left out since the last
// one, if there were any.
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
