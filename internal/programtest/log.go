package programtest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log is what a program writes, to be waited for. The zero value is an empty one. Its methods may be called from any
// goroutine.
type Log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	more  chan struct{} // closed when there is more, or the end; nil while nobody waits
	ended bool
}

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	return l.text.Write(p)
}

// End says that nothing comes any more: nobody waits for it then.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
}

// wake wakes who waits. The caller holds mu.
func (l *Log) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// String is what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// state is what was written so far, whether that is all, and what is closed when that changes.
func (l *Log) state() (text string, ended bool, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.text.String(), l.ended, l.more
}

// Find waits until the log has a part and the end of the line that it is in. It returns the word that follows the part, or
// "." where none does. It fails the test where the log ends without it.
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
