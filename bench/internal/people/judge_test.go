package people

import (
	"slices"
	"testing"
	"time"
)

// One writer's three posts, kept as they were acknowledged, and what goes wrong with them.
func TestJudge(t *testing.T) {
	one, two, three := Message{1, "one"}, Message{2, "two"}, Message{3, "three"}
	all := Stored{one, two, three}
	for _, c := range []struct {
		name string
		kept Stored
		seen []Message
		want Verdict
	}{
		{"all is well", all, all, Verdict{}},
		{"an acknowledged post is not kept", Stored{one, two}, Stored{one, two}, Verdict{Lost: 1}},
		{"it is kept under another sequence", Stored{one, two, {4, "three"}}, Stored{one, two, {4, "three"}}, Verdict{Lost: 1}},
		{"it is kept twice", Stored{one, two, three, {4, "one"}}, Stored{one, two, three, {4, "one"}}, Verdict{Lost: 1, Twice: 1}},
		{"a reader gets it twice", all, Stored{one, two, two, three}, Verdict{Twice: 1}},
		{"a reader gets it late", all, Stored{one, three, two}, Verdict{Order: 1}},
		{"a reader never gets it", all, Stored{one, three}, Verdict{Missing: 1}},
		{"a reader gets what is not kept", all, Stored{one, two, three, {4, "four"}}, Verdict{Different: 1}},
		{"that is somebody else's", all, Stored{one, two, three, {4, "foreign"}}, Verdict{}},
	} {
		v := new(Verdict)
		at := time.Now()
		writers := []*Writer{{Posts: []*Post{
			{ID: "one", Room: "red", Acked: at, Seq: 1}, {ID: "two", Room: "red", Acked: at, Seq: 2}, {ID: "three", Room: "red", Acked: at, Seq: 3},
			{ID: "excused", Room: "red", Acked: at, Seq: 9},
		}}}
		kept := map[string]Stored{"red": c.kept}
		v.JudgeKept(kept)
		v.JudgePosts(writers, kept, func(p *Post) bool { return p.ID == "excused" }, time.Time.String)
		v.JudgeReader(&Reader{seen: c.seen}, c.kept, func(m Message) bool { return m.ID == "foreign" })
		if v.Lost != c.want.Lost || v.Twice != c.want.Twice || v.Order != c.want.Order || v.Missing != c.want.Missing || v.Different != c.want.Different {
			t.Errorf("%s: lost %d, twice %d, out of order %d, missing %d, different %d", c.name, v.Lost, v.Twice, v.Order, v.Missing, v.Different)
		}
		if v.OK() != (c.want.Lost+c.want.Twice+c.want.Order+c.want.Missing+c.want.Different == 0) {
			t.Errorf("%s: OK is %v", c.name, v.OK())
		}
	}
}

// Only what a reader was told is missing is not promised to it.
func TestGaps(t *testing.T) {
	all := make(Stored, 10)
	for i := range all {
		all[i].Seq = uint64(i + 1)
	}
	r := new(Reader)
	r.hear(frame{Type: "history", Complete: true, Messages: all[:2]})
	r.hear(frame{Type: "history"}) // the connection ends before a message comes
	r.hear(frame{Type: "history", Messages: all[4:5]})
	r.hear(frame{Type: "message", Message: all[6]}) // nobody says where the one before is
	r.hear(frame{Type: "history"})
	if got, want := r.Promised(all), slices.Concat(all[:2], all[4:]); !slices.Equal(got, want) {
		t.Errorf("promised are %v, want %v", got, want)
	}
	var v Verdict
	v.JudgeReader(r, r.Promised(all[:7]), nil)
	if v.Missing != 1 || v.Incomplete != 3 {
		t.Errorf("%d are missing, and %d histories have gaps", v.Missing, v.Incomplete)
	}
}
