package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// serveMetrics answers with what text makes of the number of the request, the first being 1.
func serveMetrics(t *testing.T, text func(n int) string) *gauges {
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := text(int(requests.Add(1)))
		if answer == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	g := newGauges(s.Listener.Addr().String())
	t.Cleanup(g.close)
	return g
}

// The heap that counts is that after two collections.
func TestCollected(t *testing.T) {
	g := serveMetrics(t, func(n int) string {
		collections, next := "7", 60<<20
		if n == 1 {
			return "" // is counted, and asked again
		}
		if n > 4 {
			collections = "8"
		}
		if n > 6 {
			collections, next = "9", 6<<20
		}
		return strings.Replace(text(40, next), "count 7", "count "+collections, 1)
	})
	if r := g.collected(t.Context()); r[heap] != 3 {
		t.Errorf("the heap has %v MB", r[heap])
	}
	if g.failed != 1 {
		t.Errorf("%d readings failed", g.failed)
	}
}

// settle waits for what is left behind: first goroutines, finally the heap.
func TestSettle(t *testing.T) {
	collections := 0
	g := serveMetrics(t, func(n int) string {
		goroutines, next := 40, 60<<20
		if n < 3 {
			goroutines = 90
		}
		if collections++; collections > 10 {
			next = 8 << 20
		}
		return strings.Replace(text(goroutines, next), "count 7", "count "+strings.Repeat("1", collections), 1)
	})
	before, _, err := parse(strings.NewReader(text(40, 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := g.settle(t.Context(), before); after["goroutines"] != 40 || after[heap] != 4 {
		t.Errorf("it settles at %v", after)
	}
}
