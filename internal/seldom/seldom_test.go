package seldom

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		first    int
		interval time.Duration
		every    time.Duration
		want     string // of ten lines in a row: how many were left out before each line that is written
	}{
		"the zero value, in a burst":    {0, 0, 0, "0 - - - - - - - - -"},
		"the zero value, in some time":  {0, 0, 400 * time.Millisecond, "0 - - 2 - - 2 - - 2"},
		"no more than are to be":        {0, 0, time.Second, "0 0 0 0 0 0 0 0 0 0"},
		"the first ones":                {4, 0, 0, "0 0 0 0 - - - - - -"},
		"the first ones, and then some": {3, 5 * time.Second, time.Second, "0 0 0 - - - - 4 - -"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := Lines{First: c.first, Interval: c.interval}
				got := ""
				for range 10 {
					switch attrs, ok := l.OK(); {
					case !ok:
						got += " -"
					case attrs == nil:
						got += " 0"
					default:
						got += fmt.Sprint(" ", attrs[1])
					}
					time.Sleep(c.every)
				}
				if got[1:] != c.want {
					t.Errorf("got %s, want %s", got[1:], c.want)
				}
			})
		})
	}
}

func TestLinesFromManyGoroutines(t *testing.T) {
	var l Lines
	var all sync.WaitGroup
	var seen atomic.Int64
	const each, goroutines = 1000, 8
	for range goroutines {
		all.Go(func() {
			for range each {
				if attrs, ok := l.OK(); ok {
					seen.Add(1)
					if attrs != nil {
						seen.Add(int64(attrs[1].(int)))
					}
				}
			}
		})
	}
	all.Wait()
	if n := seen.Load() + int64(l.leftOut); n != each*goroutines {
		t.Errorf("%d lines are written or counted, of %d", n, each*goroutines)
	}
}
