package chat

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"echows/broker"
	"echows/hub"
	"echows/internal/seldom"
	"echows/ws"
)

const (
	presencePause   = 250 * time.Millisecond  // between two presences of a room, at least
	presenceLongest = 1500 * time.Millisecond // and at most, while it changes
	presenceRate    = 4000                    // presences a second, about, sent to the members of one room here
	newsPause       = 100 * time.Millisecond  // between two messages to the other nodes
)

// presence knows who is in which room, on this node and on the others. Its methods may be called from any goroutine.
//
// Nodes tell each other how many people they have, and whom, never who came or went, so that errors do not add up.
// They send all nodes numbered news of the rooms that changed, and all rooms, in parts, to a node that is new or has
// missed news. Each heartbeat carries the number of the last news (see broker.Bus), so that its loss is noticed, too.
// While nothing changes, nothing is sent and nothing is computed.
type presence struct {
	hub  *hub.Hub
	log  *slog.Logger
	bus  *broker.Bus   // nil on one node
	wake chan struct{} // holds one when there is something to tell

	untold seldom.Lines // of the log: without NATS there is something to tell ten times a second

	number uint64 // of the last news; run's

	mu     sync.Mutex
	size   int               // connections here
	rooms  map[string]*crowd // with connections here
	nodes  map[string]*node  // the others
	shows  map[string]bool   // rooms whose members here must be told
	news   map[string]bool   // rooms that the other nodes must be told about
	wanted map[string]bool   // nodes to send all rooms to
	asks   map[string]bool   // nodes to ask for all rooms
}

// crowd is the people in a room on this node.
type crowd struct {
	people  people
	members map[*member]struct{}
	shown   time.Time
	typings [typingMost]time.Time // when people typed last: a ring
	oldest  int                   // index of the oldest of them
}

// node is what another node has sent.
type node struct {
	rooms  map[string]told
	next   uint64          // number of the next news; 0 before all rooms are known
	parts  map[string]told // the parts of all rooms that have come
	part   int             // the last of them
	behind int             // how often in a row look found news missing
}

// told is what a node sends about one of its rooms. A count of 0 means that it no longer has connections there.
type told struct {
	Room   string   `json:"room"`
	Count  int      `json:"count"`
	People []Person `json:"people"`
}

func newPresence(h *hub.Hub, log *slog.Logger, bus *broker.Bus) *presence {
	return &presence{
		hub: h, log: log, bus: bus,
		wake:   make(chan struct{}, 1),
		untold: seldom.Lines{First: 3, Interval: 10 * time.Second},
		rooms:  map[string]*crowd{},
		nodes:  map[string]*node{},
		shows:  map[string]bool{},
		news:   map[string]bool{},
		wanted: map[string]bool{},
		asks:   map[string]bool{},
	}
}

// enter adds a member to a room. The room's members are told soon, including the new one.
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

// leave removes a member from a room.
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

// members returns how many connections are in rooms on this node.
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

// run tells nodes and members what has changed, until ctx ends. If a thousand people come at once, that takes a few
// messages, not a thousand.
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

// shown is the message to a room's members.
type shown struct {
	Type   string   `json:"type"` // presence
	Count  int      `json:"count"`
	People []Person `json:"people"`

	room string
}

// tellMembers tells the members of the rooms that are due, and reports whether no other rooms have changed.
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

// due removes from shows, and returns, the rooms whose members were not told a moment ago.
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

// pause is the time between two presences of a room. It grows with the room, so that a large one costs no more bytes
// a second than a room of a thousand.
func (c *crowd) pause() time.Duration {
	return min(max(presencePause, time.Duration(c.people.count)*time.Second/presenceRate), presenceLongest)
}

// tellLocked returns what other nodes are told about a room.
func (p *presence) tellLocked(room string) told {
	t := told{Room: room, People: []Person{}}
	if c := p.rooms[room]; c != nil {
		t.Count, t.People = c.people.count, c.people.first()
	}
	return t
}

// touchLocked makes run tell the members of rooms that this node has.
func (p *presence) touchLocked(rooms map[string]told) {
	for room := range rooms {
		if p.rooms[room] != nil {
			p.shows[room] = true
		}
	}
	p.stir()
}

// namesLocked returns the names of the rooms with connections here, sorted.
func (p *presence) namesLocked() []string {
	names := make([]string, 0, len(p.rooms))
	for name := range p.rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
