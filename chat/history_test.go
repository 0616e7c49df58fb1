package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/hub"
	"echows/ws"
)

// openChat opens a Chat on a folder. Its messages are synced now and then only.
func openChat(t *testing.T, dir string, cfg Config) (c *Chat, closeIt func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Open(t.Context(), broker.Config{Dir: dir, Sync: time.Minute, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Secret, cfg.Logger = []byte("a secret of 16 bytes"), log
	app := ws.New(echo.New(), ws.Config{Logger: log})
	app.Echo().IPExtractor = echo.ExtractIPDirect()
	t.Cleanup(func() { app.Shutdown(context.Background()) })
	c, err = Open(t.Context(), app, hub.New(), b, cfg)
	if err != nil {
		b.Close()
		t.Fatal(err)
	}
	closeIt = sync.OnceFunc(func() {
		c.Close()
		b.Close()
	})
	t.Cleanup(closeIt)
	return c, closeIt
}

// store posts messages to a room, of so many characters, and returns their sequences.
func store(t *testing.T, c *Chat, room string, n int, length func() int) (seqs []uint64) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint(time.Now().UnixNano(), "-", i)
		data, err := json.Marshal(Message{ID: id, From: "ana", Text: strings.Repeat("x", length()), At: time.Now().UTC()})
		if err != nil {
			t.Fatal(err)
		}
		seq, _, err := c.entries.Append(t.Context(), room, room+id, data)
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func short() int { return 10 }

// enterRoom opens a room that has seen everything up to a sequence.
func enterRoom(t *testing.T, c *Chat, name string, upTo uint64) *room {
	t.Helper()
	r, err := c.enter(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.awaitSeen(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	return r
}

// read reads a history to its end, and checks each page.
func read(t *testing.T, r *room, after uint64, hasAfter bool) (seqs []uint64, complete bool, err error) {
	t.Helper()
	at, complete, err := r.begin(t.Context(), after, hasAfter)
	for last := false; !last && err == nil; {
		var p part
		if p, err = r.page(t.Context(), at); err != nil {
			break
		}
		messages := p.messages
		if p.shared != nil {
			messages = p.shared.messages
		}
		if n := len(historyFrame(messages, complete, !p.last)); n > pageBytes || len(messages) > pageMessages {
			t.Errorf("a page has %d messages and %d bytes", len(messages), n)
		}
		for _, m := range messages {
			seqs = append(seqs, m.seq)
		}
		at, last = p.upTo, p.last
	}
	return seqs, complete, err
}

func expectHistory(t *testing.T, r *room, after uint64, want []uint64, wantComplete bool) {
	t.Helper()
	got, complete, err := read(t, r, after, true)
	if err != nil || complete != wantComplete || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after %d came %d messages, complete %v, %v; want %d, %v", after, len(got), complete, err, len(want), wantComplete)
	}
}

func TestHistoriesInPages(t *testing.T) {
	for name, remembered := range map[string]int{"in memory": 32 << 20, "hardly anything in memory": 1000} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, closeIt := openChat(t, dir, Config{Keep: 5000, Remembered: remembered})
			random := rand.New(rand.NewPCG(1, 2))
			seqs := store(t, c, "lobby", 1500, func() int { return 1 + random.IntN(1500) })
			other := store(t, c, "other", 100, short)
			closeIt()
			c, _ = openChat(t, dir, Config{Keep: 5000, Remembered: remembered})
			r := enterRoom(t, c, "lobby", seqs[1499])
			seqs = append(seqs, store(t, c, "lobby", 300, short)...) // live, in another epoch
			if err := r.awaitSeen(t.Context(), seqs[1799]); err != nil {
				t.Fatal(err)
			}
			expectHistory(t, r, 0, seqs, true)
			for _, i := range []int{0, 1, 499, 500, 777, 1400, 1449, 1450, 1499, 1500, 1600, 1798, 1799} {
				expectHistory(t, r, seqs[i], seqs[i+1:], true)
			}
			var all sync.WaitGroup // at once, from everywhere
			for range 20 {
				i := random.IntN(len(seqs))
				all.Go(func() { expectHistory(t, r, seqs[i], seqs[i+1:], true) })
			}
			all.Wait()
			expectHistory(t, r, other[99], seqs[1500:], true)     // another room's
			expectHistory(t, r, other[99]+1, seqs[1500:], false)  // between two epochs
			expectHistory(t, r, 1, seqs, false)                   // of a stream before this one
			expectHistory(t, r, seqs[1799]+1, seqs[1750:], false) // not yet
			if got, complete, err := read(t, r, 0, false); fmt.Sprint(got) != fmt.Sprint(seqs[1750:]) || complete || err != nil {
				t.Errorf("without after: %d messages, complete %v, %v", len(got), complete, err)
			}
			if n := c.shelf.size(); n > max(remembered, tailBytes+2*pageBytes) {
				t.Errorf("%d bytes are remembered", n)
			}
			few := enterRoom(t, c, "nobody", 0)
			if got, complete, err := read(t, few, 0, false); len(got) != 0 || !complete || err != nil {
				t.Errorf("of an empty room: %d messages, complete %v, %v", len(got), complete, err)
			}
			expectHistory(t, few, 0, nil, true)
		})
	}
}

