package chat

import (
	"encoding/json"
	"time"

	"echows/ws"
)

const (
	typingPause = 2 * time.Second // between two from one connection
	typingMost  = 5               // in a room in any second
)

// typing tells members that another person is typing. It is not repeated if it is lost: another one follows soon.
type typing struct {
	Type string `json:"type"` // typing
	From string `json:"from"`
	Mark string `json:"mark"`
}

// typed is what nodes tell each other about it.
type typed struct {
	Room string `json:"room"`
	User User   `json:"user"`
}

// isTyping reports whether a client's message is {"type":"typing"}, and nothing else.
func isTyping(data []byte) bool {
	if len(data) > 64 {
		return false
	}
	fields, err := decodeFields(data)
	return err == nil && len(fields) == 1 && fields["type"] == "typing"
}

// typing tells the room that the member is typing, unless it did so a moment ago. There is no answer.
func (m *member) typing() {
	now := time.Now()
	if now.Sub(m.typed) < typingPause {
		return
	}
	m.typed = now
	m.chat.presence.typing(m.room.name, m.user, now)
}

// typing tells the members on this node, and the nodes that have other members of the room.
func (p *presence) typing(room string, user User, now time.Time) {
	if !p.showTyping(room, user, now) || p.bus == nil {
		return
	}
	for _, node := range p.nodesWith(room) {
		data, err := json.Marshal(typed{room, user})
		if err == nil {
			err = p.bus.Publish(typingSubject+"."+node, data)
		}
		if err != nil {
			p.log.Debug("cannot tell another node who is typing", "node", node, "error", err)
		}
	}
}

// nodesWith returns the other nodes that have members in the room.
func (p *presence) nodesWith(room string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var nodes []string
	for id, n := range p.nodes {
		if n.rooms[room].Count > 0 {
			nodes = append(nodes, id)
		}
	}
	return nodes
}

// heardTyping handles another node's message.
func (p *presence) heardTyping(data []byte) {
	var t typed
	if err := json.Unmarshal(data, &t); err != nil || t.User.ID == "" || t.User.Name == "" {
		p.log.Warn("another node sent an invalid message", "subject", typingSubject, "error", err)
		return
	}
	p.showTyping(t.Room, t.User, time.Now())
}

// showTyping tells the members on this node, except those of the same session, unless typingMost people were shown in
// the last second. It reports whether it told them.
func (p *presence) showTyping(room string, user User, now time.Time) bool {
	p.mu.Lock()
	c := p.rooms[room]
	if c == nil || now.Sub(c.typings[c.oldest]) < time.Second {
		p.mu.Unlock()
		return false
	}
	c.typings[c.oldest] = now
	c.oldest = (c.oldest + 1) % typingMost
	others := make([]*ws.Socket, 0, len(c.members))
	for m := range c.members {
		if m.user.ID != user.ID {
			others = append(others, m.socket)
		}
	}
	p.mu.Unlock()
	data, err := json.Marshal(typing{"typing", user.Name, user.Mark()})
	if err != nil {
		p.log.Error("typing", "room", room, "error", err)
		return false
	}
	frame, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: data})
	if err != nil {
		p.log.Error("typing", "room", room, "error", err)
		return false
	}
	for _, s := range others {
		s.Offer(frame)
	}
	return true
}
