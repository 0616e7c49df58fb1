package broker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestEpochs(t *testing.T) {
	es := epochs{{From: 1}, {From: 11, Add: 1000}, {From: 21, Add: 5000}}
	for raw, want := range map[uint64]uint64{1: 1, 10: 10, 11: 1011, 20: 1020, 21: 5021, 99: 5099} {
		if got := es.seq(raw); got != want {
			t.Errorf("%d is shown as %d, want %d", raw, got, want)
		}
		if got, exact := es.floor(want); got != raw || !exact {
			t.Errorf("%d is the sequence %d (%v), want %d", want, got, exact, raw)
		}
	}
	for seq, want := range map[uint64]uint64{0: 0, 11: 10, 1010: 10, 1021: 20, 5020: 20} {
		if got, exact := es.floor(seq); got != want || exact {
			t.Errorf("%d lies after %d (%v), want %d", seq, got, exact, want)
		}
	}
	if got := es.begin(30, 5035, false); got[3] != (epoch{From: 31, Add: 5004}) {
		t.Errorf("a new epoch is %v", got)
	}
	if got := es.begin(30, 7, false).seq(31); got != 5031 { // a clock that goes wrong
		t.Errorf("after %d comes %d", es.seq(30), got)
	}
	if got := es.begin(20, 9000, true); fmt.Sprint(got) != fmt.Sprint(epochs{{From: 1}, {From: 11, Add: 1000}, {From: 21, Add: 8979, Lost: true}}) {
		t.Errorf("an epoch without messages stays: %v", got)
	}
	if got := es.begin(30, 6000, true); got.lostAfter(30) != true || got.lostAfter(31) {
		t.Error("what is lost is said at the wrong place")
	}
	if got := es.trim(20); len(got) != 3 {
		t.Errorf("trimmed to %v, though one of its messages is held", got)
	}
	if got := es.trim(21); len(got) != 2 || got.first() != 1 || got.seq(21) != 5021 {
		t.Errorf("trimmed to %v", got)
	}
	many := epochs{{From: 1}}
	for i := range uint64(2 * mostEpochs) {
		many = many.begin(i+1, 0, false)
	}
	if len(many) != mostEpochs {
		t.Errorf("%d epochs are kept", len(many))
	}
	if got := (epochs)(nil).seq(7); got != 7 {
		t.Errorf("without epochs 7 is shown as %d", got)
	}
}

func TestUsedSequences(t *testing.T) {
	es := epochs{{From: 1}, {From: 11, Add: 1000}, {From: 21, Add: 5000}} // 1 to 10, 1011 to 1020, 5021 and up
	for _, c := range []struct {
		after, before uint64
		want          []Range
	}{
		{0, 1, nil},
		{0, 0, nil},
		{5, 5, nil},
		{0, 4, []Range{{1, 3}}},
		{10, 1011, nil},
		{10, 500, nil},
		{3, 500, []Range{{4, 10}}},
		{3, 1013, []Range{{4, 10}, {1011, 1012}}},
		{3, 5023, []Range{{4, 10}, {1011, 1020}, {5021, 5022}}},
		{1015, 2000, []Range{{1016, 1020}}},
		{20, 30, []Range{{21, 29}}},                   // this stream never gave 20: what came after is not known
		{20, 1013, []Range{{21, 1012}}},               // up to the epoch, and then two that it has
		{20, 5022, []Range{{21, 1020}, {5021, 5021}}}, //
		{1030, 6000, []Range{{1031, 5999}}},           //
		{1020, 5021, nil},                             //
		{1020, 6000, []Range{{5021, 5999}}},           //
	} {
		got := es.used(c.after, c.before)
		if !slices.Equal(got, c.want) {
			t.Errorf("between %d and %d: %v, want %v", c.after, c.before, got, c.want)
		}
		l := &Log{}
		l.known.Store(&es)
		if unused := l.Unused(c.after, c.before); unused != (len(got) == 0) {
			t.Errorf("between %d and %d: unused is %v, used are %v", c.after, c.before, unused, got)
		}
	}
	if got := (epochs)(nil).used(3, 6); !slices.Equal(got, []Range{{4, 5}}) {
		t.Errorf("without epochs: %v", got)
	}
}

