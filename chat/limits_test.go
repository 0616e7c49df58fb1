package chat

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

func TestALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(2, 10)
		taken := 0
		for allows(l, "a") {
			taken++
		}
		if taken != 20 || !allows(l, "b") {
			t.Errorf("%d at once", taken)
		}
		time.Sleep(time.Second)
		for taken = 0; allows(l, "a"); {
			taken++
		}
		if taken != 2 {
			t.Errorf("%d more in a second", taken)
		}
		if got := burst(rate.Inf, 10); got < 1 {
			t.Errorf("without a limit %d at once", got)
		}
	})
}