// A page that others have asked for is encoded once.
func TestPagesAreShared(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 5000})
	seqs := store(t, c, "lobby", 2000, short)
	r := enterRoom(t, c, "lobby", seqs[1999])
	at, complete, err := r.begin(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	shared := 0
	for last := false; !last; {
		one, err := r.page(t.Context(), at)
		two, err2 := r.page(t.Context(), at)
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if one.shared != two.shared {
			t.Fatal("two pages were made of the same messages")
		}
		if one.shared != nil {
			shared++
			if one.shared.frame(complete) != two.shared.frame(complete) {
				t.Error("a page was encoded twice")
			}
		}
		at, last = one.upTo, one.last
	}
	if shared != 4 {
		t.Errorf("%d pages are shared, want 4", shared)
	}
}

func TestAnOvertakenMemberIsTold(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 1200, Remembered: 1000})
	seqs := store(t, c, "lobby", 1200, short)
	r := enterRoom(t, c, "lobby", seqs[1199])
	at, complete, err := r.begin(t.Context(), seqs[0], true)
	if err != nil || !complete {
		t.Fatalf("complete %v, %v", complete, err)
	}
	p, err := r.page(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	more := store(t, c, "lobby", 1200, short) // and what comes next is held no more
	if err := r.awaitSeen(t.Context(), more[1199]); err != nil {
		t.Fatal(err)
	}
	if _, err := r.page(t.Context(), p.upTo); !errors.Is(err, errOvertaken) {
		t.Errorf("the next page: %v", err)
	}
	expectHistory(t, r, p.upTo, more, false)
	expectHistory(t, r, seqs[0], more, false)
	expectHistory(t, r, more[3], more[4:], true)
}

func TestARoomsMemoryHasLimits(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 20, MaxAge: time.Hour})
	seqs := store(t, c, "lobby", 20, short)
	r := enterRoom(t, c, "lobby", seqs[19])
	seqs = append(seqs, store(t, c, "lobby", 5, short)...)
	if err := r.awaitSeen(t.Context(), seqs[24]); err != nil {
		t.Fatal(err)
	}
	expectHistory(t, r, seqs[4], seqs[5:], true)
	expectHistory(t, r, seqs[3], seqs[5:], false) // as the stream has it
	r.mu.Lock()
	for i := range r.tail.messages[:7] {
		r.tail.messages[i].at = time.Now().Add(-2 * time.Hour)
	}
	r.trimLocked()
	n := len(r.tail.messages)
	r.mu.Unlock()
	if n != 13 {
		t.Errorf("%d messages are remembered, want the 13 that are not too old", n)
	}
}

func TestNothingIsReadForClientsThatLeft(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 5000})
	seqs := store(t, c, "lobby", 600, short)
	r := enterRoom(t, c, "lobby", seqs[599])
	gone, cancel := context.WithCancel(t.Context())
	r.loading <- struct{}{} // somebody reads
	waits := make(chan error)
	go func() {
		_, _, err := r.begin(gone, 0, true)
		waits <- err
	}()
	cancel()
	if err := <-waits; !isGone(err) {
		t.Errorf("it ends with %v", err)
	}
	<-r.loading
	if _, _, err := r.begin(gone, 0, true); !isGone(err) {
		t.Errorf("it ends with %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.blocks) > 0 {
		t.Error("the stream was read")
	}
}

// One limit bounds what all rooms remember, and a closed room's memory is freed.
func TestTheShelf(t *testing.T) {
	const limit = 200 << 10
	c, _ := openChat(t, t.TempDir(), Config{Keep: 5000, Remembered: limit})
	var rooms []*room
	seqs := map[string][]uint64{}
	for i := range 8 {
		name := fmt.Sprint("room-", i)
		seqs[name] = store(t, c, name, 60, func() int { return 1000 })
		rooms = append(rooms, enterRoom(t, c, name, seqs[name][59]))
	}
	if n := c.shelf.size(); n > limit || n < limit/2 {
		t.Errorf("%d bytes are remembered, want %d at most", n, limit)
	}
	for _, r := range rooms {
		expectHistory(t, r, seqs[r.name][4], seqs[r.name][5:], true)
		if got, _, err := read(t, r, 0, false); fmt.Sprint(got) != fmt.Sprint(seqs[r.name][10:]) || err != nil {
			t.Errorf("without after: %d messages, %v", len(got), err)
		}
		if n := c.shelf.size(); n > limit {
			t.Errorf("%d bytes are remembered", n)
		}
	}
	for _, r := range rooms {
		r.forget()
		r.deliver(broker.Entry{Topic: r.name, Seq: 1 << 53}) // one that was under way
	}
	if n := c.shelf.size(); n != 0 {
		t.Errorf("of closed rooms %d bytes are remembered", n)
	}
}

