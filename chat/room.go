package chat

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"echows/broker"
	"echows/ws"
)

// room is one room on this node, from its first member until some seconds after its last one has left.
type room struct {
	chat *Chat
	name string

	ready chan struct{} // closed when the room is open, or err is set
	gone  chan struct{} // closed when it is closed
	err   error         // why it could not be opened

	follower *broker.Follower

	// Guarded by the Chat.
	users  int           // members, and those about to join
	quiet  time.Time     // since when there are none
	place  *list.Element // in Chat.quiet, while there are none
	ending bool          // it is being closed; then another may be opened

	loading chan struct{} // holds one while a goroutine reads the stream for all that wait

	mu     sync.Mutex // held while a message is queued for all members, so that they all see one order
	tail   block      // the newest messages
	last   uint64     // the last sequence of the room up to where tail ends, or 0
	blocks []*block   // of older messages, in order
	newest beginning  // of the newest messages when they were not in tail
	closed bool       // nothing is kept any more
	stored uint64     // the last sequence that was acknowledged on this node
}

// topic returns the room's topic in the hub, which others use, too.
func (r *room) topic() string { return topicOf(r.name) }

func topicOf(room string) string { return "chat/" + room }

// opened reports whether the room is open. It does not wait.
func (r *room) opened() bool {
	select {
	case <-r.ready:
		return r.err == nil
	default:
		return false
	}
}

// enter returns a room for one more user, and opens it if it is not open. leave ends the use.
func (c *Chat) enter(ctx context.Context, name string) (*room, error) {
	r, wait := c.use(name)
	for wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		r, wait = c.use(name)
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		c.leave(r)
		return nil, ctx.Err()
	}
	if r.err != nil {
		c.leave(r)
		return nil, r.err
	}
	return r, nil
}

// use counts one more user of a room, or returns what to wait for before trying again.
func (c *Chat) use(name string) (r *room, wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.rooms[name]
	if r != nil && r.ending {
		return nil, r.gone
	}
	if r == nil {
		r = &room{chat: c, name: name, ready: make(chan struct{}), gone: make(chan struct{}), loading: make(chan struct{}, 1)}
		c.rooms[name] = r
		c.running.Go(r.open)
	}
	r.users++
	if r.place != nil {
		c.quiet.Remove(r.place)
		r.place = nil
	}
	return r, nil
}

func (c *Chat) leave(r *room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.users--; r.users == 0 {
		r.quiet = time.Now()
		r.place = c.quiet.PushBack(r)
	}
}

// closeQuiet closes the rooms that nobody has used for a while. It does not look at the others.
func (c *Chat) closeQuiet(now time.Time) {
	for _, r := range c.takeQuiet(now) {
		r.follower.Stop()
		r.forget()
		c.mu.Lock()
		delete(c.rooms, r.name)
		c.mu.Unlock()
		close(r.gone)
	}
}

// takeQuiet returns the open rooms to be closed now.
func (c *Chat) takeQuiet(now time.Time) []*room {
	c.mu.Lock()
	defer c.mu.Unlock()
	var end []*room
	for e := c.quiet.Front(); e != nil; e = c.quiet.Front() {
		r := e.Value.(*room)
		if now.Sub(r.quiet) < quietTime {
			break
		}
		c.quiet.Remove(e)
		r.place = nil
		select {
		case <-r.ready:
			if r.err == nil { // a room that could not be opened is already removed
				r.ending = true
				end = append(end, r)
			}
		default: // it is still being opened
			r.quiet, r.place = now, c.quiet.PushBack(r)
		}
	}
	return end
}

// open follows the room's topic and reads its newest messages. After a failure, the next user tries again.
func (r *room) open() {
	ctx, cancel := context.WithTimeout(r.chat.ctx, openTime)
	defer cancel()
	if r.err = r.follow(ctx); r.err != nil {
		r.chat.mu.Lock()
		delete(r.chat.rooms, r.name)
		r.chat.mu.Unlock()
	}
	close(r.ready)
}

