package broker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// followHoles is like followJournal, and also notes holes.
func followHoles(t *testing.T, j *Journal) *told {
	t.Helper()
	w := &told{}
	_, err := j.Follow("room", JournalHandler{
		Deliver: func(seq uint64, data []byte) { w.note("%d %s", seq, data) },
		Hole:    func(seq uint64) { w.note("hole-%d", seq) },
		Ready:   func(uint64) {},
		Reset:   func(string) { w.note("reset") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// is waits for the last of the wanted calls, and compares them all.
func (w *told) is(t *testing.T, want ...string) {
	t.Helper()
	last := want[len(want)-1]
	times := func(calls []string) (n int) {
		for _, c := range calls {
			if c == last {
				n++
			}
		}
		return n
	}
	eventually(t, last, func() bool { return times(w.all()) >= times(want) })
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// appendAll appends entries, and returns where the result of each will be.
func appendAll(t *testing.T, j *Journal, entries ...string) (results []chan error) {
	t.Helper()
	for _, e := range entries {
		result := make(chan error, 2)
		results = append(results, result)
		if err := j.Append("room", []byte(e), func(err error) { result <- err }); err != nil {
			t.Fatal(err)
		}
	}
	return results
}

// lateJournal is a Journal behind a relay, with followers on its own node and on another one, and with one entry.
func lateJournal(t *testing.T, url, addr string) (j *Journal, followers []*told) {
	t.Helper()
	j = openJournal(t, openBroker(t, Config{URL: "nats://" + addr}), testJournal)
	other := openJournal(t, openBroker(t, Config{URL: url}), testJournal)
	followers = []*told{followHoles(t, j), followHoles(t, other)}
	add(t, j, "room", "0")
	for _, w := range followers {
		w.wait(t, 1)
	}
	return j, followers
}

// An entry of a lost connection is stored before those that were lost with the connection are sent again. They are not
// delivered behind it, and their callers and all followers are told.
func TestALateEntryMakesAHole(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		r, url := startRelay(t), natsURL(t)
		testLateEntry(t, url, r, r.listen(t, url))
	})
	t.Run("a cluster", func(t *testing.T) {
		r, c := startRelay(t), newCluster(t)
		for i := range 3 {
			c.options[i].ClientAdvertise = r.listen(t, c.url(i))
		}
		for i := range 3 {
			c.start(t, i)
		}
		c.ready(t)
		testLateEntry(t, c.url(1), r, c.options[0].ClientAdvertise)
	})
}

func testLateEntry(t *testing.T, url string, r *relay, addr string) {
	j, followers := lateJournal(t, url, addr)
	r.set(map[string]what{"1": lose, "2": lose, "3": delay})
	results := appendAll(t, j, "1", "2", "3")
	r.await(t, 1)
	r.set(map[string]what{"1": delay})
	r.cut()
	r.await(t, 2) // the first is sent again
	r.release(1)
	followers[1].wait(t, 2)
	r.release(1)
	r.set(nil)
	for i, result := range results {
		if err := <-result; (err == nil) != (i == 2) || err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("entry %d: %v", i+1, err)
		}
	}
	add(t, j, "room", "4")
	later := openJournal(t, openBroker(t, Config{URL: url}), testJournal)
	for _, w := range append(followers, followHoles(t, later)) {
		w.is(t, "reset", "1 0", "hole-2", "2 3", "hole-3", "hole-4", "5 4")
	}
	for i, result := range results {
		if len(result) > 0 {
			t.Errorf("the caller of entry %d is told twice", i+1)
		}
	}
}

// roomFollower returns the follower of the topic room.
func roomFollower(j *Journal) *Follower {
	l := currentLife(j)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.followers["room"]
}

// Entries that were sent again in time are stored once, and in order, although their first copies arrive later.
func TestLateCopiesAreNotStoredAgain(t *testing.T) {
	r, url := startRelay(t), natsURL(t)
	j, followers := lateJournal(t, url, r.listen(t, url))
	r.set(map[string]what{"1": delay, "2": delay, "3": delay})
	results := appendAll(t, j, "1", "2", "3")
	r.await(t, 3)
	r.set(nil)
	r.cut()
	for i, result := range results {
		if err := <-result; err != nil {
			t.Errorf("entry %d: %v", i+1, err)
		}
	}
	r.release(3)
	add(t, j, "room", "4")
	for _, w := range followers {
		w.is(t, "reset", "1 0", "2 1", "3 2", "4 3", "5 4")
	}
}

// A copy that arrives when the servers have forgotten its id is stored again, and not delivered again.
func TestAVeryLateCopyIsNotDelivered(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{}), testJournal)
	w := followHoles(t, j)
	add(t, j, "room", "0", "1", "2")
	w.wait(t, 3)
	f := roomFollower(j)
	f.mu.Lock()
	var writer string
	for writer = range f.whole.orders {
	}
	f.mu.Unlock()
	f.live(Entry{Topic: "room", Seq: 4, Data: []byte("1"), id: writer + "2"}, 3)
	f.live(Entry{Topic: "room", Seq: 5, Data: []byte("3"), id: writer + "4"}, 4)
	w.is(t, "reset", "1 0", "2 1", "3 2", "hole-4", "5 3")
}

// A follower that starts over gets the same entries again.
func TestOrdersStartOver(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{}), testJournal)
	w := followHoles(t, j)
	add(t, j, "room", "0", "1")
	w.wait(t, 2)
	f := roomFollower(j)
	f.mu.Lock()
	f.whole.begun = false
	f.fillLocked(0)
	f.mu.Unlock()
	w.is(t, "reset", "1 0", "2 1", "reset", "1 0", "2 1")
}

