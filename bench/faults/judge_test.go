package main

import (
	"testing"
	"time"

	"echows/bench/internal/people"
)

var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// A node takes posts until 2, nothing until 12, and posts again; it says so from 5 to 13.
func TestJudgeTimes(t *testing.T) {
	var attempts []people.Attempt
	for s := 0.0; s < 20; s += 0.1 {
		if s < 2 || s >= 12 {
			attempts = append(attempts, people.Attempt{From: at(s), To: at(s + 0.05), Acked: true})
		}
	}
	attempts = append(attempts, people.Attempt{From: at(2), To: at(12), Told: "unavailable"})
	l := &load{writers: []*people.Writer{{Attempts: attempts, Posts: []*people.Post{{Begun: at(2), Acked: at(12)}, {Begun: at(15), Acked: at(15.5)}}}}, samples: make([][]sample, 1)}
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
