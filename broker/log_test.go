package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// patience bounds every wait.
const patience = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func openBroker(t testing.TB, cfg Config) *Broker {
	t.Helper()
	if cfg.URL == "" && cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	b, err := Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

var chatLog = LogConfig{Name: "chat", PerTopic: 1000, MaxAge: time.Hour, MaxBytes: 256 << 20, Duplicates: 5 * time.Minute}

func openLog(t testing.TB, b *Broker, cfg LogConfig) *Log {
	t.Helper()
	l, err := b.OpenLog(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendTo(t testing.TB, l *Log, topic, id string) uint64 {
	t.Helper()
	seq, _, err := l.Append(testContext(t), topic, id, []byte(id))
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// seen is what a follower was given, to be waited for.
type seen struct {
	mu      sync.Mutex
	changed *sync.Cond
	ids     []string
	seqs    []uint64
}

func newSeen() *seen {
	s := &seen{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *seen) deliver(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, string(e.Data))
	s.seqs = append(s.seqs, e.Seq)
	s.changed.Broadcast()
}

func (s *seen) wait(t testing.TB, n int) []string {
	t.Helper()
	late := time.AfterFunc(patience, func() { s.mu.Lock(); defer s.mu.Unlock(); s.changed.Broadcast() })
	defer late.Stop()
	start := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ids) < n {
		if time.Since(start) > patience {
			t.Fatalf("%d entries of %d came", len(s.ids), n)
		}
		s.changed.Wait()
	}
	if !slices.IsSorted(s.seqs) {
		t.Errorf("out of order: %v", s.seqs)
	}
	return slices.Clone(s.ids)
}

func follow(t testing.TB, l *Log, topic string) (*seen, *Follower, uint64) {
	t.Helper()
	s := newSeen()
	f, tail, err := l.Follow(testContext(t), topic, s.deliver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	f.Start()
	return s, f, tail
}

func TestEntriesReachFollowersOnce(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), chatLog)
	before := appendTo(t, l, "lobby", "before")
	s, _, tail := follow(t, l, "lobby")
	if tail != before {
		t.Errorf("tail %d, want %d", tail, before)
	}
	var writers sync.WaitGroup
	for w := range 10 {
		writers.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("%d-%d", w, i)
				for topic, id := range map[string]string{"lobby": id, "other": "other-" + id} {
					if _, _, err := l.Append(testContext(t), topic, id, []byte(id)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	ids := s.wait(t, 500)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 500 {
		t.Error("some came twice")
	}
}

func TestAnIdIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, Config{Dir: dir})
	l := openLog(t, b, chatLog)
	first := appendTo(t, l, "lobby", "a")
	if again := appendTo(t, l, "lobby", "a"); again != first {
		t.Errorf("the same id got %d, then %d", first, again)
	}
	b.Close()
	l = openLog(t, openBroker(t, Config{Dir: dir}), chatLog)
	if again := appendTo(t, l, "lobby", "a"); again != first {
		t.Errorf("after a restart the same id got %d, then %d", first, again)
	}
	if next := appendTo(t, l, "lobby", "b"); next <= first {
		t.Errorf("the next one got %d, after %d", next, first)
	}
}

func TestLostLiveCopiesAreFilledFromTheStream(t *testing.T) {
	for _, c := range []struct {
		name    string
		compare time.Duration // between tails; an hour is never
		last    bool          // one more arrives, and shows the gap
	}{
		{"the next one shows the gap", time.Hour, true},
		{"tails are compared", 50 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLog(t, openBroker(t, Config{Compare: c.compare}), chatLog)
			s, _, _ := follow(t, l, "lobby")
			appendTo(t, l, "lobby", "0")
			s.wait(t, 1)
			l.live.Remove("live.chat.lobby") // as if copies were lost
			for i := range 600 {
				appendTo(t, l, "lobby", fmt.Sprint(i+1))
			}
			if err := l.live.Add(testContext(t), "live.chat.lobby"); err != nil {
				t.Fatal(err)
			}
			want := 601
			if c.last {
				appendTo(t, l, "lobby", "601")
				want++
			}
			for i, id := range s.wait(t, want) {
				if id != fmt.Sprint(i) {
					t.Fatalf("entry %d is %s", i, id)
				}
			}
		})
	}
}

func TestAGapThatWasDeletedIsPassedOver(t *testing.T) {
	cfg := chatLog
	cfg.PerTopic = 5
	l := openLog(t, openBroker(t, Config{Compare: time.Hour}), cfg)
	s, _, _ := follow(t, l, "lobby")
	appendTo(t, l, "lobby", "0")
	s.wait(t, 1)
	l.live.Remove("live.chat.lobby")
	for i := range 20 {
		appendTo(t, l, "lobby", fmt.Sprint(i+1))
	}
	if err := l.live.Add(testContext(t), "live.chat.lobby"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, l, "lobby", "last")
	if got, want := fmt.Sprint(s.wait(t, 6)), "[0 17 18 19 20 last]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Everything deleted while away: the follower goes on with what comes.
	if err := l.broker.js.DeleteStream(testContext(t), "OTHER"); err == nil {
		t.Fatal("there is no such stream")
	}
	stream, err := l.broker.js.Stream(testContext(t), "CHAT")
	if err != nil {
		t.Fatal(err)
	}
	l.live.Remove("live.chat.lobby")
	appendTo(t, l, "lobby", "deleted")
	if err := stream.Purge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.live.Add(testContext(t), "live.chat.lobby"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, l, "lobby", "after the purge")
	if got := s.wait(t, 7); got[6] != "after the purge" {
		t.Errorf("got %v", got)
	}
}

func TestAPublishersOwnSequenceIsNotBelieved(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), chatLog)
	s, _, _ := follow(t, l, "lobby")
	m := nats.NewMsg("chat.lobby")
	m.Header = nats.Header{"Nats-Sequence": {"99"}, "Nats-Last-Sequence": {"98"}, "Nats-Subject": {"chat.other"}}
	m.Data = []byte("forged")
	if err := l.broker.conn.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 1)
	next := appendTo(t, l, "lobby", "next")
	if ids := s.wait(t, 2); fmt.Sprint(ids) != "[forged next]" || s.seqs[0] != next-1 || s.seqs[1] != next {
		t.Errorf("got %v %v, the last is %d", ids, s.seqs, next)
	}
}