// After the folder was restored from a copy, no client can resume after a message that is lost, even if all is in memory.
func TestAHistoryAfterARestore(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	c, closeIt := openChat(t, dir, Config{})
	kept := store(t, c, "lobby", 5, short)
	closeIt()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c, closeIt = openChat(t, dir, Config{})
	lost := store(t, c, "lobby", 3, short)
	closeIt()
	c, _ = openChat(t, copied, Config{})
	next := store(t, c, "lobby", 10, short)
	r := enterRoom(t, c, "lobby", next[9])
	expectHistory(t, r, lost[1], next, false)
	expectHistory(t, r, kept[3], append(kept[4:], next...), true)
	if got, complete, err := read(t, r, 0, false); len(got) != 15 || !complete || err != nil {
		t.Errorf("without after: %d messages, complete %v, %v", len(got), complete, err)
	}
}

// While many pages wait to be sent, those for single members are short; and a block that the stream may have discarded
// since is read again.
func TestPagesAreShortWhileManyWait(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 5000})
	seqs := store(t, c, "lobby", 700, func() int { return 500 })
	r := enterRoom(t, c, "lobby", seqs[699])
	expectHistory(t, r, seqs[2], seqs[3:], true)
	c.pages.Store(manyBytes + 1)
	p, err := r.page(t.Context(), seqs[10])
	if err != nil || p.shared != nil || len(historyFrame(p.messages, true, true)) > shortBytes || len(p.messages) < 5 {
		t.Errorf("a page has %d messages, %v", len(p.messages), err)
	}
	expectHistory(t, r, seqs[10], seqs[11:], true)
	c.pages.Store(0)
	if p, err = r.page(t.Context(), seqs[10]); err != nil || len(p.messages) < 100 {
		t.Errorf("a page has %d messages, %v", len(p.messages), err)
	}

	r.mu.Lock()
	n := len(r.blocks)
	for _, b := range r.blocks {
		b.loaded = time.Now().Add(-2 * staleTime)
	}
	r.trimLocked()
	left := len(r.blocks)
	r.mu.Unlock()
	if n == 0 || left != 0 {
		t.Errorf("of %d old blocks %d are kept", n, left)
	}
	expectHistory(t, r, seqs[2], seqs[3:], true)
}

// A database or a stream can return more than a page.
func TestABlockIsAPage(t *testing.T) {
	var messages []remembered
	for i := range 600 {
		messages = append(messages, remembered{seq: uint64(10 + i), json: make([]byte, 100)})
	}
	r := &room{}
	if b := r.newBlock(5, messages, 1000); len(b.messages) != pageMessages || b.upTo != 509 || b.after != 5 || b.bytes != 100*pageMessages {
		t.Errorf("of many: %d messages, from %d to %d, %d bytes", len(b.messages), b.after, b.upTo, b.bytes)
	}
	if b := r.newBlock(5, messages[:20], 1000); len(b.messages) != 20 || b.upTo != 1000 {
		t.Errorf("of few: %d messages, to %d", len(b.messages), b.upTo)
	}
	for i := range messages {
		messages[i].json = make([]byte, 100<<10)
	}
	if b := r.newBlock(5, messages, 1000); len(b.messages) != 2 || b.upTo != 11 {
		t.Errorf("of long ones: %d messages, to %d", len(b.messages), b.upTo)
	}
	if b := r.newBlock(5, []remembered{{seq: 7, json: make([]byte, 300<<10)}}, 7); len(b.messages) != 1 {
		t.Error("one that is longer than a page is left out")
	}
}