func (r *room) follow(ctx context.Context) error {
	_, end, err := r.chat.entries.State(ctx) // first: messages up to here that the stream no longer holds are not delivered
	if err != nil {
		return err
	}
	follower, tail, err := r.chat.entries.Follow(ctx, r.name, r.deliver)
	if err != nil {
		return err
	}
	newest, err := r.readNewest(ctx, max(tail, end), tail)
	if err != nil {
		follower.Stop()
		return fmt.Errorf("open room %s: %w", r.name, err)
	}
	r.remember(newest, tail)
	r.follower = follower
	follower.Start()
	return nil
}

// remember sets the newest messages and the sequence of the last one, before any is delivered.
func (r *room) remember(newest *block, last uint64) {
	r.mu.Lock()
	r.tail, r.last = *newest, last
	r.mu.Unlock()
	r.chat.shelf.put(&r.tail)
}

// deliver remembers each of the room's messages, which come in order, and sends it to all members.
func (r *room) deliver(e broker.Entry) {
	m, err := r.chat.decode(e)
	r.mu.Lock()
	r.tail.upTo, r.last = e.Seq, e.Seq
	if e.Skipped {
		r.skipLocked(e.Seq)
	}
	if err == nil && !r.closed {
		r.tail.messages = append(r.tail.messages, m)
		r.tail.bytes += len(m.json)
		r.trimLocked()
		if err := r.chat.hub.Broadcast(r.topic(), m.frame()); err != nil {
			r.chat.log.Error("broadcast", "room", r.name, "seq", e.Seq, "error", err)
		}
	}
	r.mu.Unlock()
	r.chat.shelf.put(&r.tail)
	r.forgetIfClosed()
}

// skipLocked handles messages that the stream discarded before this node could read them. It closes the members'
// connections before they see later messages; when they come back they are told that messages are missing.
func (r *room) skipLocked(next uint64) {
	r.tail.dropOldest(len(r.tail.messages))
	r.tail.after, r.tail.whole = next-1, false
	r.chat.log.Warn("messages were discarded before this node could read them; members are disconnected, and will reconnect", "room", r.name, "before", next)
	for m := range r.chat.hub.Members(r.topic()) {
		if s, ok := m.(*ws.Socket); ok {
			s.Close(errOvertaken.Code, errOvertaken.Reason)
		}
	}
}

// forget drops what is remembered. A delivery may still be in progress.
func (r *room) forget() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.forgetIfClosed()
}

func (r *room) forgetIfClosed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		return
	}
	r.chat.shelf.remove(&r.tail)
	for _, b := range r.blocks {
		r.chat.shelf.remove(b)
	}
	r.tail.messages, r.tail.bytes, r.blocks = nil, 0, nil
}

// decode reads a stored message. An entry that is not a message, which only another program can have stored, is
// logged and skipped.
func (c *Chat) decode(e broker.Entry) (remembered, error) {
	m, err := decodeStored(e)
	if err != nil {
		c.log.Warn("a stored entry is not a chat message", "room", e.Topic, "seq", e.Seq, "error", err)
		return remembered{}, err
	}
	return toRemember(m)
}

func toRemember(m Message) (remembered, error) {
	data, err := json.Marshal(m)
	return remembered{m.Seq, m.At, data}, err
}

func rememberAll(messages []Message) []remembered {
	all := make([]remembered, 0, len(messages))
	for _, m := range messages {
		if one, err := toRemember(m); err == nil {
			all = append(all, one)
		}
	}
	return all
}

func (r *room) decodeAll(entries []broker.Entry) []remembered {
	all := make([]remembered, 0, len(entries))
	for _, e := range entries {
		if m, err := r.chat.decode(e); err == nil {
			all = append(all, m)
		}
	}
	return all
}

func decodeStored(e broker.Entry) (Message, error) {
	var m Message
	if err := json.Unmarshal(e.Data, &m); err != nil {
		return m, err
	}
	if !validID(m.ID) || !validText(m.Text) || m.From == "" || m.At.IsZero() {
		return m, fmt.Errorf("a field is missing or invalid")
	}
	m.Seq = e.Seq
	return m, nil
}

// frame returns the message as all members receive it.
func (m remembered) frame() ws.Message {
	return ws.Message{Opcode: ws.Text, Data: append([]byte(`{"type":"message",`), m.json[1:]...)}
}
