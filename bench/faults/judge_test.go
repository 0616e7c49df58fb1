package main

import (
	"testing"
	"time"
)

var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// One writer's three posts, kept as they were acknowledged, and what goes wrong with them.
func TestJudge(t *testing.T) {
	one, two, three := message{1, "one"}, message{2, "two"}, message{3, "three"}
	all := stored{one, two, three}
	for _, c := range []struct {
		name string
		kept stored
		seen []message
		want result
	}{
		{"all is well", all, all, result{}},
		{"an acknowledged post is not kept", stored{one, two}, stored{one, two}, result{lost: 1}},
		{"it is kept under another sequence", stored{one, two, {4, "three"}}, stored{one, two, {4, "three"}}, result{lost: 1}},
		{"it is kept twice", stored{one, two, three, {4, "one"}}, stored{one, two, three, {4, "one"}}, result{lost: 1, twice: 1}},
		{"a reader gets it twice", all, stored{one, two, two, three}, result{twice: 1}},
		{"a reader gets it late", all, stored{one, three, two}, result{order: 1}},
		{"a reader never gets it", all, stored{one, three}, result{missing: 1}},
		{"a reader gets what is not kept", all, stored{one, two, three, {4, "four"}}, result{different: 1}},
	} {
		r := &result{told: map[string]int{}}
		l := &load{writers: []*writer{{posts: []*post{
			{id: "one", room: "red", acked: at(1), seq: 1}, {id: "two", room: "red", acked: at(2), seq: 2}, {id: "three", room: "red", acked: at(3), seq: 3},
		}}}}
		kept := map[string]stored{"red": c.kept}
		r.judgeKept(kept)
		r.judgePosts(&stage{}, l, kept)
		r.judgeReader(&reader{seen: c.seen}, c.kept)
		if r.lost != c.want.lost || r.twice != c.want.twice || r.order != c.want.order || r.missing != c.want.missing || r.different != c.want.different {
			t.Errorf("%s: lost %d, twice %d, out of order %d, missing %d, different %d", c.name, r.lost, r.twice, r.order, r.missing, r.different)
		}
	}
}

// A node takes posts until 2, nothing until 12, and posts again; it says so from 5 to 13.
func TestJudgeTimes(t *testing.T) {
	var attempts []attempt
	for s := 0.0; s < 20; s += 0.1 {
		if s < 2 || s >= 12 {
			attempts = append(attempts, attempt{from: at(s), to: at(s + 0.05), acked: true})
		}
	}
	attempts = append(attempts, attempt{from: at(2), to: at(12), told: "unavailable"})
	l := &load{writers: []*writer{{attempts: attempts, posts: []*post{{begun: at(2), acked: at(12)}, {begun: at(15), acked: at(15.5)}}}}, samples: make([][]sample, 1)}
	for s := 0.0; s < 20; s += 0.2 {
		l.samples[0] = append(l.samples[0], sample{at: at(s), ready: s < 4.9 || s > 13})
	}
	s := &stage{nodes: []*node{{}}, faults: []fault{{[]int{0}, at(2), at(10)}}}
	r := &result{told: map[string]int{}}
	r.judgeTimes(s, l)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"the longest wait of a client that was hit", r.its.Seconds(), 10},
		{"that of others", r.others.Seconds(), 0.5},
		{"ready, takes nothing", r.yes.Seconds(), 3},
		{"not ready, takes", r.no.Seconds(), 1.2},
	} {
		if diff := c.got - c.want; diff > 0.25 || diff < -0.25 {
			t.Errorf("%s: %.2f s, want %.2f s", c.name, c.got, c.want)
		}
	}
	if r.told["unavailable"] != 1 {
		t.Errorf("told: %v", r.told)
	}
}
