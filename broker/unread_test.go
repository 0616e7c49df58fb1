package broker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// slowReader takes nothing before read is closed, and closes all when it has taken the message "last".
type slowReader struct {
	read, all          chan struct{}
	delivered, skipped atomic.Uint64 // messages before the last; those of them after a gap
}

func newSlowReader() *slowReader {
	return &slowReader{read: make(chan struct{}), all: make(chan struct{})}
}

// follow makes it the reader of a room. Start is left to the caller.
func (r *slowReader) follow(t *testing.T, l *Log) *Follower {
	t.Helper()
	f, _, err := l.Follow(testContext(t), "room", r.deliver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f
}

func (r *slowReader) deliver(e Entry) {
	<-r.read
	if e.Skipped {
		r.skipped.Add(1)
	}
	if string(e.Data) == "last" {
		close(r.all)
		return
	}
	r.delivered.Add(1)
}

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
			r := newSlowReader()
			f := r.follow(t, l)
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
			appendTo(t, l, "room", "one of a node that stays behind") // after unreadTime
			close(r.read)
			if !test.started {
				f.Start()
			}
			running.Wait()
			appendTo(t, l, "room", "last")
			<-r.all
			if delivered, skipped := r.delivered.Load(), r.skipped.Load(); delivered != messages+1 || skipped != 0 {
				t.Errorf("%d messages delivered before the last, %d of them after a gap; want %d and 0", delivered, skipped, messages+1)
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
	r := newSlowReader()
	release := sync.OnceFunc(func() { close(r.read) })
	defer release()
	f := r.follow(t, l)
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
	<-r.all
	if r.skipped.Load() > 0 {
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
