package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A choir of three, of whom one says something to another; what the second hears decides what is lost.
func TestChoir(t *testing.T) {
	for _, c := range []struct {
		name  string
		heard []int64
		lost  int64
	}{
		{"all of it", []int64{1, 2, 3}, 0},
		{"nothing", nil, 3},
		{"not the last", []int64{1, 2}, 1},
		{"not the first", []int64{2, 3}, 1},
		{"one is missing", []int64{1, 3}, 1},
		{"one comes twice", []int64{1, 2, 2, 3}, 1},
		{"one comes late", []int64{1, 3, 2}, 2}, // is missing first
	} {
		synctest.Test(t, func(t *testing.T) {
			group := newChoir(&kind{}, "a number", 3)
			for _, m := range group.members {
				m.begins()
				m.comes()
			}
			<-group.ready
			group.members[0].said.Store(3)
			for _, n := range c.heard {
				group.members[1].hears(0, n)
			}
			for _, other := range []int{0, 2} {
				for n := range int64(3) {
					group.members[other].hears(0, n+1)
				}
			}
			begun := time.Now()
			group.finish(t.Context())
			if got := group.lost.Load(); got != c.lost {
				t.Errorf("%s: %d are lost, not %d: %v", c.name, got, c.lost, &group.why)
			}
			if waited := time.Since(begun) > 0; waited != !slices.Contains(c.heard, 3) {
				t.Errorf("%s: finish waited: %v", c.name, waited)
			}
		})
	}
}

// A member that comes back hears from then on; nobody speaks before all have come.
func TestChoirComesBack(t *testing.T) {
	group := newChoir(&kind{}, "a number", 2)
	one, two := group.members[0], group.members[1]
	one.begins()
	one.comes()
	select {
	case <-group.ready:
		t.Fatal("the choir is ready while one is missing")
	default:
	}
	two.begins()
	two.comes()
	<-group.ready
	one.said.Store(9)
	two.hears(0, 1)
	two.begins()
	two.comes()
	if two.hears(0, 8); group.lost.Load() != 0 {
		t.Errorf("%d are lost", group.lost.Load())
	}
	if n := two.behind(); n != 1 {
		t.Errorf("it is %d behind", n)
	}
	if two.hears(2, 1); group.lost.Load() != 1 {
		t.Error("somebody who is not in the choir is heard")
	}
}

// text is what /metrics answers with, as far as it is read.
func text(goroutines, nextGC int) string {
	return fmt.Sprintf(`# HELP go_goroutines Number of goroutines.
go_goroutines %d
process_open_fds 9
process_resident_memory_bytes 1.048576e+06
echows_connections{route="/ws",transport="websocket"} 2
echows_connections{route="/socket.io/",transport="polling"} 3
echows_buffered_bytes 0
echows_socketio_buffered_bytes 0
echows_socketio_partial_bytes 0
echows_topics 0
echows_chat_rooms 0
echows_socketio_sessions 0
go_memstats_next_gc_bytes %d
go_gc_duration_seconds_count 7
`, goroutines, nextGC)
}

func TestReading(t *testing.T) {
	before, collections, err := parse(strings.NewReader(text(40, 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if collections != 7 || before["goroutines"] != 40 || before["connections"] != 5 || before[heap] != 4 || before["resident memory"] != 1 {
		t.Errorf("%v collections, %v", collections, before)
	}
	for _, c := range []struct {
		goroutines, nextGC int
		within             bool
	}{{40, 8 << 20, true}, {42, 48 << 20, true}, {43, 8 << 20, false}, {40, 49 << 20, false}} {
		after, _, err := parse(strings.NewReader(text(c.goroutines, c.nextGC)))
		if err != nil || within(before, after) != c.within {
			t.Errorf("%d goroutines, a heap of %d: %v, %v", c.goroutines, c.nextGC, !c.within, err)
		}
	}
	for _, q := range quantities {
		if q.slack < 0 {
			continue
		}
		after := maps.Clone(before)
		if after[q.name] += q.slack + 1; within(before, after) {
			t.Errorf("%s may be more than it may", q.name)
		}
	}
	if _, _, err := parse(strings.NewReader("go_goroutines 1\n")); err == nil {
		t.Error("nothing is said of metrics that are missing")
	}
	if _, _, err := parse(strings.NewReader("go_goroutines one\n")); err == nil {
		t.Error("nothing is said of a value that is no number")
	}
}

func TestWatch(t *testing.T) {
	w := &watch{out: io.Discard}
	for _, part := range []string{"time=1 level=INFO msg=a\ntime=2 lev", "el=ERROR msg=b id=x y\n", "time=3 level=ERROR msg=b id=z y\n",
		"WARNING: DATA RACE\n", strings.Repeat("trace\n", trace), "level=INFO msg=c\n", "panic: at the end"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	got := strings.Join(w.found(), "\n")
	want := "the log has, 2 times: level=ERROR msg=b y\nthe log has, 1 times: WARNING: DATA RACE\nthe log has, 60 times: trace\nthe log has, 1 times: panic: at the end"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// Anything wrong makes the report not ok, and is in it.
func TestReport(t *testing.T) {
	good := func() *report {
		r := &report{attacks: 1, turns: map[string]int{"a": 2}, kinds: []*kind{{name: "echo"}}}
		r.kinds[0].heard.Add(1)
		r.before, _, _ = parse(strings.NewReader(text(40, 8<<20)))
		r.after = r.before
		return r
	}
	if r := good(); !r.ok() {
		t.Fatal(r.faults())
	}
	for name, spoil := range map[string]func(r *report){
		"a leak":                func(r *report) { r.after, _, _ = parse(strings.NewReader(text(50, 8<<20))) },
		"nothing was read":      func(r *report) { r.after = reading{} },
		"a loss":                func(r *report) { r.kinds[0].loses(1, "why") },
		"a broken connection":   func(r *report) { r.kinds[0].fails(io.EOF) },
		"nothing was heard":     func(r *report) { r.kinds[0].heard.Store(0) },
		"an attack failed":      func(r *report) { r.failed = []error{io.EOF} },
		"an attack had no turn": func(r *report) { r.attacks = 2 },
		"a line of the log":     func(r *report) { r.blame("a panic") },
	} {
		r := good()
		spoil(r)
		var out strings.Builder
		r.print(&out)
		if r.ok() || !strings.Contains(out.String(), "NOT OK") {
			t.Errorf("%s is ok:\n%s", name, out.String())
		}
	}
}

// Every attack has a turn in the time, at two minutes as at an hour.
func TestTurn(t *testing.T) {
	for _, length := range []time.Duration{10 * time.Second, 2 * time.Minute, time.Hour} {
		for _, attacks := range []int{1, 2, 31} {
			one := turn(length, attacks)
			if rounds := time.Duration((attacks + 1) / 2); one <= 0 || one > mostTurn || one*rounds >= length {
				t.Errorf("%v, %d attacks: %v each", length, attacks, one)
			}
		}
	}
}
