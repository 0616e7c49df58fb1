package broker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"echows/internal/metrictest"
	"echows/internal/natstest"
)

var testJournal = JournalConfig{Name: "events", MaxAge: time.Hour, MaxBytes: 64 << 20, MaxEntry: 64 << 10}

func openJournal(t testing.TB, b *Broker, cfg JournalConfig) *Journal {
	t.Helper()
	j, err := b.OpenJournal(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// told records the calls of a handler, in order: "reset", "ready", or the sequence and the entry.
type told struct {
	mu     sync.Mutex
	events []string
	epochs []string
	stop   func()
}

func (w *told) note(format string, v ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, v...))
}

func (w *told) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// data returns the delivered entries, without their sequences.
func (w *told) data() (all []string) {
	for _, e := range w.all() {
		if _, data, ok := strings.Cut(e, " "); ok {
			all = append(all, data)
		}
	}
	return all
}

func (w *told) epoch() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epochs[len(w.epochs)-1]
}

func (w *told) wait(t testing.TB, n int) []string {
	t.Helper()
	eventually(t, fmt.Sprint(n, " entries"), func() bool { return len(w.data()) >= n })
	return w.data()
}

func (w *told) hears(t testing.TB, event string) {
	t.Helper()
	eventually(t, event, func() bool { return slices.Contains(w.all(), event) })
}

