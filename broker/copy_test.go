package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// While nothing comes, Copy keeps calling; it gives up when the broker is gone.
func TestCopyNoticesASilentBroker(t *testing.T) {
	network := startProxy(t, startNATS(t, t.TempDir(), -1).ClientURL())
	l := openLog(t, openBroker(t, Config{URL: network.url()}), chatLog)
	appendTo(t, l, "room", "1")
	var began time.Time
	quiet := 0
	err := l.Copy(testContext(t), 0, func(batch []Entry) error {
		if len(batch) > 0 {
			return nil
		}
		if quiet++; quiet == 2 { // the second time, too, nothing was wrong
			network.Freeze()
			began = time.Now()
		}
		return nil
	})
	if took := time.Since(began); !errors.Is(err, ErrUnavailable) || quiet != 2 || took > patience/2 {
		t.Errorf("after %d quiet rounds, and %v of silence: %v", quiet, took, err)
	}
}

// A consumer that sends nothing of what is there is given up.
func TestCopyNoticesAConsumerThatSendsNothing(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), chatLog)
	seq := appendTo(t, l, "room", "1")
	c := &copying{log: l, keep: func([]Entry) error { return nil }}
	if err := c.idle(testContext(t)); err != nil {
		t.Errorf("at first: %v", err)
	}
	if err := c.idle(testContext(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the second time: %v", err)
	}
	c = &copying{log: l, keep: func([]Entry) error { return nil }}
	for range 3 {
		c.last, c.missed = seq, 1
		if err := c.idle(testContext(t)); err != nil || c.missed != 0 {
			t.Errorf("with everything copied: %v", err)
		}
	}
}

// An entry lost in transit is requested again.
func TestCopyNoticesALostEntry(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), chatLog)
	for i := range 3 {
		appendTo(t, l, "room", fmt.Sprint(i))
	}
	js := l.broker.js
	consumer, err := js.CreateConsumer(testContext(t), l.stream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consumer.Next(); err != nil { // another takes it
		t.Fatal(err)
	}
	c := &copying{log: l, consumer: consumer, keep: func([]Entry) error { t.Error("kept"); return nil }}
	if err := c.fetch(testContext(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("fetch: %v", err)
	}
}

func TestHeld(t *testing.T) {
	l := openLog(t, openBroker(t, Config{Sync: time.Second}), LogConfig{Name: "chat", PerTopic: 300, MaxAge: time.Hour, MaxBytes: 64 << 20, Duplicates: time.Minute})
	if last, err := l.Last(testContext(t)); err != nil || last != 0 {
		t.Errorf("the last one of none is %d: %v", last, err)
	}
	base := uint64(0) // what the first one's sequence is above 1
	for i := range 400 {
		seq := appendTo(t, l, fmt.Sprint("room-", i%2), fmt.Sprint(i))
		base = seq - uint64(i) - 1
	}
	for i := range 200 { // the first 100 of room-0, up to 199, are discarded
		appendTo(t, l, "room-0", fmt.Sprint("more", i))
	}
	if last, err := l.Last(testContext(t)); err != nil || last != base+600 {
		t.Errorf("the last one is %d: %v", last, err)
	}
	for _, one := range []struct {
		after, before uint64
		n             int
		first, last   uint64
	}{{0, 1000, 256, 2, 356}, {599, 1000, 1, 600, 600}, {600, 1000, 0, 0, 0}, {700, 1000, 0, 0, 0}, {0, 2, 0, 0, 0}, {0, 5, 2, 2, 4}, {2, 4, 0, 0, 0}, {2, 5, 1, 4, 4}, {4, 5, 0, 0, 0}, {7, 7, 0, 0, 0}, {200, 456, 255, 201, 455}, {200, 457, 256, 201, 456}, {200, 458, 256, 201, 456}} {
		entries, err := l.Held(testContext(t), base+one.after, base+one.before)
		if err != nil || len(entries) != one.n || one.n > 0 && (entries[0].Seq != base+one.first || entries[one.n-1].Seq != base+one.last) {
			t.Errorf("between %d and %d: %d entries: %v", one.after, one.before, len(entries), err)
		}
	}
	if err := js(t, l).DeleteMsg(testContext(t), base+600); err != nil {
		t.Fatal(err)
	}
	if last, err := l.Last(testContext(t)); err != nil || last != base+599 {
		t.Errorf("the last one is %d: %v", last, err)
	}
	if entries, err := l.Held(testContext(t), base+590, base+1000); err != nil || len(entries) != 9 {
		t.Errorf("%d entries: %v", len(entries), err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := l.Held(ctx, 0, 10); !errors.Is(err, ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

// js is the stream as an operator has it.
func js(t *testing.T, l *Log) jetstream.Stream {
	t.Helper()
	stream, err := l.broker.js.Stream(testContext(t), l.stream)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}
