package exercise

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	whole := func() float64 { return 1 }
	for _, c := range []struct {
		failures int
		want     time.Duration
	}{
		{0, 500 * time.Millisecond},
		{1, time.Second},
		{3, 4 * time.Second},
		{5, 16 * time.Second},
		{6, 30 * time.Second},
		{100, 30 * time.Second}, // 2 to the 100th is too large for any integer
		{1_000_000, 30 * time.Second},
	} {
		if got := Delay(c.failures, whole); got != c.want {
			t.Errorf("after %d failures at most %v, want %v", c.failures, got, c.want)
		}
	}
	if got := Delay(1, func() float64 { return 0.25 }); got != 250*time.Millisecond {
		t.Errorf("a quarter of a second's wait is %v", got)
	}
}

// Of a thousand that come back after the same failures, few come in the same tenth of a second.
func TestJitter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tenths := map[time.Duration]int{}
	for range 1000 {
		tenths[Delay(4, random.Float64)/(100*time.Millisecond)]++
	}
	for tenth, n := range tenths {
		if n > 60 {
			t.Errorf("%d come within the same tenth of a second, after %v", n, tenth*100*time.Millisecond)
		}
	}
}

func TestRetry(t *testing.T) {
	for code, want := range map[int]bool{
		1000: true, 1001: true, 1006: true, 1011: true, 1012: true, 1013: true, 3000: true, 3999: true, 5000: true,
		1002: false, 1003: false, 1007: false, 1008: false, 1009: false, 4000: false, 4999: false,
	} {
		if got := Retry(code); got != want {
			t.Errorf("after %d: %v, want %v", code, got, want)
		}
	}
}