func followJournal(t testing.TB, j *Journal, topic string) *told {
	t.Helper()
	w := &told{}
	stop, err := j.Follow(topic, JournalHandler{
		Deliver: func(seq uint64, data []byte) { w.note("%d %s", seq, data) },
		Ready:   func(uint64) { w.note("ready") },
		Reset: func(epoch string) {
			w.note("reset")
			w.mu.Lock()
			defer w.mu.Unlock()
			w.epochs = append(w.epochs, epoch)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.stop = stop
	return w
}

// add appends entries, and waits for the acknowledgements.
func add(t testing.TB, j *Journal, topic string, entries ...string) {
	t.Helper()
	done := make(chan error, len(entries))
	for _, e := range entries {
		if err := j.Append(topic, []byte(e), func(err error) { done <- err }); err != nil {
			t.Error(err)
			return
		}
	}
	for range entries {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func numbers(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func twoBrokers(t testing.TB, url string, cfg Config) (one, two *Broker) {
	t.Helper()
	cfg.URL = url
	return openBroker(t, cfg), openBroker(t, cfg)
}

func TestTwoNodesHaveOneOrder(t *testing.T) {
	one, two := twoBrokers(t, natsURL(t), Config{})
	a, b := openJournal(t, one, testJournal), openJournal(t, two, testJournal)
	atA, atB := followJournal(t, a, "room"), followJournal(t, b, "room")
	const each = 2000
	var appenders sync.WaitGroup
	for name, j := range map[string]*Journal{"a": a, "b": b} {
		appenders.Go(func() {
			for i := range each {
				for j.Append("room", fmt.Appendf(nil, "%s %d", name, i), nil) != nil { // a busy machine may be slow
					if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	appenders.Wait()
	atA.wait(t, 2*each)
	atB.wait(t, 2*each)
	entries := func(w *told) []string {
		return slices.DeleteFunc(w.all(), func(e string) bool { return e == "ready" })
	}
	if !slices.Equal(entries(atA), entries(atB)) {
		t.Error("they do not agree")
	}
	next := map[string]int{}
	for i, e := range entries(atA)[1:] {
		var seq, number int
		var from string
		fmt.Sscan(e, &seq, &from, &number)
		if seq != i+1 || number != next[from] {
			t.Fatalf("entry %d is %q, want number %d", i+1, e, next[from])
		}
		next[from]++
	}
	if atA.epoch() == "" || atA.epoch() != atB.epoch() {
		t.Errorf("epochs %q and %q", atA.epoch(), atB.epoch())
	}
}

func TestFollowFromTheOldest(t *testing.T) {
	one, two := twoBrokers(t, natsURL(t), Config{Compare: time.Hour})
	a, b := openJournal(t, one, testJournal), openJournal(t, two, testJournal)
	empty := followJournal(t, b, "room")
	empty.hears(t, "ready")
	if got := empty.all(); !slices.Equal(got, []string{"reset", "ready"}) {
		t.Errorf("an empty topic: %q", got)
	}
	add(t, a, "other", "x")
	before := numbers(0, 600) // more than one read returns
	add(t, a, "room", before...)
	w := followJournal(t, a, "room")
	w.hears(t, "ready")
	add(t, b, "room", numbers(600, 610)...)
	if got := w.wait(t, 610); !slices.Equal(got, numbers(0, 610)) {
		t.Errorf("got %q", got)
	}
	all := w.all()
	if at := slices.Index(all, "ready"); all[0] != "reset" || all[1] != "2 0" || at < 601 || len(all) != 612 {
		t.Errorf("told %q", all)
	}
	if got := empty.wait(t, 610); !slices.Equal(got, numbers(0, 610)) {
		t.Errorf("got %q", got)
	}
	if from, ok := a.From("room"); from != 0 || !ok {
		t.Errorf("from %d, %v", from, ok)
	}
	if _, ok := a.From("nobody"); ok {
		t.Error("nobody is followed")
	}
}

func TestATopicIsFollowedOnceAtATime(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{}), testJournal)
	add(t, j, "room", "0")
	w := followJournal(t, j, "room")
	w.wait(t, 1)
	if _, err := j.Follow("room", JournalHandler{}); err == nil {
		t.Error("followed twice")
	}
	w.stop()
	add(t, j, "room", "1")
	again := followJournal(t, j, "room")
	w.stop() // a second call does not affect the other follower
	add(t, j, "room", "2")
	if got := again.wait(t, 3); !slices.Equal(got, numbers(0, 3)) {
		t.Errorf("got %q", got)
	}
	if got := w.data(); !slices.Equal(got, numbers(0, 1)) {
		t.Errorf("after its end: %q", got)
	}
	j.Close()
	if _, err := j.Follow("other", JournalHandler{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("followed a closed journal: %v", err)
	}
	if err := j.Append("room", nil, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("appended to a closed journal: %v", err)
	}
}

// currentLife returns the journal's life, for tests that manipulate it.
func currentLife(j *Journal) *life {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.life
}

func TestLostCopiesOfAJournal(t *testing.T) {
	for _, c := range []struct {
		name    string
		compare time.Duration // an hour means never
		last    bool          // one more entry arrives, and reveals the gap
	}{
		{"the next one shows the gap", time.Hour, true},
		{"tails are compared", 50 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := openJournal(t, openBroker(t, Config{Compare: c.compare}), testJournal)
			w := followJournal(t, j, "room")
			add(t, j, "room", "0")
			w.wait(t, 1)
			l := currentLife(j)
			l.live.Remove(l.liveSubject("room"))
			add(t, j, "room", numbers(1, 601)...)
			if err := l.live.Add(testContext(t), l.liveSubject("room")); err != nil {
				t.Fatal(err)
			}
			want := 601
			if c.last {
				add(t, j, "room", "601")
				want++
			}
			if got := w.wait(t, want); !slices.Equal(got, numbers(0, want)) {
				t.Errorf("got %q", got)
			}
			if n := len(w.epochs); n != 1 {
				t.Errorf("%d resets", n)
			}
		})
	}
}

// looks waits for n successful looks at the stream.
func looks(t testing.TB, j *Journal, n int) {
	t.Helper()
	for range n {
		j.mu.Lock()
		looked := j.looked
		j.mu.Unlock()
		j.lookSoon()
		select {
		case <-looked:
		case <-time.After(patience):
			t.Fatal("nobody looks at the stream")
		}
	}
}

// purge discards all entries, as if they had reached MaxAge.
func purge(t *testing.T, j *Journal) {
	t.Helper()
	s, err := j.broker.js.Stream(testContext(t), j.stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAGapThatCannotBeFilledIsAReset(t *testing.T) {
	for _, c := range []struct {
		name    string
		compare time.Duration
		after   []string // entries appended after the recovery
	}{
		{"an entry comes", time.Hour, []string{"5", "6"}},
		{"tails are compared", 50 * time.Millisecond, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := openJournal(t, openBroker(t, Config{Compare: c.compare}), testJournal)
			w, quiet := followJournal(t, j, "room"), followJournal(t, j, "quiet")
			add(t, j, "room", "0", "1")
			w.wait(t, 2)
			quiet.hears(t, "ready")
			looks(t, j, 3)
			l := currentLife(j)
			l.live.Remove(l.liveSubject("room"))
			// No look happens in between, as if the connection were down.
			l.mu.Lock()
			others := l.followers
			l.followers = map[string]*Follower{}
			l.mu.Unlock()
			add(t, j, "room", "lost", "lost", "lost")
			purge(t, j)
			if err := l.live.Add(testContext(t), l.liveSubject("room")); err != nil {
				t.Fatal(err)
			}
			l.mu.Lock()
			l.followers = others
			l.mu.Unlock()
			add(t, j, "room", c.after...)
			eventually(t, "a reset", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.epochs) == 2 })
			add(t, j, "room", "last")
			want := append([]string{"reset", "1 0", "2 1", "reset"}, "6 5", "7 6", "8 last")
			if len(c.after) == 0 {
				want = []string{"reset", "1 0", "2 1", "reset", "6 last"}
			}
			w.wait(t, len(want)-2)
			got := slices.DeleteFunc(w.all(), func(e string) bool { return e == "ready" })
			if !slices.Equal(got, want) || w.epochs[0] != w.epochs[1] {
				t.Errorf("told %q, want %q", got, want)
			}
			if from, _ := j.From("room"); from != 5 {
				t.Errorf("from %d", from)
			}
		})
	}
}

// The loss of a topic's first entries is a Reset, too.
func TestALostBeginningIsAReset(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: time.Hour}), testJournal)
	w := followJournal(t, j, "room")
	w.hears(t, "ready")
	looks(t, j, 2) // no look is in progress
	l := currentLife(j)
	l.live.Remove(l.liveSubject("room"))
	add(t, j, "room", "lost", "lost")
	purge(t, j)
	if err := l.live.Add(testContext(t), l.liveSubject("room")); err != nil {
		t.Fatal(err)
	}
	// No earlier entry is held, so the first entry looks like the topic's first ever.
	add(t, j, "room", "0", "1")
	w.wait(t, 2)
	if got, want := w.all(), []string{"reset", "ready", "reset", "3 0", "4 1"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// Discarding entries that a follower has already received loses nothing.
func TestDiscardedEntriesThatWereDelivered(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: 20 * time.Millisecond}), testJournal)
	w, quiet := followJournal(t, j, "room"), followJournal(t, j, "quiet")
	quiet.hears(t, "ready")
	for round := range 10 {
		add(t, j, "room", fmt.Sprint(2*round), fmt.Sprint(2*round+1))
		w.wait(t, 2*round+2)
		l := currentLife(j)
		looks(t, j, 3) // one may be in progress, one finds the stream's end, one confirms it
		purge(t, j)
		looks(t, j, 2)
		if l != currentLife(j) {
			t.Fatal("another life began")
		}
	}
	add(t, j, "quiet", "first")
	quiet.wait(t, 1)
	for _, w := range []*told{w, quiet} {
		if len(w.epochs) != 1 {
			t.Errorf("told %q", w.all())
		}
	}
	if got := w.data(); !slices.Equal(got, numbers(0, 20)) {
		t.Errorf("got %q", got)
	}
}

func TestDiscardedBeforeAnybodyLooked(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: time.Hour}), testJournal)
	w := followJournal(t, j, "room")
	for round := range 5 {
		add(t, j, "room", fmt.Sprint(2*round), fmt.Sprint(2*round+1))
		w.wait(t, 2*round+2)
		purge(t, j)
	}
	if got := w.data(); !slices.Equal(got, numbers(0, 10)) || len(w.epochs) != 1 {
		t.Errorf("told %q", w.all())
	}
}

// A follower does not wait for an entry that was never stored.
func TestAnEntryThatWasNeverStored(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: time.Hour}), testJournal)
	w := followJournal(t, j, "room")
	add(t, j, "room", "0")
	w.wait(t, 1)
	l := currentLife(j)
	l.mu.Lock()
	f := l.followers["room"]
	l.mu.Unlock()
	f.exists(100)
	eventually(t, "nothing is filled", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return !f.filling })
	add(t, j, "room", "1", "2")
	if got := w.wait(t, 3); !slices.Equal(got, numbers(0, 3)) || len(w.epochs) != 1 {
		t.Errorf("told %q", w.all())
	}
}

