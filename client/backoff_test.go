package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"echows/ws"
)

func TestDelayIsRandomOverItsWholeLength(t *testing.T) {
	for failures := range 100 {
		most := min(30*time.Second, 500*time.Millisecond<<min(failures, 10))
		if got := delay(failures, func() float64 { return 0 }); got != 0 {
			t.Errorf("after %d the shortest is %v", failures, got)
		}
		if got := delay(failures, func() float64 { return 0.5 }); got != most/2 {
			t.Errorf("after %d the middle is %v, want %v", failures, got, most/2)
		}
		quarters := [4]int{}
		for range 1000 {
			got := delay(failures, rand.Float64)
			if got < 0 || got >= most {
				t.Fatalf("after %d a wait of %v", failures, got)
			}
			quarters[4*got/most]++
		}
		if slices.Min(quarters[:]) < 150 { // of 250; 150 is 7 standard deviations away
			t.Errorf("after %d the quarters are %v", failures, quarters)
		}
	}
}

// attempts gives a Conn what its attempts come to, each of which takes some of the bubble's time, and returns the waits between.
func attempts(t *testing.T, all ...func() (time.Duration, error)) []time.Duration {
	t.Helper()
	var waits []time.Duration
	c := newConn(t.Context(), nil, Config{random: func() float64 { return 0.5 }})
	n := 0
	ended := time.Now()
	c.try = func() (time.Duration, error) {
		if n > 0 {
			waits = append(waits, time.Since(ended))
		}
		if n == len(all) {
			return 0, &ws.CloseError{Code: 4000}
		}
		open, err := all[n]()
		n++
		ended = time.Now()
		return open, err
	}
	c.run()
	return waits
}

func fails() (time.Duration, error) { return 0, errors.New("no network") }

func lasts(d time.Duration) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		time.Sleep(d) // the bubble's time
		return d, &ws.CloseError{Code: ws.CloseAbnormal}
	}
}

func TestBackOffGrowsAndIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms, s = time.Millisecond, time.Second
		got := attempts(t, fails, fails, fails, fails, fails, fails, fails, fails,
			lasts(4999*ms), lasts(5*s), fails, lasts(time.Hour), fails)
		want := []time.Duration{250 * ms, 500 * ms, 1 * s, 2 * s, 4 * s, 8 * s, 15 * s, 15 * s,
			15 * s, 250 * ms, 500 * ms, 250 * ms, 500 * ms}
		if !slices.Equal(got, want) {
			t.Errorf("waited for %v, want %v", got, want)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := func(after string) func() (time.Duration, error) {
			return func() (time.Duration, error) {
				return 0, fmt.Errorf("wrapped: %w", &ws.HandshakeError{StatusCode: 503, Header: http.Header{"Retry-After": {after}}})
			}
		}
		const ms, s = time.Millisecond, time.Second
		got := attempts(t, refused("7"), refused(time.Now().Add(20*s).UTC().Format(http.TimeFormat)),
			refused("-3"), refused("soon"), refused("86400"))
		want := []time.Duration{7*s + 250*ms, 20*s - 7*s - 250*ms + 500*ms, 1 * s, 2 * s, 5*time.Minute + 4*s}
		if !slices.Equal(got, want) {
			t.Errorf("waited for %v, want %v", got, want)
		}
	})
}

// Now and Again end a wait, and only the one that is under way.
func TestAWaitEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newConn(ctx, nil, Config{random: func() float64 { return 0.5 }})
		var n atomic.Int32
		c.try = func() (time.Duration, error) {
			n.Add(1)
			c.Now()
			c.Again()
			return fails()
		}
		go c.run()
		start := time.Now()
		synctest.Wait()
		if n.Load() != 1 {
			t.Fatalf("%d attempts: what was wanted while connecting counts for the wait after it", n.Load())
		}
		c.Now()
		c.Now()
		synctest.Wait()
		c.Again()
		synctest.Wait()
		if n.Load() != 3 || time.Since(start) != 0 {
			t.Errorf("%d attempts after %v", n.Load(), time.Since(start))
		}
		time.Sleep(time.Second) // the third's wait
		synctest.Wait()
		if n.Load() != 4 {
			t.Errorf("%d attempts", n.Load())
		}
		cancel()
		<-c.Done()
		if !errors.Is(c.Err(), context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("ended with %v after %v", c.Err(), time.Since(start))
		}
	})
}