// If the stream discards messages before this node can read them, members are disconnected, and told.
func TestSkippedMessagesAreSaid(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{})
	seqs := store(t, c, "lobby", 5, short)
	r := enterRoom(t, c, "lobby", seqs[4])
	data, err := json.Marshal(Message{ID: "x", From: "ana", Text: "x", At: time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	next := seqs[4] + 10
	r.deliver(broker.Entry{Topic: "lobby", Seq: next, Data: data, Skipped: true})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blockLocked(seqs[4]) != nil || r.tail.after != next-1 || len(r.tail.messages) != 1 || r.tail.whole {
		t.Errorf("what was skipped counts as seen: from %d, %d messages", r.tail.after, len(r.tail.messages))
	}
}

// If all messages of a room are too old, the next one does not make its history complete.
func TestARoomThatIsTooOld(t *testing.T) {
	dir := t.TempDir()
	c, closeIt := openChat(t, dir, Config{MaxAge: 2 * time.Second})
	seqs := store(t, c, "lobby", 4, short)
	eventually(t, "the messages are discarded", func() bool {
		tail, err := c.entries.Tail(t.Context(), "lobby")
		return err == nil && tail == 0
	})
	r := enterRoom(t, c, "lobby", 0)
	next := store(t, c, "lobby", 1, short)
	if err := r.awaitSeen(t.Context(), next[0]); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, seqs[0], seqs[2]} {
		if got, complete, err := read(t, r, after, true); err != nil || complete || len(got) > 1 {
			t.Errorf("after %d: %v, complete %v, %v", after, got, complete, err)
		}
	}
	closeIt()
}

// A member is not shown what comes after a gap: it would go on from there, and nobody would tell it of the gap.
func TestAMemberIsClosedBeforeItSeesPastAGap(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	g := s.enter(s.signIn("ana"), "lobby")
	g.sees(1, "ana")
	s.mu.Lock()
	r := s.rooms["lobby"]
	s.mu.Unlock()
	data, err := json.Marshal(Message{ID: "x", From: "bea", Text: "x", At: time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(broker.Entry{Topic: "lobby", Seq: r.cursor() + 10, Data: data, Skipped: true})
	select {
	case <-g.end:
	case <-time.After(patience):
		t.Fatal("the member stays")
	}
	if seen := g.all("message"); len(seen) > 0 {
		t.Errorf("it was shown %v", seen)
	}
}

func TestOpeningWhileOthersPost(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{})
	seqs := slices.Concat(store(t, c, "red", 1, short), store(t, c, "blue", 1, short), store(t, c, "red", 1, short))
	r := enterRoom(t, c, "red", seqs[2])
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// What opening does that saw the stream up to the other room's message, when the last was stored meanwhile.
	b, err := r.readNewest(ctx, seqs[1], seqs[0])
	if err != nil || len(b.messages) != 1 || b.messages[0].seq != seqs[0] || b.upTo != seqs[1] {
		t.Errorf("got %+v, %v", b, err)
	}
}

// sums compares what the shelf counts with what rooms remember.
func sums(t *testing.T, c *Chat, rooms ...*room) {
	t.Helper()
	size := 0
	for _, r := range rooms {
		r.mu.Lock()
		size += r.tail.sizeLocked()
		for _, b := range r.blocks {
			size += b.sizeLocked()
		}
		r.mu.Unlock()
	}
	if got := c.shelf.size(); got != size {
		t.Errorf("the shelf counts %d bytes, rooms remember %d", got, size)
	}
}

// The shelf's count is right without another message.
func TestTheShelfCountsRememberedBytes(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Keep: 5000})
	seqs := store(t, c, "lobby", 300, func() int { return 100 })
	r := enterRoom(t, c, "lobby", seqs[299])
	for range 2 {
		if _, _, err := read(t, r, 0, true); err != nil {
			t.Fatal(err)
		}
		sums(t, c, r)
	}

	// The oldest are too old at the next look.
	r.mu.Lock()
	for i := range r.tail.messages[:20] {
		r.tail.messages[i].at = time.Now().Add(-2 * c.config.MaxAge)
	}
	before := len(r.tail.messages)
	r.mu.Unlock()
	r.has(seqs[299])
	if r.mu.Lock(); len(r.tail.messages) != before-20 {
		t.Errorf("%d messages of %d are left", len(r.tail.messages), before)
	}
	r.mu.Unlock()
	sums(t, c, r)

	// A tail has to go, and before it does, another message comes.
	c.shelf.mu.Lock()
	c.shelf.setLocked(&r.tail, 0)
	c.shelf.mu.Unlock()
	seqs = append(seqs, store(t, c, "lobby", 1, short)...)
	if err := r.awaitSeen(t.Context(), seqs[300]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message is counted", func() bool {
		c.shelf.mu.Lock()
		defer c.shelf.mu.Unlock()
		return r.tail.place.bytes > 0
	})
	r.forgetBlock(&r.tail)
	sums(t, c, r)

	// The same of an older block; and one that is gone does not come back because it has been encoded.
	at, complete, err := r.begin(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.page(t.Context(), at)
	if err != nil || p.shared == nil {
		t.Fatalf("a page of %d messages is nobody else's: %v", len(p.messages), err)
	}
	r.forgetBlock(p.shared)
	p.shared.frame(complete)
	sums(t, c, r)
}
