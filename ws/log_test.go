package ws_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// lines are what was logged.
type lines struct {
	mu     sync.Mutex
	logged bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logged.Write(p)
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logged.String()
}

// find returns the first line that has all parts, and waits for it.
func (l *lines) find(t *testing.T, parts ...string) (line string) {
	t.Helper()
	eventually(t, func() bool {
		for line = range strings.Lines(l.String()) {
			if hasAll(line, parts) {
				return true
			}
		}
		return false
	})
	return line
}

func hasAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// count is how many lines have all parts.
func (l *lines) count(parts ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		if hasAll(line, parts) {
			n++
		}
	}
	return n
}
