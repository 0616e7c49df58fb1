package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"echows/internal/natstest"
)

// addedKeys is what a Set says was added.
type addedKeys struct {
	mu   sync.Mutex
	keys []string
}

func (t *addedKeys) add(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys = append(t.keys, key)
}

func (t *addedKeys) sorted() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(slices.Values(t.keys))
}

func openSet(t *testing.T, b *Broker, added *addedKeys) *Set {
	t.Helper()
	cfg := SetConfig{Name: "test", MaxAge: time.Hour, MaxBytes: 1 << 20}
	if added != nil {
		cfg.Added = added.add
	}
	s, err := b.OpenSet(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func addTo(t *testing.T, s *Set, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := s.Add(testContext(t), key); err != nil {
			t.Fatal(err)
		}
		if !s.Has(key) {
			t.Errorf("%s is not in", key)
		}
	}
}

func TestASetOnTwoNodes(t *testing.T) {
	url := natsURL(t)
	var here, there addedKeys
	one, two := openSet(t, openBroker(t, Config{URL: url, Compare: time.Hour}), &here), openSet(t, openBroker(t, Config{URL: url, Compare: time.Hour}), &there)
	addTo(t, one, "a", "b", "a")
	eventually(t, "two has them", func() bool { return two.Has("a") && two.Has("b") })
	if two.Has("c") {
		t.Error("c is in")
	}
	for _, told := range []*addedKeys{&here, &there} {
		eventually(t, "it is told of both", func() bool { return len(told.sorted()) >= 2 })
		if got := told.sorted(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("told of %v", got)
		}
	}
	for _, key := range []string{"", "a b", "*", "a.>", "ä"} {
		if err := one.Add(testContext(t), key); err == nil {
			t.Errorf("%q is a key", key)
		}
	}
	if _, err := one.broker.OpenSet(testContext(t), SetConfig{Name: "A.b"}); err == nil {
		t.Error("a name that is none")
	}
}

// A message between nodes may be lost. The bucket has the key.
func TestAKeyWhoseMessageIsLost(t *testing.T) {
	url := natsURL(t)
	var told addedKeys
	one, two := openSet(t, openBroker(t, Config{URL: url}), nil), openSet(t, openBroker(t, Config{URL: url, Compare: 20 * time.Millisecond}), &told)
	two.live.Remove(two.subject(">"))
	addTo(t, one, "a", "b")
	eventually(t, "two is told of both", func() bool { return len(told.sorted()) >= 2 })
	if got := told.sorted(); !slices.Equal(got, []string{"a", "b"}) || !two.Has("a") || !two.Has("b") {
		t.Errorf("told of %v", got)
	}
}

func TestASetOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	const keys = 2*setBatch + 10
	b := openBroker(t, Config{Dir: dir, Sync: time.Second})
	s := openSet(t, b, nil)
	for i := range keys {
		addTo(t, s, fmt.Sprint(i))
	}
	b.Close()
	if err := s.Add(testContext(t), "late"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("added to a broker that is closed: %v", err)
	}
	s = openSet(t, openBroker(t, Config{Dir: dir}), nil)
	for i := range keys {
		if !s.Has(fmt.Sprint(i)) {
			t.Fatalf("%d is forgotten", i)
		}
	}
	if s.Has("late") {
		t.Error("what was not added is there")
	}
}

// Keys added while the connection was down are read when it is back.
func TestASetThatWasCutOff(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openSet(t, openBroker(t, Config{URL: url}), nil), openSet(t, openBroker(t, Config{URL: p.url(), Compare: time.Hour}), nil)
	p.Cut()
	eventually(t, "it is away", func() bool { return !two.broker.up.Load() })
	addTo(t, one, "a")
	p.Mend()
	eventually(t, "two has it", func() bool { return two.Has("a") })
}

// A lost bucket is created again by the next node that starts, and its sequences begin anew.
func TestASetThatWasLost(t *testing.T) {
	url := natsURL(t)
	one := openSet(t, openBroker(t, Config{URL: url, Compare: 20 * time.Millisecond}), nil)
	addTo(t, one, "a", "b", "c")
	eventually(t, "it is read", func() bool { return one.reached.Load() == 3 })
	if err := one.broker.js.DeleteKeyValue(testContext(t), "test"); err != nil {
		t.Fatal(err)
	}
	one.live.Remove(one.subject(">"))
	two := openSet(t, openBroker(t, Config{URL: url}), nil)
	addTo(t, two, "d")
	eventually(t, "one has it", func() bool { return one.Has("d") && one.Has("a") })
}

// A key that somebody removes by hand is not added again.
func TestAKeyThatIsTakenOut(t *testing.T) {
	url := natsURL(t)
	one := openSet(t, openBroker(t, Config{URL: url}), nil)
	if err := one.bucket.Delete(testContext(t), "a"); err != nil {
		t.Fatal(err)
	}
	addTo(t, one, "b")
	two := openSet(t, openBroker(t, Config{URL: url}), nil)
	if !two.Has("b") || one.Has("a") || two.Has("a") {
		t.Errorf("a is in: %v, %v", one.Has("a"), two.Has("a"))
	}
}