// After a reconnection, an entry that seems to come next may belong to a stream that was created again: it is delivered only
// after a look at the stream.
func TestALiveEntryInDoubt(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: time.Hour}), testJournal)
	w := followJournal(t, j, "room")
	add(t, j, "room", "0")
	w.wait(t, 1)
	looks(t, j, 2) // no look is in progress
	l := currentLife(j)
	l.mu.Lock()
	f := l.followers["room"]
	l.mu.Unlock()
	j.checked.Store(1 << 40)
	f.live(Entry{Topic: "room", Seq: 2, Data: []byte("of another life")}, 1)
	add(t, j, "room", "1")
	if got := w.wait(t, 2); !slices.Equal(got, numbers(0, 2)) {
		t.Errorf("got %q", got)
	}
}

// The stream was lost, and other nodes have added more entries than it had before, all before this node's next look.
func TestADifferentStream(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{Compare: time.Hour}), testJournal)
	w := followJournal(t, j, "room")
	add(t, j, "room", numbers(0, 3)...)
	w.wait(t, 3)
	looks(t, j, 2)
	l, before := currentLife(j), w.epoch()
	l.live.Remove(l.liveSubject("room"))
	ctx, js := testContext(t), j.broker.js
	if err := js.DeleteStream(ctx, j.stream); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, j.streamConfig(l.epoch)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := js.Publish(ctx, l.subject("room"), []byte("other")); err != nil {
			t.Fatal(err)
		}
	}
	j.lookSoon()
	eventually(t, "a reset", func() bool { return w.epoch() != before })
	add(t, j, "room", "3")
	if got := w.wait(t, 4); !slices.Equal(got, numbers(0, 4)) {
		t.Errorf("got %q", got)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	cfg := testJournal
	cfg.MaxEntry = 1000
	b := openBroker(t, Config{})
	j := openJournal(t, b, cfg)
	w := followJournal(t, j, "room")
	err := j.Append("room", make([]byte, 1001), nil)
	if err == nil || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "1001 bytes") || !strings.Contains(err.Error(), "MaxEntry") {
		t.Errorf("got %v", err)
	}
	add(t, j, "room", strings.Repeat("x", 1000))
	w.wait(t, 1)
	for _, topic := range []string{"", "*", ">", "a.b", "A", "a b"} {
		if err := j.Append(topic, nil, nil); err == nil {
			t.Errorf("appended to %q", topic)
		}
		if _, err := j.Follow(topic, JournalHandler{}); err == nil {
			t.Errorf("followed %q", topic)
		}
	}
	for _, bad := range []JournalConfig{{}, {Name: "A", MaxAge: 1, MaxBytes: 1, MaxEntry: 1}, {Name: "a", MaxBytes: 1, MaxEntry: 1}} {
		if _, err := b.OpenJournal(testContext(t), bad); err == nil {
			t.Errorf("opened %+v", bad)
		}
	}
	cfg.Name, cfg.MaxEntry = "large", 4<<20
	large := openJournal(t, b, cfg)
	if err := large.Append("room", make([]byte, 2<<20), nil); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("got %v", err)
	}
}

