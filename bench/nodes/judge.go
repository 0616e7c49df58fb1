package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// margin, in ms, is how much later than an event's first receipt its last may be, and how long before a fault events are
// in doubt.
const margin = 400.0

// fault is a time at which promises are weaker.
type fault struct {
	place    int     // of the node it hit; -1 is all
	from, to float64 // ms
	acked    bool    // what was acknowledged to its emitter may be lost too
	apart    bool    // nodes could not reach each other
	forgot   bool    // the journal's contents are lost: connected clients may have missed them, and nobody comes back
}

// result is the result of a run.
type result struct {
	name                         string
	sent, heard                  int
	recovered, refused           int // clients that came back
	lost                         int // events that nobody got, which is allowed
	apart                        int // receipts that a cut prevented
	missing, twice, order, wrong int
	other                        []string // violations of another sort
	slowest                      float64  // ms from the end of a connection to the next beginning
	samples                      []string // of violations
	losses                       []string // what is counted in lost
}

func (r *result) ok() bool { return r.missing+r.twice+r.order+r.wrong+len(r.other) == 0 }

// blame counts a violation, and keeps the first ones of each sort.
func (r *result) blame(count *int, sort, format string, v ...any) {
	if *count++; *count <= 5 {
		r.samples = append(r.samples, sort+": "+fmt.Sprintf(format, v...))
	}
}

// emission is an event with everything known about it.
type emission struct {
	event
	first   float64 // when it was first heard
	heard   map[int][]event
	offsets map[string]bool
	unkept  bool // the journal did not have it: it was sent immediately
	fault   *fault
}

type key struct{ from, n int }

// session is a client's life as one socket.
type session struct {
	begin, end float64
	gaps       []gap
	stays      []stay
}

// gap is between two connections of one socket.
type gap struct{ from, to float64 }

// stay is a connection to a node.
type stay struct {
	place    string
	from, to float64
}

// client is what is known about a client.
type client struct {
	sessions []session
	rooms    map[string][]point
}

// point is a change of a membership: in, out, or unsure.
type point struct {
	at    float64
	state membership
}

type membership int

const (
	unsure membership = iota
	in
	out
)

// judge compares what clients saw with what they should have seen.
func judge(name string, all [][]event, faults []fault) *result {
	r := &result{name: name}
	emissions := gather(all, faults)
	for _, e := range emissions {
		r.sent++
		if len(e.heard) > 0 {
			continue
		}
		if e.fault == nil || e.OK && !e.fault.acked {
			r.blame(&r.missing, "missing", "nobody heard event %d of client %d (%s %s, acknowledged: %v %s)", e.N, e.From, e.Kind, e.Room, e.OK, e.Reason)
		} else {
			r.lost++
			r.losses = append(r.losses, fmt.Sprintf("event %d of client %d (%s %s) on node %s, %+.0f ms from the fault, acknowledged: %v %s after %.0f ms", e.N, e.From, e.Kind, e.Room, e.Node, e.At-e.fault.from, e.OK, e.Reason, e.Until-e.At))
		}
	}
	for number, events := range all {
		c := describe(events, r)
		r.judgeOrder(number, events)
		c.cutShort(faults)
		for _, e := range emissions {
			r.judgeOne(number, c, e)
		}
	}
	return r
}

func gather(all [][]event, faults []fault) map[key]*emission {
	emissions := map[key]*emission{}
	for _, events := range all {
		for _, e := range events {
			if e.What == "said" {
				emissions[key{e.From, e.N}] = &emission{event: e, first: math.Inf(1), heard: map[int][]event{}, offsets: map[string]bool{}, fault: hit(faults, e)}
			}
		}
	}
	owners := map[string]*emission{} // by offset: the first is the journal's, others were sent immediately
	for number, events := range all {
		for _, h := range events {
			if h.What != "heard" {
				continue
			}
			e := emissions[key{h.From, h.N}]
			e.first = min(e.first, h.At)
			e.heard[number] = append(e.heard[number], h)
			e.offsets[h.Offset] = true
		}
	}
	for _, e := range emissions {
		e.unkept = len(e.offsets) > 1
		for offset := range e.offsets {
			if owner := owners[offset]; owner == nil || len(owner.offsets) > 1 || owner.first > e.first {
				owners[offset] = e
			}
		}
	}
	for _, e := range emissions {
		for offset := range e.offsets {
			e.unkept = e.unkept || owners[offset] != e || offset[len(offset)-2:] == "-0"
		}
	}
	return emissions
}

func hit(faults []fault, e event) *fault {
	for i, f := range faults {
		if (f.place < 0 || strconv.Itoa(f.place) == e.Node) && e.At >= f.from-margin && e.At <= f.to+margin {
			return &faults[i]
		}
	}
	return nil
}

// describe finds a client's sessions and memberships, and counts how it came back.
func describe(events []event, r *result) *client {
	c := &client{rooms: map[string][]point{}}
	var ended float64
	for _, e := range events {
		switch {
		case e.What == "end":
			ended = e.At
			last := &c.sessions[len(c.sessions)-1]
			last.stays[len(last.stays)-1].to = e.At
		case e.What == "begin" && e.Recovered:
			r.recovered++
			r.slowest = max(r.slowest, e.At-ended)
			last := &c.sessions[len(c.sessions)-1]
			last.gaps = append(last.gaps, gap{ended, e.At})
			last.stays = append(last.stays, stay{e.Node, e.At, math.Inf(1)})
		case e.What == "begin":
			if len(c.sessions) > 0 {
				r.refused++
				r.slowest = max(r.slowest, e.At-ended)
				c.sessions[len(c.sessions)-1].end = ended
			}
			c.sessions = append(c.sessions, session{begin: e.At, end: math.Inf(1), stays: []stay{{e.Node, e.At, math.Inf(1)}}})
		case e.What == "heard":
			r.heard++
		}
	}
	c.findMemberships(events)
	return c
}

