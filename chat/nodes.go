package chat

import (
	"encoding/json"
	"slices"
	"strings"

	"echows/broker"
)

// The subjects of the bus to which nodes publish. A dot and a node's id follow the last three.
const (
	newsSubject   = "news"   // to all: rooms that have changed
	wholeSubject  = "whole"  // to one node: all rooms, in parts
	askSubject    = "ask"    // to one node: send me all rooms
	typingSubject = "typing" // to a node with members in the room
)

const (
	partRooms = 200      // rooms in one message, at most
	partBytes = 32 << 10 // about as many bytes
)

// report is a message that says who is where.
type report struct {
	Number uint64            `json:"number"`         // of this news; of the last news, if this is a part of all rooms
	Part   int               `json:"part,omitempty"` // of all rooms, from 1
	Last   bool              `json:"last,omitempty"` // part
	Rooms  []json.RawMessage `json:"rooms"`          // each a told
}

// listen begins listening to other nodes, before the bus is served.
func (p *presence) listen() error {
	id := p.bus.Node()
	for _, subject := range []string{newsSubject, wholeSubject + "." + id, askSubject + "." + id, typingSubject + "." + id} {
		if err := p.bus.Listen(subject); err != nil {
			return err
		}
	}
	return nil
}

// tellNodes sends the news to all nodes, and all rooms to those that need them.
func (p *presence) tellNodes() {
	if p.bus == nil {
		return
	}
	p.mu.Lock()
	news := make([]told, 0, len(p.news))
	for room := range p.news {
		news = append(news, p.tellLocked(room))
	}
	var whole []told
	if len(p.wanted) > 0 {
		for _, room := range p.namesLocked() {
			whole = append(whole, p.tellLocked(room))
		}
	}
	wanted, asks := p.wanted, p.asks
	p.news, p.wanted, p.asks = map[string]bool{}, map[string]bool{}, map[string]bool{}
	p.mu.Unlock()

	if len(news) > 0 {
		for _, rooms := range inParts(news) {
			p.number++
			p.publish(newsSubject, report{Number: p.number, Rooms: rooms})
		}
		p.bus.SetNumber(p.number)
	}
	for node := range wanted {
		parts := inParts(whole)
		for i, rooms := range parts {
			p.publish(wholeSubject+"."+node, report{Number: p.number, Part: i + 1, Last: i+1 == len(parts), Rooms: rooms})
		}
	}
	for node := range asks {
		p.publish(askSubject+"."+node, report{})
	}
}

// publish sends a message. Nodes that miss one notice, and ask.
func (p *presence) publish(subject string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = p.bus.Publish(subject, data)
	}
	if err != nil {
		if leftOut, ok := p.untold.OK(); ok {
			p.log.Warn("cannot tell other nodes who is here", append([]any{"error", err}, leftOut...)...)
		}
	}
}

// inParts encodes rooms as the parts of one or more messages. There is always one part.
func inParts(rooms []told) [][]json.RawMessage {
	parts := [][]json.RawMessage{{}}
	size := 0
	for _, t := range rooms {
		data, err := json.Marshal(t)
		if err != nil {
			continue // cannot happen: strings and numbers can always be encoded
		}
		last := len(parts) - 1
		if len(parts[last]) == partRooms || len(parts[last]) > 0 && size+len(data) > partBytes {
			parts, size = append(parts, nil), 0
			last++
		}
		parts[last] = append(parts[last], data)
		size += len(data)
	}
	return parts
}

// heard handles a message from another node.
func (p *presence) heard(from, subject string, data []byte) {
	kind, _, _ := strings.Cut(subject, ".")
	if kind == typingSubject {
		p.heardTyping(data)
		return
	}
	var r report
	rooms := map[string]told{}
	err := json.Unmarshal(data, &r)
	for _, one := range r.Rooms {
		var t told
		if err = json.Unmarshal(one, &t); err != nil || !t.valid() {
			break
		}
		rooms[t.Room] = t
	}
	if err != nil || len(rooms) != len(r.Rooms) {
		p.log.Warn("another node sent an invalid message", "node", from, "subject", subject, "error", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[from]
	if n == nil {
		return // it has just ended
	}
	switch kind {
	case newsSubject:
		p.heardNewsLocked(n, from, r.Number, rooms)
	case wholeSubject:
		p.heardPartLocked(n, r, rooms)
	case askSubject:
		p.wanted[from] = true
		p.stir()
	}
}

// valid reports whether a node may send this.
func (t told) valid() bool {
	return broker.ValidTopic(t.Room) && t.Count >= 0 && len(t.People) <= mostPeople && slices.IsSortedFunc(t.People, comparePeople)
}

// heardNewsLocked accepts the next news. Until all rooms are known it drops news, since all rooms will include it; if some
// news is missing, it asks the node for all rooms.
func (p *presence) heardNewsLocked(n *node, from string, number uint64, rooms map[string]told) {
	switch {
	case n.next == 0 || number < n.next:
		return
	case number > n.next:
		n.next = 0
		p.asks[from] = true
		p.stir()
		return
	}
	n.next++
	for name, t := range rooms {
		if t.Count == 0 {
			delete(n.rooms, name)
		} else {
			n.rooms[name] = t
		}
	}
	p.touchLocked(rooms)
}

// heardPartLocked accepts a part of all rooms; they take effect when the last part has come.
func (p *presence) heardPartLocked(n *node, r report, rooms map[string]told) {
	if r.Part == 1 {
		n.parts, n.part = map[string]told{}, 0
	}
	if n.parts == nil || r.Part != n.part+1 { // a part is missing; look will ask for all rooms again
		n.parts = nil
		return
	}
	n.part = r.Part
	for name, t := range rooms {
		n.parts[name] = t
	}
	if r.Last {
		p.touchLocked(n.rooms)
		p.touchLocked(n.parts)
		n.rooms, n.parts, n.next, n.behind = n.parts, nil, r.Number+1, 0
	}
}

// nodesChanged is called when other nodes have come or gone. A new node is sent all rooms; the people of a node that is
// gone are gone, too.
func (p *presence) nodesChanged() {
	alive := p.bus.Nodes()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.nodes {
		if !slices.Contains(alive, id) {
			delete(p.nodes, id)
			p.touchLocked(n.rooms)
		}
	}
	for _, id := range alive {
		if p.nodes[id] == nil {
			p.nodes[id] = &node{}
			p.wanted[id] = true
		}
	}
	p.stir()
}

// look asks a node for all rooms if some of its news is missing, and was missing at the last look, too. A node's
// heartbeats carry the number of its last news. It is called once a second.
func (p *presence) look() {
	if p.bus == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.nodes {
		number, ok := p.bus.Number(id)
		if n.next > 0 && (!ok || number < n.next) {
			n.behind = 0
			continue
		}
		if n.behind++; n.behind == 2 || n.behind%8 == 0 { // less often if it does not help
			n.next = 0
			p.asks[id] = true
			p.stir()
		}
	}
}