// The number of appends that wait for a silent server is limited, and so is how long they wait.
func TestAppendIsBounded(t *testing.T) {
	p := startProxy(t, natsURL(t))
	j := openJournal(t, openBroker(t, Config{URL: p.url()}), testJournal)
	add(t, j, "room", "0")
	p.Freeze()
	results := make(chan error, 2*journalInFlight)
	accepted := 0
	var err error
	for ; err == nil && accepted <= journalInFlight; accepted++ {
		err = j.Append("room", []byte("x"), func(err error) { results <- err })
	}
	if accepted--; !errors.Is(err, ErrUnavailable) || accepted != journalInFlight {
		t.Fatalf("%d accepted, then %v", accepted, err)
	}
	if got := metrictest.Value(t, j.broker.Collector(), "echows_limits_reached_total", "limit", "journal"); got != 1 {
		t.Errorf("the limit was reached %v times", got)
	}
	for range accepted {
		if err := <-results; !errors.Is(err, ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	p.Mend()
	eventually(t, "it goes on", func() bool {
		done := make(chan error, 1)
		return j.Append("room", nil, func(err error) { done <- err }) == nil && <-done == nil
	})
}

// followProxied opens a journal through a proxy, follows the topic room, and adds its first entry, "0".
func followProxied(t *testing.T) (proxy, *Journal, *told) {
	t.Helper()
	p := startProxy(t, natsURL(t))
	j := openJournal(t, openBroker(t, Config{URL: p.url()}), testJournal)
	w := followJournal(t, j, "room")
	add(t, j, "room", "0")
	return p, j, w
}

func TestAppendWithoutAConnection(t *testing.T) {
	p, j, w := followProxied(t)
	p.Cut()
	eventually(t, "the connection is gone", func() bool { return errors.Is(j.Append("room", []byte("stale"), nil), ErrUnavailable) })
	p.Mend()
	eventually(t, "it is back", func() bool { return j.broker.up.Load() })
	add(t, j, "room", "1")
	w.hears(t, "ready")
	eventually(t, "what was acknowledged", func() bool { return slices.Contains(w.data(), "1") })
	if len(w.epochs) != 1 {
		t.Errorf("told %q", w.all())
	}
}

func put(t testing.TB, j *Journal, key, value string) {
	t.Helper()
	done := make(chan error, 1)
	if err := j.Put(key, []byte(value), func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func take(t testing.TB, j *Journal, key string) (string, bool) {
	t.Helper()
	value, ok, err := j.Take(testContext(t), key)
	if err != nil {
		t.Error(err)
	}
	return string(value), ok
}

func TestValuesAreTakenOnce(t *testing.T) {
	one, two := twoBrokers(t, natsURL(t), Config{})
	a, b := openJournal(t, one, testJournal), openJournal(t, two, testJournal)
	for round := range 10 {
		key := fmt.Sprint("Key_", round)
		put(t, a, key, "before")
		put(t, b, key, "value")
		var takers sync.WaitGroup
		var mu sync.Mutex
		var taken []string
		for i := range 20 {
			takers.Go(func() {
				value, ok := take(t, []*Journal{a, b}[i%2], key)
				mu.Lock()
				defer mu.Unlock()
				if ok {
					taken = append(taken, value)
				}
			})
		}
		takers.Wait()
		if !slices.Equal(taken, []string{"value"}) {
			t.Errorf("taken %q", taken)
		}
	}
	put(t, a, "removed", "x")
	done := make(chan error, 1)
	if err := b.Remove("removed", func(err error) { done <- err }); err != nil || <-done != nil {
		t.Error("not removed")
	}
	for _, key := range []string{"removed", "never"} {
		if value, ok := take(t, a, key); ok || value != "" {
			t.Errorf("took %q", value)
		}
	}
	for _, key := range []string{"", "*", "a.b", "a b", strings.Repeat("a", 129)} {
		_, _, err := a.Take(testContext(t), key)
		if err == nil || a.Put(key, nil, nil) == nil || a.Remove(key, nil) == nil {
			t.Errorf("%q is a key", key)
		}
	}
}

func TestValuesOfAJournalEnd(t *testing.T) {
	cfg := testJournal
	cfg.MaxAge = 200 * time.Millisecond
	j := openJournal(t, openBroker(t, Config{}), cfg)
	put(t, j, "key", "value")
	eventually(t, "the value's end", func() bool {
		m, err := j.broker.leaderGet(testContext(t), "KV_events_values", map[string]any{"last_by_subj": "$KV.events_values.key"})
		return err == nil && m == nil
	})
}

// When all servers lose their memory, the journal starts over, and delivers new entries.
func TestAllServersRestart(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		dir := t.TempDir()
		s := startNATS(t, dir, -1)
		port := s.Addr().(*net.TCPAddr).Port
		allServersRestart(t, s.ClientURL(), s.ClientURL(), func() {
			natstest.Stop(s)
			startNATS(t, dir, port)
		})
	})
	t.Run("three", func(t *testing.T) {
		c := startCluster(t)
		allServersRestart(t, c.url(0), c.url(1), func() {
			for i := range 3 {
				c.stop(i)
			}
			for i := range 3 {
				c.start(t, i)
			}
			c.ready(t)
		})
	})
}

func allServersRestart(t *testing.T, first, second string, restart func()) {
	one, two := openBroker(t, Config{URL: first}), openBroker(t, Config{URL: second})
	a, b := openJournal(t, one, testJournal), openJournal(t, two, testJournal)
	atA, atB := followJournal(t, a, "room"), followJournal(t, b, "room")
	add(t, a, "room", numbers(0, 5)...)
	put(t, a, "key", "before")
	atA.wait(t, 5)
	atB.wait(t, 5)
	for _, w := range []*told{atA, atB} {
		w.hears(t, "ready")
	}
	before := atA.epoch()
	restart()
	// Entries appended immediately must not mix with those of the lost stream. All acknowledged entries arrive.
	acknowledged := []string{}
	for i := 0; len(acknowledged) < 20; i++ {
		done, entry := make(chan error, 1), fmt.Sprint("after-", i)
		if err := a.Append("room", []byte(entry), func(err error) { done <- err }); err == nil && <-done == nil {
			acknowledged = append(acknowledged, entry)
		}
	}
	for _, w := range []*told{atA, atB} {
		w.wait(t, 25)
		all := w.all()
		at := slices.Index(all[1:], "reset") + 1
		if at < 6 || w.epoch() == before || len(w.epochs) != 2 {
			t.Fatalf("told %q, epochs %q", all, w.epochs)
		}
		if got := w.data()[5:]; !slices.Equal(got, acknowledged) {
			t.Errorf("after the reset %q, want %q", got, acknowledged)
		}
	}
	if atA.epoch() != atB.epoch() {
		t.Errorf("epochs %q and %q", atA.epoch(), atB.epoch())
	}
	eventually(t, "values", func() bool {
		done := make(chan error, 1)
		return a.Put("key", []byte("after"), func(err error) { done <- err }) == nil && <-done == nil
	})
	if value, ok := take(t, b, "key"); value != "after" || !ok {
		t.Errorf("took %q", value)
	}
}

// The server with the stream's leader stops while two nodes append.
func TestTheLeaderIsLost(t *testing.T) {
	c := startCluster(t)
	one, two := openBroker(t, Config{URL: c.url(0)}), openBroker(t, Config{URL: c.url(1)})
	a, b := openJournal(t, one, testJournal), openJournal(t, two, testJournal)
	if s, err := a.info(testContext(t)); err != nil || s.Config.Replicas != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	atA, atB := followJournal(t, a, "room"), followJournal(t, b, "room")
	var mu sync.Mutex
	var acknowledged []string
	givenUp := map[string]int{} // the highest number that was given up, by node
	told := map[string]int{}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	stop := make(chan struct{})
	var appenders, underWay sync.WaitGroup
	for name, j := range map[string]*Journal{"a": a, "b": b} {
		appenders.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				entry, begun := fmt.Sprint(name, "-", i), time.Now()
				underWay.Add(1)
				err := j.Append("room", []byte(entry), func(err error) {
					defer underWay.Done()
					mu.Lock()
					defer mu.Unlock()
					switch told[entry]++; {
					case err == nil:
						acknowledged = append(acknowledged, entry)
					case !errors.Is(err, ErrUnavailable):
						t.Errorf("%s: %v", entry, err)
					case time.Since(begun) < journalTime:
						givenUp[name] = max(givenUp[name], i)
						t.Logf("%s is given up: %v", entry, err)
					}
				})
				if err != nil { // the connection was to that server
					underWay.Done()
				}
			}
		})
	}
	eventually(t, "entries", func() bool { return count() > 200 })
	info, err := a.info(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	leader := slices.IndexFunc(c.servers, func(s *server.Server) bool { return s.Name() == info.Cluster.Leader })
	c.stop(leader)
	n := count()
	eventually(t, "entries again", func() bool { return count() > n+500 })
	c.start(t, leader)
	c.ready(t)
	n = count()
	eventually(t, "more entries", func() bool { return count() > n+200 })
	close(stop)
	appenders.Wait()
	underWay.Wait()
	add(t, a, "room", "end")
	atA.hears(t, atEnd(t, atA))
	atB.hears(t, atEnd(t, atB))
	if !slices.Equal(atA.epochs, atB.epochs) {
		t.Errorf("epochs %q and %q", atA.epochs, atB.epochs)
	}
	if !slices.Equal(atA.latest(), atB.latest()) {
		t.Errorf("they do not agree: %d and %d entries", len(atA.data()), len(atB.data()))
	}
	there := map[string]bool{}
	for _, e := range atA.data() {
		if there[e] {
			t.Errorf("%s came twice", e)
		}
		there[e] = true
	}
	mu.Lock()
	defer mu.Unlock()
	var held map[string]bool // the entries of an epoch that was lost, if any
	if len(atA.epochs) > 1 {
		held = heldBy(t, a)
	}
	for _, e := range acknowledged {
		switch {
		case there[e]:
		case held == nil || held[e]:
			t.Errorf("%s was acknowledged and did not come", e)
		default: // all followers learned it from the new epoch
			t.Logf("the servers have lost %s, which they had acknowledged", e)
		}
	}
	for e, times := range told {
		if times != 1 {
			t.Errorf("what became of %s was told %d times", e, times)
		}
	}
	for name, w := range map[string]string{"a": "a-", "b": "b-"} {
		before := -1
		for _, e := range atA.data() {
			number, err := strconv.Atoi(strings.TrimPrefix(e, w))
			if err != nil {
				continue
			}
			if number < before {
				t.Errorf("entry %d of %s came after %d", number, name, before)
			}
			before = number
		}
		if last, ok := givenUp[name]; ok && before < last {
			t.Errorf("entry %d of %s was given up, and nothing after it is there", last, name)
		}
	}
}