func TestASetWhoseServerRestarts(t *testing.T) {
	dir := t.TempDir()
	s := startNATS(t, dir, -1)
	url := s.ClientURL()
	one, two := openSet(t, openBroker(t, Config{URL: url}), nil), openSet(t, openBroker(t, Config{URL: url}), nil)
	addTo(t, one, "before")
	port := s.Addr().(*net.TCPAddr).Port
	natstest.Stop(s)
	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	if err := one.Add(ctx, "between"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("added without a server: %v", err)
	}
	if !one.Has("before") {
		t.Error("what was added is forgotten")
	}
	startNATS(t, dir, port)
	eventually(t, "it can be added to", func() bool { return one.Add(testContext(t), "after") == nil })
	eventually(t, "two has it", func() bool { return two.Has("after") && two.Has("before") })
}

// A set that is full takes no more: it forgets nothing before its time.
func TestAFullSet(t *testing.T) {
	b := openBroker(t, Config{Sync: time.Second})
	s, err := b.OpenSet(testContext(t), SetConfig{Name: "test", MaxAge: time.Hour, MaxBytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = s.Add(testContext(t), fmt.Sprintf("key-of-26-characters-%05d", n))
	}
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrSetFull) || n < 50 {
		t.Fatalf("%d keys: %v", n, err)
	}
	if !s.Has("key-of-26-characters-00000") {
		t.Error("the oldest is forgotten")
	}
	t.Logf("%d keys in 8 KiB", n-1)
}

// Whether a key that lives for a second is still in when somebody looks is a matter of time. That it was stored, and known, is not:
// the bucket has counted it, and the Set has told of it.
func TestKeysEnd(t *testing.T) {
	b := openBroker(t, Config{Compare: 10 * time.Millisecond})
	stays := openSet(t, b, nil)
	addTo(t, stays, "a")
	var told addedKeys
	s, err := b.OpenSet(testContext(t), SetConfig{Name: "short", MaxAge: time.Second, MaxBytes: 1 << 20, Added: told.add})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(testContext(t), "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told of", func() bool { return slices.Equal(told.sorted(), []string{"a"}) })
	eventually(t, "it is out", func() bool { return !s.Has("a") })
	eventually(t, "nothing is left", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.keys) == 0 })
	eventually(t, "the bucket has forgotten it", func() bool {
		info, err := b.streamInfo(testContext(t), "KV_short")
		if err == nil && info.State.LastSeq != 1 {
			t.Fatalf("%d keys were stored", info.State.LastSeq)
		}
		return err == nil && info.State.Msgs == 0
	})
	if !stays.Has("a") {
		t.Error("a key of an hour is out, too")
	}
}

// A key is in up to its end, and then takes no memory.
func TestWhichKeysEnd(t *testing.T) {
	s := &Set{config: SetConfig{MaxAge: time.Hour}, seed: maphash.MakeSeed(), keys: map[uint64]int64{}}
	s.note("new", time.Now())
	s.note("nearly old", time.Now().Add(-time.Hour+time.Minute))
	s.note("old", time.Now().Add(-time.Hour-time.Minute))
	for _, swept := range []time.Time{time.Now(), {}} { // a moment ago, and never
		s.swept = swept
		s.forget()
		if !s.Has("new") || !s.Has("nearly old") || s.Has("old") {
			t.Errorf("in are %v, %v, %v", s.Has("new"), s.Has("nearly old"), s.Has("old"))
		}
		if want := map[bool]int{true: 2, false: 3}[swept.IsZero()]; len(s.keys) != want {
			t.Errorf("%d keys are held, want %d", len(s.keys), want)
		}
	}
}

// A key that nobody stores, because the bucket has no leader for a moment, is sent again. That nodes listen to it hides the lack
// of a leader from its sender.
func TestAKeyThatNobodyStores(t *testing.T) {
	b := openBroker(t, Config{})
	s := openSet(t, b, nil)
	addTo(t, s, "before")
	stream, err := b.js.Stream(testContext(t), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	heard, err := b.conn.SubscribeSync(s.subject("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(testContext(t), "KV_test"); err != nil {
		t.Fatal(err)
	}
	added := make(chan error, 1)
	go func() { added <- s.Add(testContext(t), "a") }()
	if _, err := heard.NextMsgWithContext(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(testContext(t), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		t.Error(err)
	}
}

func TestASetOfACluster(t *testing.T) {
	c := startCluster(t)
	one, two := openSet(t, openBroker(t, Config{URL: c.url(0)}), nil), openSet(t, openBroker(t, Config{URL: c.url(1)}), nil)
	status, err := one.bucket.Status(testContext(t))
	if err != nil || status.Config().Replicas != 3 {
		t.Errorf("%v copies, %v", status, err)
	}
	addTo(t, one, "a")
	eventually(t, "two has it", func() bool { return two.Has("a") })
	c.stop(2)
	eventually(t, "it can be added to", func() bool { return one.Add(testContext(t), "b") == nil })
	eventually(t, "two has it", func() bool { return two.Has("b") })
}
