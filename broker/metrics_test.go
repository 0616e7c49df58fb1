package broker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"echows/internal/metrictest"
)

// expectMetric waits until a metric of a Broker has a value.
func expectMetric(t *testing.T, b *Broker, name string, want float64) {
	t.Helper()
	var got float64
	defer func() {
		if t.Failed() {
			t.Logf("%s is %v, want %v", name, got, want)
		}
	}()
	eventually(t, name, func() bool {
		got = metrictest.Value(t, b.Collector(), name)
		return got == want
	})
}

func TestMetricsOfStoring(t *testing.T) {
	p := startProxy(t, natsURL(t))
	b := openBroker(t, Config{URL: p.url(), Compare: 20 * time.Millisecond})
	l := openLog(t, b, chatLog)
	expectMetric(t, b, "echows_broker_up", 1)
	expectMetric(t, b, "echows_broker_lag_messages", 0)
	appendTo(t, l, "lobby", "a")
	for range 2 { // the second is a repeat
		if _, _, err := l.Append(testContext(t), "lobby", "b", nil); err != nil {
			t.Fatal(err)
		}
	}
	expectMetric(t, b, "echows_broker_stored_total", 2)
	expectMetric(t, b, "echows_broker_store_seconds", 2)

	p.Cut()
	expectMetric(t, b, "echows_broker_up", 0)
	gone, leave := context.WithCancel(testContext(t))
	leave()
	l.Append(gone, "lobby", "c", nil) // by a client that has left
	expectMetric(t, b, "echows_broker_store_failures_total", 0)
	soon, cancel := context.WithTimeout(testContext(t), 10*time.Millisecond)
	defer cancel()
	if _, _, err := l.Append(soon, "lobby", "c", nil); err == nil {
		t.Error("stored without a server")
	}
	expectMetric(t, b, "echows_broker_store_failures_total", 1)
	p.Mend()
	appendTo(t, l, "lobby", "d")
	expectMetric(t, b, "echows_broker_reconnects_total", 1)
	expectMetric(t, b, "echows_broker_up", 1)
	expectMetric(t, b, "echows_broker_stored_total", 3)

	l.refuses.Store(true) // as after a loss; the next comparison finds none
	if b.takes() && l.refuses.Load() {
		t.Error("up while appends are refused")
	}
	if err := b.js.DeleteStream(testContext(t), l.stream); err != nil {
		t.Fatal(err)
	}
	expectMetric(t, b, "echows_broker_up", 0)
}

// The lag counts stored entries that wait here: in the queue, and to be read from the stream.
func TestMetricsOfTheLag(t *testing.T) {
	b := openBroker(t, Config{Dir: t.TempDir(), Sync: time.Minute, Compare: time.Hour})
	l := openLog(t, b, chatLog)
	entered, leave := make(chan struct{}, 600), make(chan struct{})
	f, _, err := l.Follow(testContext(t), "lobby", func(Entry) {
		entered <- struct{}{}
		<-leave
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	for i := range 5 {
		appendTo(t, l, "lobby", fmt.Sprint(i))
	}
	<-entered
	eventually(t, "four wait in the queue", func() bool { return len(l.live.subs.queue) == 4 })
	close(leave)
	expectMetric(t, b, "echows_broker_lag_messages", 0)
	for range 4 {
		<-entered
	}
	f.Stop()

	for i := range 595 {
		appendTo(t, l, "lobby", fmt.Sprint("more ", i))
	}
	f, tail, err := l.Follow(testContext(t), "lobby", func(Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.cursor = 0 // as if it had missed everything
	f.mu.Unlock()
	raw, _ := l.epochs().floor(tail)
	f.exists(raw)
	if got := l.lag(); got != 1 {
		t.Errorf("%d are missing as far as is known, want 1", got)
	}
	if wait := f.fillOnce(testContext(t), 0, f.want); wait != 0 {
		t.Errorf("the first part is not read: %v", wait)
	}
	if got := l.lag(); got != 600-(batchSize+1) {
		t.Errorf("%d are missing, want %d", got, 600-(batchSize+1))
	}
	f.Start()
	expectMetric(t, b, "echows_broker_lag_messages", 0)
	f.Stop()
}