// latest returns the entries delivered since the last reset.
func (w *told) latest() (all []string) {
	for _, e := range w.all() {
		switch e {
		case "reset":
			all = nil
		case "ready":
		default:
			all = append(all, e)
		}
	}
	return all
}

// heldBy returns all entries in a journal's stream, of any epoch.
func heldBy(t *testing.T, j *Journal) map[string]bool {
	t.Helper()
	info, err := j.info(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := j.broker.leaderGet(testContext(t), j.stream, map[string]any{"seq": seq})
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			held[string(m.Data)] = true
		}
	}
	return held
}

// Entries on their way when the connection was lost are sent again before any others.
func TestAReconnectionKeepsTheOrder(t *testing.T) {
	p, j, w := followProxied(t)
	p.Freeze()
	told := make(chan error, 6)
	for i := range 6 {
		if i == 5 { // queued until the others are known to have failed
			eventually(t, "they are sent", func() bool { return j.entries.open.Load() == 5 })
			j.entries.sending.Lock()
		}
		if err := j.Append("room", fmt.Append(nil, i+1), func(err error) { told <- err }); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the last is about to be sent", func() bool { return len(j.entries.queue) == 0 })
	p.Cut()
	p.Mend()
	eventually(t, "there is another connection", func() bool { return j.reconnections() > 0 && !j.inDoubt() })
	j.entries.sending.Unlock()
	for range 6 {
		if err := <-told; err != nil {
			t.Errorf("one was taken, and is lost: %v", err)
		}
	}
	if got := w.wait(t, 7); !slices.Equal(got, numbers(0, 7)) {
		t.Errorf("got %v", got)
	}
}

// A server without a leader may lack the entries that were acknowledged last. Treating that as a loss would lose them.
func TestAJournalWithoutALeaderHasLostNothing(t *testing.T) {
	f, l := newFake(t)
	j := &Journal{broker: l.broker, stream: "CHAT"}
	follower := led(heard, heard)
	follower.Leader = "s1"
	for _, c := range []*jetstream.ClusterInfo{{}, follower} {
		f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 7, c } })
		if _, err := j.info(testContext(t)); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), " leader") {
			t.Errorf("got %v", err)
		}
	}
	f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 7, led(heard, heard) } })
	if info, err := j.info(testContext(t)); err != nil || info.State.LastSeq != 7 {
		t.Errorf("got %+v, %v", info, err)
	}
}

