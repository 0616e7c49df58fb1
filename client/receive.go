package client

import (
	"encoding/json"

	"echows/ws"
)

// frame is any message of the server.
type frame struct {
	Type string `json:"type"`
	Message
	Messages []Message `json:"messages"`
	Complete bool      `json:"complete"`
	More     bool      `json:"more"`
	Count    int       `json:"count"`
	People   []Person  `json:"people"`
	Code     string    `json:"code"`
	Reason   string    `json:"message"`
}

// receive takes one message of the server. Messages that it does not know come from a newer server, and are ignored.
func (c *Chat) receive(m ws.Message) error {
	var f frame
	if !m.IsText() || json.Unmarshal(m.Data, &f) != nil {
		return nil
	}
	switch f.Type {
	case "history":
		c.history(f)
	case "message":
		c.show(c.fresh([]Message{f.Message}))
	case "ack":
		c.acknowledged(f.ID, f.Seq)
	case "presence":
		c.config.OnPresence(f.Count)
		if f.People != nil {
			c.config.OnPeople(f.People)
		}
	case "error":
		c.refusedPost(f.ID, &Refused{Code: f.Code, Message: f.Reason})
	}
	return nil
}

// history takes one page of missed messages. After the last page, posts that were not acknowledged are sent again.
func (c *Chat) history(f frame) {
	c.mu.Lock()
	if c.first && !f.Complete && c.startsAnew(f.Messages) {
		c.seen = nil
	}
	c.first = false
	c.mu.Unlock()
	h := History{c.fresh(f.Messages), f.Complete, f.More}
	c.config.OnHistory(h)
	c.show(h.Messages)
	if !f.More {
		c.joined(c.socket.TrySend)
	}
}

// startsAnew reports whether the server has lost its messages and counts from the beginning. It then sends its newest
// messages, whose sequences are before that of the last message seen.
func (c *Chat) startsAnew(messages []Message) bool {
	return len(messages) == 0 || c.seen != nil && messages[0].Seq <= *c.seen
}

// fresh returns the messages that were not seen before, and settles the posts among them as stored.
func (c *Chat) fresh(messages []Message) []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = new(uint64)
	}
	var fresh []Message
	for _, m := range messages {
		if m.Seq <= *c.seen {
			continue
		}
		*c.seen = m.Seq
		fresh = append(fresh, m)
		if p := c.own(m); p != nil {
			c.settle(p, m.Seq, nil)
		}
	}
	return fresh
}

// own returns the waiting post that m is, or nil. The id alone does not tell: another sender may have chosen the same.
func (c *Chat) own(m Message) *post {
	for _, p := range c.queue {
		if p.id == m.ID && p.text == m.Text && (c.name == "" || c.name == m.From) {
			return p
		}
	}
	return nil
}

func (c *Chat) show(messages []Message) {
	for _, m := range messages {
		c.config.OnMessage(m)
	}
}
