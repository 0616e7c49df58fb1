package socketio_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

// All namespaces share one bound for kept events and sockets, and the oldest are dropped first, in any namespace.
func TestTheOldestOfAllNamespacesGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Hour, RecoveryBytes: 100_000})
		defer s.app.Shutdown(t.Context())
		defer s.io.Close()
		for _, name := range []string{"/old", "/new"} {
			for range 60 {
				s.io.Of(name).Emit("e", strings.Repeat("x", 1000))
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
		}
		if old, latest := socketio.KeptEvents(s.io.Of("/old")), socketio.KeptEvents(s.io.Of("/new")); latest != 60 || old == 0 || old > 30 {
			t.Errorf("of 60 each %d old ones and %d new ones are kept", old, latest)
		}
	})
}