// atEnd waits for the entry "end", and returns it as recorded.
func atEnd(t *testing.T, w *told) (event string) {
	t.Helper()
	eventually(t, "the end", func() bool {
		for _, e := range w.all() {
			if strings.HasSuffix(e, " end") {
				event = e
			}
		}
		return event != ""
	})
	return event
}

// Two nodes that find no stream create only one.
func TestTwoNodesBeginAtOnce(t *testing.T) {
	one, two := twoBrokers(t, natsURL(t), Config{})
	for i := range 10 {
		cfg := testJournal
		cfg.Name = "events" + string(rune('a'+i))
		journals := make([]*Journal, 2)
		var opening sync.WaitGroup
		for k, b := range []*Broker{one, two} {
			opening.Go(func() {
				var err error
				if journals[k], err = b.OpenJournal(testContext(t), cfg); err != nil {
					t.Error(err)
					return
				}
				add(t, journals[k], "room", fmt.Sprint(k))
			})
		}
		opening.Wait()
		if t.Failed() {
			return
		}
		for _, j := range journals {
			w := followJournal(t, j, "room")
			got := w.wait(t, 2)
			if slices.Sort(got); !slices.Equal(got, numbers(0, 2)) || len(w.epochs) != 1 {
				t.Errorf("told %q", w.all())
			}
		}
	}
}