// reopened is the Log of a folder.
func reopened(t *testing.T, dir string, cfg LogConfig) (*Broker, *Log) {
	t.Helper()
	b := openBroker(t, Config{Dir: dir, Sync: time.Second})
	return b, openLog(t, b, cfg)
}

// page reads what comes after a sequence, as "a b c", and what is said of it.
func page(t *testing.T, l *Log, after uint64) string {
	t.Helper()
	p, err := l.After(testContext(t), "lobby", after, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range p.Entries {
		ids = append(ids, string(e.Data))
	}
	return fmt.Sprintf("%v known %v whole %v", ids, p.Known, p.Whole)
}

func expectPage(t *testing.T, l *Log, after uint64, want string) {
	t.Helper()
	if got := page(t, l, after); got != want {
		t.Errorf("after %d comes %s, want %s", after, got, want)
	}
}

func TestAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b, l := reopened(t, dir, chatLog)
	first, second := appendTo(t, l, "lobby", "a"), appendTo(t, l, "lobby", "b")
	for range 3 { // with no message in between
		b.Close()
		b, l = reopened(t, dir, chatLog)
	}
	third := appendTo(t, l, "lobby", "c")
	if third <= second+1 {
		t.Errorf("the third is %d, right after %d: this folder may be an old copy", third, second)
	}
	expectPage(t, l, 0, "[a b c] known true whole true")
	expectPage(t, l, first, "[b c] known true whole true")
	expectPage(t, l, second, "[c] known true whole true")
	expectPage(t, l, third, "[] known true whole true")
	expectPage(t, l, second+1, "[c] known false whole false")
	expectPage(t, l, third+1, "[] known false whole false")
	if got, err := l.Before(testContext(t), "lobby", third, 50); err != nil || len(got) != 2 || got[1].Seq != second {
		t.Errorf("before the third there are %v, %v", got, err)
	}
	if e, ok, err := l.At(testContext(t), second); !ok || err != nil || string(e.Data) != "b" || e.Seq != second {
		t.Errorf("the second is %v %v %v", e, ok, err)
	}
	if _, ok, _ := l.At(testContext(t), second+1); ok {
		t.Error("a sequence that was never used has a message")
	}
	if tail, err := l.Tail(testContext(t), "lobby"); tail != third || err != nil {
		t.Errorf("the tail is %d, %v", tail, err)
	}
	if _, last, err := l.State(testContext(t)); last != third || err != nil {
		t.Errorf("the stream ends at %d, %v", last, err)
	}
	if !l.Unused(second, third) || l.Unused(first, third) || l.Unused(first-1, second) {
		t.Error("what was never used is said wrongly")
	}
	s, _, tail := follow(t, l, "lobby")
	fourth := appendTo(t, l, "lobby", "d")
	if s.wait(t, 1); tail != third || s.seqs[0] != fourth {
		t.Errorf("followed from %d: %v", tail, s.seqs)
	}
	var copied []uint64
	ctx, cancel := context.WithCancel(testContext(t))
	l.Copy(ctx, first, func(batch []Entry) error {
		for _, e := range batch {
			copied = append(copied, e.Seq)
		}
		if len(copied) >= 3 {
			cancel()
		}
		return nil
	})
	if !slices.Equal(copied, []uint64{second, third, fourth}) {
		t.Errorf("copied %v", copied)
	}
}