// findMemberships notes when the client certainly was in a room, and when it certainly was not.
func (c *client) findMemberships(events []event) {
	type change struct {
		at      float64
		room    string // all, if it is ""
		pending int
		state   membership
	}
	var changes []change
	for _, e := range events {
		switch e.What {
		case "begin":
			if !e.Recovered {
				changes = append(changes, change{e.At, "", 0, out})
			}
		case "join", "leave":
			after := unsure
			if e.OK && e.What == "join" {
				after = in
			} else if e.OK {
				after = out
			}
			until := e.Until
			if until == 0 {
				until = math.Inf(1)
			}
			changes = append(changes, change{e.At, e.Room, 1, unsure}, change{until, e.Room, -1, after})
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for _, room := range rooms {
		pending, state := 0, out
		for _, ch := range changes {
			if ch.room != "" && ch.room != room {
				continue
			}
			if pending += ch.pending; ch.pending <= 0 {
				state = ch.state
			}
			shown := state
			if pending > 0 {
				shown = unsure
			}
			c.rooms[room] = append(c.rooms[room], point{ch.at, shown})
		}
	}
}

// member returns the membership in a room over a time.
func (c *client) member(room string, from, to float64) membership {
	state := out
	for _, p := range c.rooms[room] {
		switch {
		case p.at > to:
			return state
		case p.at <= from:
			state = p.state
		case p.state != state:
			return unsure
		}
	}
	return state
}

// meant returns whether an event is for the client: in for yes, out for no.
func (c *client) meant(e *emission, from, to float64) membership {
	switch e.Kind {
	case "room":
		return c.member(e.Room, from, to)
	case "but":
		return [...]membership{unsure: unsure, in: out, out: in}[c.member(e.Room, from, to)]
	}
	return in
}

// cutShort ends sessions, as far as they must hear events, when their node was cut off, if they never came back: they
// were told so.
func (c *client) cutShort(faults []fault) {
	for _, f := range faults {
		for i := range c.sessions {
			s := &c.sessions[i]
			last := s.stays[len(s.stays)-1]
			if f.apart && (f.place < 0 || last.place == strconv.Itoa(f.place)) && s.end > f.from && s.end < f.to+margin {
				s.end = max(last.from, f.from)
			}
		}
	}
}

// judgeOne judges what one client received of one event.
func (r *result) judgeOne(number int, c *client, e *emission) {
	heard := e.heard[number]
	for i, h := range heard {
		if c.meant(e, e.At, h.At) == out {
			r.blame(&r.wrong, "wrong receiver", "client %d heard event %d of client %d (%s %s)", number, e.N, e.From, e.Kind, e.Room)
		}
		if i > 0 && c.session(heard[i-1].At) == c.session(h.At) {
			r.blame(&r.twice, "twice", "client %d heard event %d of client %d (offsets %s, %s)", number, e.N, e.From, heard[i-1].Offset, h.Offset)
		}
	}
	if len(heard) > 0 || len(e.heard) == 0 {
		return
	}
	to := e.first + margin
	s := c.session(e.At)
	if s == nil || to > s.end || c.meant(e, e.At, to) != in {
		return
	}
	if f := e.fault; f != nil && (e.unkept || f.forgot) && s.mayMiss(e, to) {
		r.apart++
		return
	}
	r.blame(&r.missing, "missing", "client %d did not hear event %d of client %d (%s %s, on node %s, unkept: %v, emitted %.0f, first heard after %.0f ms, connections %s)",
		number, e.N, e.From, e.Kind, e.Room, e.Node, e.unkept, e.At, e.first-e.At, s.near(e.At))
}

// mayMiss reports whether an event that the journal did not have, or forgot, need not have reached a session: delivery
// at most once was promised to those that were connected, to other nodes if the journal did not have it, or that came
// back to one before the event's node could tell.
func (s *session) mayMiss(e *emission, to float64) bool {
	for _, g := range s.gaps {
		if g.from-margin < to && e.At < g.to+margin {
			return e.unkept && e.fault.apart && g.to < e.fault.to+margin
		}
	}
	if !e.unkept || !e.fault.apart {
		return !e.unkept
	}
	for _, stay := range s.stays {
		if stay.place == e.Node && stay.from <= e.At && to <= stay.to {
			return false
		}
	}
	return true
}

// near describes the session's connections around a time.
func (s *session) near(at float64) (text string) {
	for _, stay := range s.stays {
		text += fmt.Sprintf("[node %s %+.0f %+.0f]", stay.place, stay.from-at, stay.to-at)
	}
	return text
}

// session returns the session at a time, or nil.
func (c *client) session(at float64) *session {
	var last *session
	for i := range c.sessions {
		if c.sessions[i].begin <= at {
			last = &c.sessions[i]
		}
	}
	return last
}

// judgeOrder checks that each node's events from one emitter come in order.
func (r *result) judgeOrder(number int, events []event) {
	last := map[string]int{}
	for _, e := range events {
		switch {
		case e.What == "begin" && !e.Recovered:
			clear(last)
		case e.What == "heard":
			from := fmt.Sprint(e.Node, e.From)
			if e.N < last[from] {
				r.blame(&r.order, "out of order", "client %d heard event %d of client %d after %d (offset %s)", number, e.N, e.From, last[from], e.Offset)
			}
			last[from] = max(last[from], e.N)
		}
	}
}
