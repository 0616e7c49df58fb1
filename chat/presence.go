package chat

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"echows/broker"
	"echows/hub"
	"echows/ws"
)

const (
	presencePause   = 250 * time.Millisecond  // at least, between two presences of a room
	presenceLongest = 1500 * time.Millisecond // at most
	presenceRate    = 4000                    // presences a second that the members of one room are sent here, about
	newsPause       = 100 * time.Millisecond  // between two messages to the other nodes
)

// presence is who is in which room: here, and on the other nodes. Its methods may be called from any goroutine.
//
// Nodes tell each other how many they have and who, never who came or went, so that nothing adds up wrongly:
// news of the rooms that changed, numbered, to all; and everything, in parts, to a node that is new or has
// missed some news. The number of the last goes with each sign of life (see broker.Bus), so that its loss is
// seen too. While nothing changes, nothing is sent and nothing computed.
type presence struct {
	hub  *hub.Hub
	log  *slog.Logger
	bus  *broker.Bus   // nil on one node
	wake chan struct{} // holds one when there is something to tell

	untold rate.Sometimes // log lines

	number uint64 // of the last news; run's

	mu     sync.Mutex
	size   int               // connections here
	rooms  map[string]*crowd // with connections here
	nodes  map[string]*node  // the others
	shows  map[string]bool   // rooms whose members here are to be told
	news   map[string]bool   // rooms that the other nodes are to be told of
	wanted map[string]bool   // nodes that are to be told everything
	asks   map[string]bool   // nodes that are to be asked for everything
}

// crowd is who is in a room here.
type crowd struct {
	people  people
	members map[*member]struct{}
	shown   time.Time
	typings [typingMost]time.Time // when somebody typed: a ring
	oldest  int                   // place in it
}

// node is another node, as far as it has told.
type node struct {
	rooms  map[string]told
	next   uint64          // number of the news that comes next; 0 before everything is known
	parts  map[string]told // of everything, as they come
	part   int             // the last of them
	behind int             // looks in a row that found something missing
}

// told is what a node says of one of its rooms. 0 connections are none at all.
type told struct {
	Room   string   `json:"room"`
	Count  int      `json:"count"`
	People []Person `json:"people"`
}

func newPresence(h *hub.Hub, log *slog.Logger, bus *broker.Bus) *presence {
	return &presence{
		hub: h, log: log, bus: bus,
		wake:   make(chan struct{}, 1),
		untold: rate.Sometimes{First: 3, Interval: 10 * time.Second},
		rooms:  map[string]*crowd{},
		nodes:  map[string]*node{},
		shows:  map[string]bool{},
		news:   map[string]bool{},
		wanted: map[string]bool{},
		asks:   map[string]bool{},
	}
}

// enter counts a member of a room, which is told soon, as it itself is.
func (p *presence) enter(room string, m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.rooms[room]
	if c == nil {
		c = &crowd{members: map[*member]struct{}{}}
		p.rooms[room] = c
	}
	c.members[m] = struct{}{}
	c.people.come(m.user.person())
	p.size++
	p.changedLocked(room)
}

// leave counts one less.
func (p *presence) leave(room string, m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.rooms[room]
	if c == nil {
		return
	}
	delete(c.members, m)
	p.size--
	if c.people.leave(m.user.person()); c.people.count == 0 {
		delete(p.rooms, room)
	}
	p.changedLocked(room)
}

// members is how many connections are in rooms here.
func (p *presence) members() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

func (p *presence) changedLocked(room string) {
	p.shows[room] = true
	if p.bus != nil {
		p.news[room] = true
	}
	p.stir()
}

// stir wakes run.
func (p *presence) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run tells nodes and members what has changed, until ctx ends. When a thousand come at once, that is a few
// messages and not a thousand.
func (p *presence) run(ctx context.Context) {
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
		p.tellNodes()
		if !p.tellMembers(time.Now()) {
			p.stir() // after the pause some are due
		}
		select {
		case <-time.After(newsPause):
		case <-ctx.Done():
			return
		}
	}
}

// shown is what members are told.
type shown struct {
	Type   string   `json:"type"` // presence
	Count  int      `json:"count"`
	People []Person `json:"people"`

	room string
}

// tellMembers tells the rooms that are due, and reports whether these were all that changed.
func (p *presence) tellMembers(now time.Time) (all bool) {
	for _, s := range p.due(now) {
		data, err := json.Marshal(s)
		if err == nil {
			err = p.hub.Broadcast(topicOf(s.room), ws.Message{Opcode: ws.Text, Data: data})
		}
		if err != nil {
			p.log.Error("presence", "room", s.room, "error", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.shows) == 0
}

// due takes out the rooms whose members have not been told for a while.
func (p *presence) due(now time.Time) []shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []shown
	for room := range p.shows {
		c := p.rooms[room]
		if c != nil && now.Sub(c.shown) < c.pause() {
			continue
		}
		delete(p.shows, room)
		if c == nil { // nobody here
			continue
		}
		c.shown = now
		s := shown{Type: "presence", Count: c.people.count, People: c.people.first(), room: room}
		for _, n := range p.nodes {
			if there, ok := n.rooms[room]; ok {
				s.Count += there.Count
				s.People = together(s.People, there.People)
			}
		}
		due = append(due, s)
	}
	return due
}

// pause is how long a room's members are not told again: the more they are, the longer, so that a large room
// costs no more bytes a second than one of a thousand.
func (c *crowd) pause() time.Duration {
	return min(max(presencePause, time.Duration(c.people.count)*time.Second/presenceRate), presenceLongest)
}

// tellLocked is what other nodes are told of a room.
func (p *presence) tellLocked(room string) told {
	t := told{Room: room, People: []Person{}}
	if c := p.rooms[room]; c != nil {
		t.Count, t.People = c.people.count, c.people.first()
	}
	return t
}

// touchLocked has the members of rooms told, where there are any here.
func (p *presence) touchLocked(rooms map[string]told) {
	for room := range rooms {
		if p.rooms[room] != nil {
			p.shows[room] = true
		}
	}
	p.stir()
}

// namesLocked are of the rooms with connections here, sorted.
func (p *presence) namesLocked() []string {
	names := make([]string, 0, len(p.rooms))
	for name := range p.rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