func TestARestoredFolder(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	b, l := reopened(t, dir, chatLog)
	first := appendTo(t, l, "lobby", "a")
	b.Close()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b, l = reopened(t, dir, chatLog)
	lost := appendTo(t, l, "lobby", "lost")
	b.Close()

	_, l = reopened(t, copied, chatLog)
	next := appendTo(t, l, "lobby", "b")
	appendTo(t, l, "lobby", "c")
	if next <= lost {
		t.Errorf("%d comes after %d, which was lost", next, lost)
	}
	expectPage(t, l, lost, "[b c] known false whole false")
	expectPage(t, l, first, "[b c] known true whole true")
}

func TestALostFolder(t *testing.T) {
	b, l := reopened(t, t.TempDir(), chatLog)
	old := appendTo(t, l, "lobby", "a")
	b.Close()
	b, l = reopened(t, t.TempDir(), chatLog)
	expectPage(t, l, old, "[] known false whole false")
	expectPage(t, l, 0, "[] known true whole true")
	if next := appendTo(t, l, "lobby", "b"); next <= old {
		t.Errorf("%d comes after %d, which was lost", next, old)
	}
	expectPage(t, l, old, "[b] known false whole false")
	b.Close()

	cfg := chatLog
	cfg.After = 1 << 52 // as a copy of the stream has it
	_, l = reopened(t, t.TempDir(), cfg)
	if next := appendTo(t, l, "lobby", "c"); next <= cfg.After {
		t.Errorf("%d is not after %d", next, cfg.After)
	}
}