func TestBefore(t *testing.T) {
	l := openLog(t, openBroker(t, Config{Sync: time.Second}), chatLog)
	ctx := testContext(t)
	byTopic := map[string][]uint64{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 { // busy at first, then in bursts, and beside a quiet one
		topic := "even"
		switch {
		case i%97 == 0:
			topic = "rare"
		case i > 1500 && i < 2200:
			topic = "burst"
		case random.IntN(3) == 0:
			topic = "random"
		}
		byTopic[topic] = append(byTopic[topic], appendTo(t, l, topic, fmt.Sprint(i)))
	}
	for topic, seqs := range byTopic {
		seqs = seqs[max(0, len(seqs)-chatLog.PerTopic):]
		for _, limit := range []int{1, 2, 50, 200, 5000} {
			for _, before := range []uint64{1, seqs[0], seqs[0] + 1, seqs[len(seqs)/2], 1600, seqs[len(seqs)-1], 3001, 1 << 53} {
				below, _ := slices.BinarySearch(seqs, before)
				want := seqs[max(0, below-limit):below]
				entries, err := l.Before(ctx, topic, before, limit)
				if err != nil {
					t.Fatal(err)
				}
				var got []uint64
				for _, e := range entries {
					got = append(got, e.Seq)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d before %d: got %v, want %v", topic, limit, before, got, want)
				}
			}
		}
	}
	if entries, err := l.Before(ctx, "nobody", 1<<53, 10); err != nil || len(entries) != 0 {
		t.Errorf("an empty topic has %d entries, %v", len(entries), err)
	}
}

// Entries that come while it searches do not hide others.
func TestBeforeWhileBusy(t *testing.T) {
	l := openLog(t, openBroker(t, Config{Sync: time.Second}), chatLog)
	for i := range 300 {
		appendTo(t, l, fmt.Sprint("topic-", i%3), fmt.Sprint(i))
	}
	// The reader hands out what is written. No more than these can be stored while it reads, so the
	// 1,000 that the topic keeps never move past the tail.
	posts := make(chan string, 100)
	var writers sync.WaitGroup
	defer writers.Wait()
	defer close(posts)
	for range 2 {
		writers.Go(func() {
			for id := range posts {
				if _, _, err := l.Append(testContext(t), "topic-0", id, []byte(id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for round := range 100 {
		for i := range 20 {
			posts <- fmt.Sprint("busy-", round, "-", i)
		}
		tail, err := l.Tail(testContext(t), "topic-0")
		if err != nil {
			t.Fatal(err)
		}
		entries, err := l.Before(testContext(t), "topic-0", tail+1, 50)
		if err != nil || len(entries) != 50 || entries[49].Seq != tail {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
}

func TestTopicsAreNames(t *testing.T) {
	l := openLog(t, openBroker(t, Config{}), chatLog)
	for _, topic := range []string{"", "*", ">", "a.b", "A", "a b", "ä", "a\n", string(make([]byte, 65))} {
		if _, _, err := l.Append(testContext(t), topic, "x", nil); err == nil {
			t.Errorf("%q was appended to", topic)
		}
		if _, _, err := l.Follow(testContext(t), topic, func(Entry) {}); err == nil {
			t.Errorf("%q was followed", topic)
		}
	}
}

func TestCopy(t *testing.T) {
	l := openLog(t, openBroker(t, Config{Sync: time.Second}), chatLog)
	for i := range 1200 {
		appendTo(t, l, fmt.Sprint("room-", i%7), fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var got []string
	var last uint64
	failed := errors.New("failed")
	err := l.Copy(ctx, 0, func(batch []Entry) error {
		if len(got) >= 600 {
			return failed // as a database does
		}
		for _, e := range batch {
			got, last = append(got, string(e.Data)), e.Seq
		}
		return nil
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	err = l.Copy(ctx, last, func(batch []Entry) error {
		for _, e := range batch {
			if e.Topic != fmt.Sprint("room-", len(got)%7) {
				t.Errorf("%d is of %s", len(got), e.Topic)
			}
			if got = append(got, string(e.Data)); len(got) == 1200 {
				appendTo(t, l, "room-3", "1200") // one that comes late
			}
			if len(got) == 1201 {
				cancel()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(got) != 1201 {
		t.Fatalf("%d copied: %v", len(got), err)
	}
	for i, id := range got {
		if id != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s", i, id)
		}
	}
}

func TestTakenOnce(t *testing.T) {
	b := openBroker(t, Config{})
	o, err := b.OpenOnce(testContext(t), "tickets", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	all := func([]byte) bool { return true }
	for round := range 10 {
		key := fmt.Sprint("key-", round)
		if err := o.Put(ctx, key, []byte("value")); err != nil {
			t.Fatal(err)
		}
		if ok, err := o.Take(ctx, key, func(v []byte) bool { return string(v) == "another" }); ok || err != nil {
			t.Errorf("taken against the will: %v", err)
		}
		var takers sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		for range 20 {
			takers.Go(func() {
				ok, err := o.Take(ctx, key, all)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					taken++
				}
			})
		}
		takers.Wait()
		if taken != 1 {
			t.Errorf("taken %d times", taken)
		}
	}
	if ok, err := o.Take(ctx, "never", all); ok || err != nil {
		t.Errorf("what was never put is taken: %v", err)
	}
}

func TestValuesEnd(t *testing.T) {
	o, err := openBroker(t, Config{}).OpenOnce(testContext(t), "tickets", 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	if err := o.Put(ctx, "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	for there := true; there; {
		there = false
		if _, err := o.Take(ctx, "key", func([]byte) bool { there = true; return false }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListener(t *testing.T) {
	b := openBroker(t, Config{})
	got := make(chan string, 10)
	l := b.listen(func(m *nats.Msg) { got <- m.Subject + " " + string(m.Data) })
	for range 2 {
		if err := l.Add(testContext(t), "presence.lobby"); err != nil {
			t.Fatal(err)
		}
	}
	if b.conn.Publish("presence.other", []byte("no")) != nil || b.conn.Publish("presence.lobby", []byte("yes")) != nil {
		t.Fatal("cannot publish")
	}
	if one := <-got; one != "presence.lobby yes" {
		t.Errorf("got %q", one)
	}
	l.Remove("presence.lobby")
	l.Close()
	l.Close()
	if len(got) > 0 {
		t.Errorf("got %q too", <-got)
	}
}

// A copy that comes late, when the stream was read already, is not delivered again.
func TestLateCopies(t *testing.T) {
	l := openLog(t, openBroker(t, Config{Compare: time.Hour}), chatLog)
	s, f, _ := follow(t, l, "lobby")
	for i := range 3 {
		appendTo(t, l, "lobby", fmt.Sprint(i))
	}
	s.wait(t, 3)
	for seq := range uint64(3) {
		f.live(Entry{Topic: "lobby", Seq: seq + 1, Data: []byte("again")}, seq)
	}
	appendTo(t, l, "lobby", "3")
	if ids := s.wait(t, 4); fmt.Sprint(ids) != "[0 1 2 3]" {
		t.Errorf("got %v", ids)
	}
}
