package broker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestAFloodWaitsForTheReader posts faster than the follower takes messages. Posts have to wait before the stream discards
// what the follower has not read, both while live messages queue up and while it reads the stream.
func TestAFloodWaitsForTheReader(t *testing.T) {
	const messages, posters = 3000, 32
	tests := map[string]struct{ started bool }{
		"live":    {started: true},
		"filling": {started: false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := openBroker(t, Config{})
			l := openLog(t, b, chatLog)
			read := make(chan struct{})
			var delivered, skipped atomic.Uint64
			all := make(chan struct{})
			f, _, err := l.Follow(testContext(t), "room", func(e Entry) {
				<-read
				if e.Skipped {
					skipped.Add(1)
				}
				if string(e.Data) == "last" {
					close(all)
					return
				}
				delivered.Add(1)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Stop()
			if test.started {
				f.Start()
			}
			var next, stored atomic.Int64
			var running sync.WaitGroup
			for range posters {
				running.Go(func() {
					for n := next.Add(1); n <= messages; n = next.Add(1) {
						if _, _, err := l.Append(testContext(t), "room", fmt.Sprint(n), []byte("one of many")); err != nil {
							t.Error(err)
						}
						stored.Add(1)
					}
				})
			}
			for tick := time.Tick(time.Millisecond); b.unread.Load() < posters && stored.Load() < messages; {
				<-tick
			}
			if b.unread.Load() < posters {
				t.Errorf("%d posts did not wait for a reader that reads nothing", messages)
			}
			if !l.isBehind("room") || l.isBehind("another-room") {
				t.Error("posts wait in a room that nobody follows, or not in the one that somebody does")
			}
			close(read)
			if !test.started {
				f.Start()
			}
			running.Wait()
			appendTo(t, l, "room", "last")
			<-all
			if delivered.Load() != messages || skipped.Load() != 0 {
				t.Errorf("%d messages delivered before the last, %d of them after a gap; want %d and 0", delivered.Load(), skipped.Load(), messages)
			}
		})
	}
}

// A follower whose topic's tail is compared while live messages wait for it takes them, and does not look for them in the stream,
// which no longer holds them.
func TestWhatWaitsIsNotReadFromTheStream(t *testing.T) {
	b := openBroker(t, Config{Compare: time.Hour})
	few := chatLog
	few.PerTopic = 100
	l := openLog(t, b, few)
	comparisons, err := b.conn.SubscribeSync("$JS.API.DIRECT.GET." + l.stream)
	if err != nil {
		t.Fatal(err)
	}
	read, all := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(read) })
	defer release()
	var skipped atomic.Uint64
	f, _, err := l.Follow(testContext(t), "room", func(e Entry) {
		<-read
		if e.Skipped {
			skipped.Add(1)
		}
		if string(e.Data) == "last" {
			close(all)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	f.Start()
	for i := range unreadQueue - 10 {
		appendTo(t, l, "room", fmt.Sprint(i))
	}
	appendTo(t, l, "room", "last")
	l.compareSoon()
	next := func(s *nats.Subscription) {
		t.Helper()
		if _, err := s.NextMsgWithContext(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	next(comparisons)
	looks, err := b.conn.SubscribeSync("$JS.API.STREAM.INFO." + l.stream)
	if err != nil {
		t.Fatal(err)
	}
	l.compareSoon()
	next(looks) // the comparison is over, and has not read anything
	release()
	<-all
	if skipped.Load() > 0 {
		t.Error("messages that waited are taken for lost")
	}
}

// Posts that a follower hears of before it knows the topic's tail are not missing, and hold up nobody.
func TestWhatWasHeardBeforeTheTailIsNotMissing(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), LogConfig{Name: "chat", PerTopic: 1, MaxAge: time.Hour, MaxBytes: 1 << 20, Duplicates: time.Minute})
	seq := appendTo(t, l, "room", "first")
	f, tail, err := l.Follow(testContext(t), "room", func(Entry) {})
	if err != nil || tail != seq {
		t.Fatal(tail, err)
	}
	defer f.Stop()
	raw, _ := l.epochs().floor(seq)
	for range 3 { // as if these had come while Follow asked for the tail
		f.mu.Lock()
		f.fillLocked(raw)
		f.missing.Add(1)
		f.mu.Unlock()
	}
	f.Start()
	if l.isBehind("room") {
		t.Error("the follower is behind, although it lacks nothing")
	}
}