// A folder of the time before there were epochs.
func TestAStreamWithoutEpochs(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, Config{Dir: dir, Sync: time.Second})
	if _, err := b.js.CreateStream(testContext(t), jetstream.StreamConfig{
		Name: "CHAT", Subjects: []string{"chat.*"}, MaxMsgsPerSubject: 100, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"a", "b"} {
		if _, err := b.js.Publish(testContext(t), "chat.lobby", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	_, l := reopened(t, dir, chatLog)
	next := appendTo(t, l, "lobby", "c")
	expectPage(t, l, 0, "[a b c] known true whole true")
	expectPage(t, l, 1, "[b c] known true whole true")
	expectPage(t, l, 3, "[c] known false whole false")
	expectPage(t, l, next, "[] known true whole true")
}

func TestDiscardedEntriesAreReported(t *testing.T) {
	dir := t.TempDir()
	few := chatLog
	few.PerTopic = 5
	b, l := reopened(t, dir, few)
	var seqs []uint64
	appendTo(t, l, "quiet", "q")
	for i := range 8 {
		seqs = append(seqs, appendTo(t, l, "lobby", fmt.Sprint(i)))
	}
	expectPage(t, l, seqs[2], "[3 4 5 6 7] known true whole false")
	expectPage(t, l, seqs[3], "[4 5 6 7] known true whole true")
	b.Close()
	b, l = reopened(t, dir, chatLog) // more are kept from now on, and these do not come back
	expectPage(t, l, seqs[1], "[3 4 5 6 7] known true whole false")
	expectPage(t, l, seqs[3], "[4 5 6 7] known true whole true")
	b.Close()

	// Of two nodes that differ, both know what was kept.
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	one, two := openBroker(t, Config{URL: url, Compare: time.Millisecond}), openBroker(t, Config{URL: url})
	many := openLog(t, one, chatLog)
	appendTo(t, many, "quiet", "so that the stream's first stays")
	for i := range 6 {
		seqs[i] = appendTo(t, many, "lobby", fmt.Sprint(i))
	}
	expectPage(t, many, 0, "[0 1 2 3 4 5] known true whole true")
	openLog(t, two, few)
	eventually(t, "the other node knows it", func() bool { return page(t, many, 0) == "[1 2 3 4 5] known true whole false" })
}

// loseLast does what restoring an older copy of a cluster's stream does: it ends one message earlier.
func loseLast(t *testing.T, b *Broker, l *Log) {
	t.Helper()
	ctx := testContext(t)
	info, err := l.info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := l.read(ctx, "lobby", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(ctx, l.stream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream can be made again", func() bool { // not while the server still removes the old one's files
		_, err := b.js.CreateStream(ctx, info.Config)
		return err == nil
	})
	for _, e := range entries[:len(entries)-1] {
		if _, err := b.js.Publish(ctx, "chat.lobby", e.Data); err != nil {
			t.Fatal(err)
		}
	}
}

// Nodes refuse what is posted until the stream goes on in a new epoch.
func TestAClustersStreamIsRestored(t *testing.T) {
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	dir := t.TempDir()
	b := openBroker(t, Config{URL: url, Dir: dir, Compare: 5 * time.Millisecond, lostAfter: time.Hour})
	l := openLog(t, b, chatLog)
	first := appendTo(t, l, "lobby", "a")
	s, _, _ := follow(t, l, "lobby")
	lost := appendTo(t, l, "lobby", "b")
	s.wait(t, 1)
	eventually(t, "the mark is set", func() bool {
		data, _ := os.ReadFile(filepath.Join(dir, "chat.mark"))
		return strings.Contains(string(data), fmt.Sprint(lost))
	})
	loseLast(t, b, l)
	eventually(t, "posts are refused", l.refuses.Load)
	if _, _, err := l.Append(testContext(t), "lobby", "c", nil); err == nil {
		t.Error("a message was stored before the stream went on")
	}
	if err := b.Ready(testContext(t)); err == nil {
		t.Error("ready")
	}

	// Another node does not know. One that starts again knows it by its mark.
	other := openLog(t, openBroker(t, Config{URL: url}), chatLog)
	again := openLog(t, openBroker(t, Config{URL: url, Dir: dir, Compare: 5 * time.Millisecond, lostAfter: 5 * time.Millisecond}), chatLog)
	eventually(t, "posts are taken", func() bool { return !l.refuses.Load() && !again.refuses.Load() && len(again.epochs()) > 1 })
	other.compareSoon()
	eventually(t, "the other node knows", func() bool { return len(other.epochs()) > 1 })
	eventually(t, "the other node takes posts, too", func() bool { return !other.refuses.Load() })
	next := appendTo(t, other, "lobby", "d")
	if next <= lost {
		t.Errorf("%d comes after %d, which was lost", next, lost)
	}
	if s.wait(t, 2); s.seqs[1] != next {
		t.Errorf("the first node shows %v, want %d at last", s.seqs, next)
	}
	for _, one := range []*Log{l, again, other} {
		expectPage(t, one, lost, "[d] known false whole false")
		expectPage(t, one, first, "[d] known true whole true")
		if one.Sure(first) { // what is lost was there
			t.Error("sure of what comes after the first, though some of it is lost")
		}
		eventually(t, "a node that has seen the last is sure of it", func() bool { return one.Sure(next) })
		expectPage(t, one, next, "[] known true whole true")
	}
	if err := b.Ready(testContext(t)); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// An entry appended after a loss, before it is handled, is refused at first; repeated, it gets a sequence that nobody has
// seen.
func TestAppendBeforeALossIsNoticed(t *testing.T) {
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	b := openBroker(t, Config{URL: url, Compare: 5 * time.Millisecond, lostAfter: 5 * time.Millisecond})
	l := openLog(t, b, chatLog)
	appendTo(t, l, "lobby", "a")
	s, _, _ := follow(t, l, "lobby")
	lost := appendTo(t, l, "lobby", "b")
	s.wait(t, 1)
	loseLast(t, b, l)
	if _, _, err := l.Append(testContext(t), "lobby", "c", []byte("c")); err == nil {
		t.Fatal("acknowledged under a sequence that was another's")
	}
	var seq uint64
	eventually(t, "the message is stored", func() bool {
		var err error
		var before bool
		seq, before, err = l.Append(testContext(t), "lobby", "c", []byte("c"))
		if err == nil && !before {
			t.Error("it was stored a second time")
		}
		return err == nil
	})
	if seq <= lost {
		t.Errorf("it is acknowledged as %d; %d was shown before", seq, lost)
	}
	if s.wait(t, 2); s.seqs[1] != seq {
		t.Errorf("shown as %v, acknowledged as %d", s.seqs, seq)
	}
}

// A node that starts with other settings may overwrite an epoch that another has just begun: it is put back.
func TestAnEpochThatWasOverwritten(t *testing.T) {
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	b := openBroker(t, Config{URL: url, Compare: 5 * time.Millisecond, lostAfter: 5 * time.Millisecond})
	l := openLog(t, b, chatLog)
	appendTo(t, l, "lobby", "a")
	lost := appendTo(t, l, "lobby", "b")
	late := openLog(t, openBroker(t, Config{URL: url, Compare: time.Hour}), chatLog)
	read, err := late.info(testContext(t)) // before there is another epoch
	if err != nil {
		t.Fatal(err)
	}
	loseLast(t, b, l)
	eventually(t, "an epoch begins", func() bool { return len(l.epochs()) == 2 && !l.refuses.Load() })
	late.config.PerTopic = 500
	if _, err := late.updateStream(testContext(t), read); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream knows of it again", func() bool {
		info, err := l.info(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		es, err := epochsOf(info.Config)
		return err == nil && len(es) == 2 && info.Config.MaxMsgsPerSubject == 500
	})
	if next := appendTo(t, l, "lobby", "c"); next <= lost {
		t.Errorf("%d comes after %d, which was lost", next, lost)
	}
	late.compareSoon()
	eventually(t, "the other node knows it, too", func() bool { return len(late.epochs()) == 2 })
}

// A tail that a follower has yet to be told, when the stream loses its end, is of what it has lost.
func TestATailThatIsLost(t *testing.T) {
	b := openBroker(t, Config{URL: startNATS(t, t.TempDir(), -1).ClientURL(), Compare: time.Hour})
	l := openLog(t, b, chatLog)
	last := appendTo(t, l, "lobby", "first")
	f, _, err := l.Follow(testContext(t), "lobby", func(Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	f.Start()
	info, err := l.info(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	end := info.State.LastSeq
	c, err := l.writeEpochs(testContext(t), info.Config, l.epochs().begin(end, max(epochStart(), last+1), true))
	if err != nil {
		t.Fatal(err)
	}
	l.tails = []tail{{f, end + 1}}
	l.adopt(testContext(t), c)
	l.tellTails()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.want > end {
		t.Errorf("the follower looks for %d in a stream that ends with %d", f.want, end)
	}
}

func TestTheNewestEpochCounts(t *testing.T) {
	old, long := epochs{{From: 1}}, epochs{{From: 1}, {From: 11, Add: 1000}}
	again := epochs{{From: 1}, {From: 9, Add: 2000}}
	for _, c := range []struct{ a, b, want epochs }{
		{nil, old, old}, {old, nil, old}, {old, long, long}, {long, old, long}, {long, again, again}, {again, long, again},
	} {
		if got := c.a.newer(c.b); got.String() != c.want.String() {
			t.Errorf("of %v and %v the newer is %v", c.a, c.b, got)
		}
	}
}

// A node that starts with the same settings as the others writes nothing.
func TestAStartWritesNothing(t *testing.T) {
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	b := openBroker(t, Config{URL: url})
	updates, err := b.conn.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.UPDATED.CHAT")
	if err != nil {
		t.Fatal(err)
	}
	openLog(t, b, chatLog)
	openLog(t, openBroker(t, Config{URL: url}), chatLog)
	other := chatLog
	other.PerTopic = 500
	openLog(t, openBroker(t, Config{URL: url}), other)
	if err := b.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := updates.NextMsg(patience); err != nil {
		t.Fatalf("of the third there is no word: %v", err)
	}
	if n, _, _ := updates.Pending(); n > 0 {
		t.Errorf("the stream was updated %d more times than it had to be", n)
	}
}
