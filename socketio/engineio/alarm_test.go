package engineio

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// Each session times out at its own time, no matter how many others begin, send and end in the meantime.
func TestManySessionsFallSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		var last *Session
		s := New(ws.New(e, ws.Config{}), "/", Config{PingInterval: time.Second, PingTimeout: time.Second}, func(one *Session) { last = one })
		ask := func(method, query, body string) int {
			res := httptest.NewRecorder()
			e.ServeHTTP(res, httptest.NewRequest(method, "/?EIO=4&transport=polling"+query, strings.NewReader(body)))
			return res.Code
		}
		const sessions = 200
		began := time.Now()
		var all []*Session
		want, got := make([]time.Duration, sessions), make([]time.Duration, sessions)
		for i := range sessions {
			ask(http.MethodGet, "", "")
			all = append(all, last)
			last.OnClose(func(string) { got[i] = time.Since(began) })
			want[i] = time.Since(began) + 2*time.Second
			time.Sleep(3 * time.Millisecond)
		}
		for n := range all {
			switch i := n * 7 % sessions; i % 4 { // in a different order
			case 0: // sends something, so it ends later
				if code := ask(http.MethodPost, "&sid="+all[i].ID(), "3"); code != http.StatusOK {
					t.Errorf("a pong is answered with %d", code)
				}
				want[i] = time.Since(began) + 2*time.Second
			case 1: // ends now
				all[i].end(TransportError, nil)
				want[i] = time.Since(began)
			}
			time.Sleep(2 * time.Millisecond)
		}
		alarms := func() (n int, armed bool) {
			s.alarms.mu.Lock()
			defer s.alarms.mu.Unlock()
			return len(s.alarms.next), s.alarms.armed
		}
		synctest.Wait() // a tick may be in progress, which sets the next alarm
		if n, armed := alarms(); n != sessions*3/4 || !armed {
			t.Errorf("%d alarms, want one for each session that has not ended", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for i := range all {
			if late := got[i] - want[i]; late < 0 || late > 2*time.Millisecond {
				t.Errorf("%d ended after %v instead of %v", i, got[i], want[i])
			}
		}
		if n, armed := alarms(); n != 0 || armed {
			t.Errorf("%d alarms are left", n)
		}
		ask(http.MethodGet, "", "") // a new session
		time.Sleep(3 * time.Second)
		if n := s.Len(); n != 0 {
			t.Errorf("%d sessions do not end", n)
		}
		s.Close()
	})
}

// The last packets of a session are kept for lingerTime, even if its next ping was due at the moment of its end.
func TestLastPacketsWaitTheirTime(t *testing.T) {
	for _, after := range []time.Duration{25*time.Second - time.Millisecond, 26 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			e := echo.New()
			var one *Session
			s := New(ws.New(e, ws.Config{}), "/", Config{}, func(s *Session) { one = s })
			for range 2 { // one of them stays
				e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling", nil))
			}
			time.Sleep(after)
			one.Close()
			one.tick() // as if it had been in progress
			time.Sleep(lingerTime - time.Millisecond)
			if s.Len() != 2 {
				t.Errorf("%v: the last packets are gone", after)
			}
			time.Sleep(2 * time.Millisecond)
			if s.Len() != 1 {
				t.Errorf("%v: the last packets stay", after)
			}
			s.Close()
		})
	}
}