// A handler may append, so that a node can answer an event with another.
func TestAHandlerMayAppend(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{}), testJournal)
	w := followJournal(t, j, "answers")
	_, err := j.Follow("questions", JournalHandler{
		Deliver: func(_ uint64, data []byte) {
			if err := j.Append("answers", data, nil); err != nil {
				t.Error(err)
			}
		},
		Ready: func(uint64) {},
		Reset: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, "questions", numbers(0, 500)...)
	if got := w.wait(t, 500); !slices.Equal(got, numbers(0, 500)) {
		t.Errorf("got %q", got)
	}
}

func BenchmarkAppendToDeliver(b *testing.B) {
	one, two := twoBrokers(b, natstest.Start(b), Config{})
	from, to := openJournal(b, one, testJournal), openJournal(b, two, testJournal)
	got, ready := make(chan struct{}, 1), make(chan struct{})
	_, err := to.Follow("room", JournalHandler{
		Deliver: func(uint64, []byte) { got <- struct{}{} }, Ready: func(uint64) { close(ready) }, Reset: func(string) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	<-ready
	data := make([]byte, 100)
	b.ResetTimer()
	for b.Loop() {
		if err := from.Append("room", data, nil); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}

func BenchmarkAppend(b *testing.B) {
	j := openJournal(b, openBroker(b, Config{URL: natstest.Start(b)}), testJournal)
	data := make([]byte, 100)
	var all sync.WaitGroup
	b.ResetTimer()
	for b.Loop() {
		all.Add(1)
		if err := j.Append("room", data, func(error) { all.Done() }); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
}
