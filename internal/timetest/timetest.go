// Package timetest tests what must not wait, on machines that may be busy.
package timetest

import (
	"testing"
	"time"
)

// Soon fails the test if something takes most, or longer. A busy machine may hold it up, so it is tried five times: what waits
// for its own time to pass does so each time. something must be able to run again.
func Soon(t testing.TB, most time.Duration, something func()) {
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
