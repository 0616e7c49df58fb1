package engineio_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
)

// All sessions of an address share its limit, on any transport. Packets past the limit are handled later, not lost.
func TestAnAddressThatSendsTooMuch(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 10}, func(t *testing.T, s *server) {
		s.echo.IPExtractor = func(*http.Request) string { return "192.0.2.7" }
		sid := s.openCall(t.Context())
		begin := time.Now()
		conn := s.pipe()
		go func() {
			for range 30 {
				websocket.Message.Send(conn, "4x")
			}
		}()
		for range 30 {
			expect(t, conn, "4x")
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("30 messages took %v", took)
		}
		begin = time.Now()
		s.call(t.Context(), "POST", "&sid="+sid, strings.Repeat("4x\x1e", 19)+"4x")
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("20 more by polling took %v", took)
		}
		if n := s.engine.Stats().Slowed; n != 30 {
			t.Errorf("%d were slowed", n)
		}
	})
}

// A long packet counts once more for each 512 bytes.
func TestAnAddressThatSendsLongPackets(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 10}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		begin := time.Now()
		for range 3 { // each counts as ten
			s.call(t.Context(), "POST", "&sid="+sid, "4x"+strings.Repeat("x", 9<<9))
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Reconnecting does not reset the limit of an address; resting does.
func TestAnAddressThatComesBack(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 10}, func(t *testing.T, s *server) {
		send := func() time.Duration {
			begin := time.Now()
			conn := s.pipe()
			for range 20 {
				websocket.Message.Send(conn, "4x")
				expect(t, conn, "4x")
			}
			conn.Close()
			synctest.Wait()
			return time.Since(begin)
		}
		for i, want := range []time.Duration{0, 2 * time.Second, 2 * time.Second} {
			if took := send(); took != want {
				t.Errorf("visit %d took %v, want %v", i, took, want)
			}
		}
		time.Sleep(10 * time.Second)
		if took := send(); took != 0 {
			t.Errorf("after a rest it took %v", took)
		}
	})
}

// When a session ends, its wait ends.
func TestTheEndOfAWait(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 0.1}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		posted := make(chan struct{})
		go func() {
			s.call(t.Context(), "POST", "&sid="+sid, strings.Repeat("4x\x1e", 9)+"4x")
			close(posted)
		}()
		time.Sleep(3 * time.Second)
		begin := time.Now()
		s.only().Close()
		<-posted
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it waited for %v", took)
		}
	})
}

// Short waits add up before a session sleeps; the rate is the same.
func TestAnAddressSleepsSeldom(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 1000}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		begin := time.Now()
		s.call(t.Context(), "POST", "&sid="+sid, strings.Repeat("3\x1e", 2999)+"3")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("3000 packets took %v", took)
		}
		if n := s.engine.Stats().Slowed; n != 20 {
			t.Errorf("the session slept %d times", n)
		}
	})
}

// A packet that is longer than the burst waits for the whole burst, not for ever.
func TestAPacketLongerThanTheBurst(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 1}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		begin := time.Now()
		if got := s.call(t.Context(), "POST", "&sid="+sid, "4"+strings.Repeat("x", 5000)); got != "ok" || time.Since(begin) > 10*time.Second {
			t.Errorf("%q after %v", got, time.Since(begin))
		}
	})
}

// Sessions that end while they wait for their turn leave it to the others of their address.
func TestTurnsOfSessionsThatEnd(t *testing.T) {
	bubble(t, engineio.Config{AddressMessageRate: 10}, func(t *testing.T, s *server) {
		first := s.openCall(t.Context())
		s.call(t.Context(), "POST", "&sid="+first, "4"+strings.Repeat("x", 10_000)) // takes the burst
		for range 10 {
			sid := s.openCall(t.Context())
			s.mu.Lock()
			one := s.sessions[sid]
			s.mu.Unlock()
			posted := make(chan string)
			go func() { posted <- s.call(t.Context(), "POST", "&sid="+sid, "4"+strings.Repeat("x", 10_000)) }()
			synctest.Wait()
			one.Close()
			<-posted
		}
		begin := time.Now()
		s.call(t.Context(), "POST", "&sid="+first, "4x")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a message of another session took %v", took)
		}
	})
}
