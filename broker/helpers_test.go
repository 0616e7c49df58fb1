package broker

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a log to be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// soon fails the test if something takes most, or longer. A busy machine may hold it up, so it is tried five times: what waits
// for its own time to pass does so each time. something must be able to run again.
func soon(t testing.TB, most time.Duration, something func()) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		start := time.Now()
		something()
		if took = append(took, time.Since(start)); took[len(took)-1] < most {
			return
		}
	}
	t.Errorf("it takes %v, want less than %v", took, most)
}

func testLogger(l *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
