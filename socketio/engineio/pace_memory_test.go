package engineio

import (
	"testing"
	"testing/synctest"
	"time"
)

// An address is forgotten once its burst is full again, no matter how often it came and went.
func TestAddressesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paces{perSecond: 10}
		known := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.of)
		}
		for range 100 {
			one := p.join("a")
			if again := p.join("a"); again != one {
				t.Error("two paces of one address")
			}
			one.Reserve()
			p.leave("a")
			p.leave("a")
			p.join("b")
			p.leave("b")
			time.Sleep(10 * time.Millisecond)
		}
		if n := known(); n != 1 {
			t.Errorf("%d addresses are known", n)
		}
		time.Sleep(time.Minute)
		if n := known(); n != 0 {
			t.Errorf("%d addresses are known after a rest", n)
		}
	})
}
