package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
			short, cancel := context.WithTimeout(t.Context(), 2*unreadWait)
			defer cancel()
			if _, _, err := l.Append(short, "room", "impatient", []byte("impatient")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("a post whose time is over while it waits: %v", err)
			}
			if err := l.recentFailure(); err == nil {
				t.Error("no failure is known, although a post was refused")
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
	if _, err := comparisons.NextMsgWithContext(testContext(t)); err != nil {
		t.Fatal(err)
	}
	close(read)
	<-all
	if skipped.Load() > 0 {
		t.Error("messages that waited are taken for lost")
	}
}
