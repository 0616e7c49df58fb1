package chat

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"echows/ws"
)

const (
	presencePause = 50 * time.Millisecond // between two counts that a room is told
	sayInterval   = 4 * time.Second       // between two that the other nodes are
	countTime     = 3 * sayInterval       // for so long the count of a node that is silent is believed
	quietTime     = 10 * time.Second      // a room without members is kept open for so long
)

// count is how many connections a room has on another node. Nodes tell each other how many they have,
// never how many came or went, so that nothing adds up wrongly.
type count struct {
	n     int
	heard time.Time
}

// saying is what nodes tell each other of a room.
type saying struct {
	Node  string `json:"node"`
	Count int    `json:"count"`
	Ask   bool   `json:"ask,omitempty"` // and want to be told
}

const presencePrefix = "presence.chat."

func presenceSubject(room string) string { return presencePrefix + room }

// say tells the other nodes this one's count.
func (c *Chat) say(r *room, ask bool) { c.sayCount(r, c.hub.Len(r.topic()), ask) }

func (c *Chat) sayCount(r *room, n int, ask bool) {
	data, err := json.Marshal(saying{c.node, n, ask})
	if err == nil {
		err = c.broker.Publish(presenceSubject(r.name), data)
	}
	if err != nil {
		c.log.Warn("other nodes are not told who is here", "room", r.name, "error", err)
	}
}

// heard is called with what another node says.
func (c *Chat) heard(subject string, data []byte) {
	var s saying
	if err := json.Unmarshal(data, &s); err != nil || s.Count < 0 || s.Node == "" {
		c.log.Warn("a node says what makes no sense", "subject", subject)
		return
	}
	c.mu.Lock()
	r := c.rooms[strings.TrimPrefix(subject, presencePrefix)]
	c.mu.Unlock()
	if s.Node == c.node || r == nil {
		return
	}
	r.mu.Lock()
	before := r.others[s.Node].n
	if s.Count == 0 {
		delete(r.others, s.Node)
	} else {
		r.others[s.Node] = count{s.Count, time.Now()}
	}
	r.mu.Unlock()
	if s.Count != before {
		c.touch(r)
	}
	if s.Ask {
		c.say(r, false)
	}
}

// touch has the room told its count soon.
func (c *Chat) touch(r *room) {
	c.mu.Lock()
	c.dirty[r] = true
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// keepPresence tells rooms their counts, and nodes ours, and closes rooms that nobody uses. When a
// thousand come at once, that is a few counts and not a thousand.
func (c *Chat) keepPresence() {
	tick := time.NewTicker(sayInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.changed:
			c.mu.Lock()
			rooms := c.dirty
			c.dirty = map[*room]bool{}
			c.mu.Unlock()
			for r := range rooms {
				r.show()
				c.say(r, false)
			}
			select {
			case <-time.After(presencePause):
			case <-c.ctx.Done():
			}
		case <-tick.C:
			c.closeQuiet()
			c.mu.Lock()
			rooms := slices.Collect(maps.Values(c.rooms))
			c.mu.Unlock()
			for _, r := range rooms {
				if r.opened() {
					c.say(r, false)
					r.forgetSilent()
				}
			}
		case <-c.ctx.Done():
			return
		}
	}
}

// show tells the members how many there are.
func (r *room) show() {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.chat.hub.Len(r.topic())
	for _, other := range r.others {
		n += other.n
	}
	data, err := json.Marshal(presence{"presence", n})
	if err == nil {
		err = r.chat.hub.Broadcast(r.topic(), ws.Message{Opcode: ws.Text, Data: data})
	}
	if err != nil {
		r.chat.log.Error("presence", "room", r.name, "error", err)
	}
}

// presence is what members are told.
type presence struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// forgetSilent drops the counts of nodes that are silent.
func (r *room) forgetSilent() {
	r.mu.Lock()
	n := len(r.others)
	maps.DeleteFunc(r.others, func(_ string, c count) bool { return time.Since(c.heard) > countTime })
	changed := len(r.others) != n
	r.mu.Unlock()
	if changed {
		r.chat.touch(r)
	}
}

// closeQuiet closes the rooms that nobody has used for a while.
func (c *Chat) closeQuiet() {
	c.mu.Lock()
	var quiet []*room
	for _, r := range c.rooms {
		if r.users == 0 && time.Since(r.quiet) > quietTime && r.opened() {
			r.ending = true
			quiet = append(quiet, r)
		}
	}
	c.mu.Unlock()
	for _, r := range quiet {
		c.presence.Remove(presenceSubject(r.name))
		r.follower.Stop()
		r.forget()
		c.mu.Lock()
		delete(c.rooms, r.name)
		c.mu.Unlock()
		close(r.gone)
	}
}
