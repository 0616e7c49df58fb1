package programtest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log collects a program's output and lets tests wait for parts of it. The zero value is an empty log. Its methods may be
// called from any goroutine.
type Log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	more  chan struct{} // closed when more is written or the log ends; nil while nobody waits
	ended bool
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	return l.text.Write(p)
}

// End marks the log as complete, so that Find stops waiting.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
}

// wake wakes all goroutines that wait. The caller holds mu.
func (l *Log) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// state returns what was written so far, whether the log has ended, and a channel that is closed when either changes.
func (l *Log) state() (text string, ended bool, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.text.String(), l.ended, l.more
}

// Find waits until the log contains part and a newline after it. It returns the word that follows part, or "." if none does.
// It fails the test if the log ends without part, or after Patience.
func (l *Log) Find(t testing.TB, part string) string {
	t.Helper()
	deadline := time.After(Patience)
	for {
		text, ended, more := l.state()
		if _, rest, ok := strings.Cut(text, part); ok && strings.Contains(rest, "\n") {
			return strings.Fields(rest + " .")[0]
		}
		if ended {
			t.Fatalf("the log ends without %q:\n%s", part, text)
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no %q in the log:\n%s", part, text)
		}
	}
}