// The entries of two topics have numbers of their own.
func TestTopicsHaveTheirOwnOrder(t *testing.T) {
	j := openJournal(t, openBroker(t, Config{}), testJournal)
	w := followHoles(t, j)
	for i := range 3 {
		add(t, j, "other", fmt.Sprint("x", i))
		add(t, j, "room", fmt.Sprint(i))
		if err := j.Put("key", []byte("value"), nil); err != nil {
			t.Fatal(err)
		}
	}
	w.is(t, "reset", "2 0", "4 1", "6 2")
}

func TestOrders(t *testing.T) {
	type entry struct {
		id            string
		inOrder, hole bool
	}
	for name, all := range map[string][]entry{
		"nothing is known of what precedes the first": {{"a-0.5", true, false}, {"a-0.6", true, false}},
		"one is missing":                {{"a-0.1", true, false}, {"a-0.3", true, true}, {"a-0.4", true, false}},
		"one is late":                   {{"a-0.1", true, false}, {"a-0.3", true, true}, {"a-0.2", false, true}, {"a-0.4", true, false}},
		"one is there twice":            {{"a-0.1", true, false}, {"a-0.1", false, true}, {"a-0.2", true, false}},
		"writers do not mix":            {{"a-0.1", true, false}, {"b-0.1", true, false}, {"a-1.1", true, false}, {"a-0.2", true, false}, {"b-0.2", true, false}},
		"numbers are not in base 10":    {{"a-0.9", true, false}, {"a-0.a", true, false}, {"a-0.10", true, true}},
		"ids of others say nothing":     {{"a-1", true, false}, {"a-5", true, false}, {"", true, false}, {"a.", true, false}, {"a.?", true, false}},
		"a writer's name is not empty?": {{".1", true, false}, {".3", true, true}},
	} {
		o := orders{}
		for i, e := range all {
			inOrder, hole := o.next(Entry{Seq: uint64(i + 1), id: e.id})
			if inOrder != e.inOrder || hole != e.hole {
				t.Errorf("%s: %s: got %v, %v", name, e.id, inOrder, hole)
			}
		}
	}
}

// A follower forgets the writer that has been silent for the longest time.
func TestOrdersAreBounded(t *testing.T) {
	o := orders{}
	for i := range maxWriters + 10 {
		o.next(Entry{Seq: uint64(2*i + 1), id: fmt.Sprint("w", i, ".1")})
		o.next(Entry{Seq: uint64(2*i + 2), id: "busy." + strconv.FormatInt(int64(i+1), 36)})
	}
	if len(o) != maxWriters {
		t.Errorf("%d writers are known", len(o))
	}
	for name, known := range map[string]bool{"busy.": true, "w10.": false, "w11.": true} {
		if _, is := o[name]; is != known {
			t.Errorf("%s is known: %v", name, is)
		}
	}
}

// A pipe forgets writers of topics that may be used no more, and gives no name twice: followers would take the new writer's
// entries for late ones of the old one.
func TestWritersAreBounded(t *testing.T) {
	p := &pipe{writers: map[string]*writer{}}
	ids := map[string]bool{}
	next := func(topic string, alone bool) (writer string, number uint64) {
		id := p.nextID(topic, alone)
		if ids[id] {
			t.Fatalf("%q is given twice", id)
		}
		ids[id] = true
		writer, number, _ = parseID(id)
		return writer, number
	}
	first, _ := next("room", true)
	for i := range 3 * maxWriters {
		next("topic-"+strconv.Itoa(i), true)
	}
	if len(p.writers) > maxWriters {
		t.Errorf("%d writers are remembered", len(p.writers))
	}
	second, number := next("room", true)
	if second == first || number != 1 {
		t.Errorf("after %q comes %q, number %d", first, second, number)
	}
	for i := range 2 * maxWriters { // while an entry is on its way, none is forgotten
		next("topic-"+strconv.Itoa(i), false)
	}
	if third, number := next("room", false); third != second || number != 2 {
		t.Errorf("%q goes on as %q, number %d", second, third, number)
	}
}

func TestFailLate(t *testing.T) {
	again := func(topic string, seq uint64) sent {
		return sent{appending: appending{topic: topic}, stored: true, seq: seq, again: true}
	}
	first := func(seq uint64) sent { return sent{appending: appending{topic: "room"}, stored: true, seq: seq} }
	unknown := sent{appending: appending{topic: "room"}, err: errTrouble}
	never := sent{appending: appending{topic: "room"}, err: errLifeEnded}
	for name, c := range map[string]struct {
		all  []sent
		late []int
	}{
		"in order":                         {[]sent{again("room", 5), again("room", 6), again("room", 9)}, nil},
		"the last was first":               {[]sent{again("room", 5), again("room", 6), again("room", 4)}, []int{0, 1}},
		"one in between":                   {[]sent{again("room", 5), again("room", 7), again("room", 6)}, []int{1}},
		"another topic":                    {[]sent{again("room", 5), again("other", 4), again("room", 6)}, nil},
		"what is unknown may be there":     {[]sent{again("room", 5), unknown, again("room", 6)}, []int{0}},
		"it does not concern those after":  {[]sent{unknown, again("room", 5)}, nil},
		"it does not concern those before": {[]sent{first(5), unknown, first(6)}, nil},
		"what was refused is not there":    {[]sent{again("room", 5), never, again("room", 6)}, nil},
	} {
		failLate(c.all)
		for i, s := range c.all {
			if got := s.err == errLate; got != slices.Contains(c.late, i) || got && s.stored {
				t.Errorf("%s: %d: %v", name, i, s.err)
			}
		}
	}
}
