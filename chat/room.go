package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"echows/broker"
	"echows/ws"
)

// room is one room on this node, from its first member until some seconds after its last.
type room struct {
	chat *Chat
	name string

	ready chan struct{} // closed when the room is open, or err is set
	gone  chan struct{} // closed when it is closed
	err   error         // why it could not be opened

	follower *broker.Follower

	// Guarded by the Chat.
	users  int       // members and those about to be
	quiet  time.Time // since when there are none
	ending bool      // and soon gone, and then another may be opened

	loading sync.Mutex // held by who reads the stream for all; taken before mu

	mu     sync.Mutex // held while a message is queued for all members, so that they see one order
	held   window
	stored uint64           // the last sequence that a member here was told is stored
	others map[string]count // other nodes' connections, by node
}

// topic is the room's name in the hub, which others use too.
func (r *room) topic() string { return "chat/" + r.name }

// opened reports whether the room could be opened; it waits for nothing.
func (r *room) opened() bool {
	select {
	case <-r.ready:
		return r.err == nil
	default:
		return false
	}
}

// enter returns the room for one more user, and opens it if there is none. leave ends the use.
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

// use counts one more user of the room, or returns what to wait for before there can be one.
func (c *Chat) use(name string) (r *room, wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.rooms[name]
	if r != nil && r.ending {
		return nil, r.gone
	}
	if r == nil {
		r = &room{chat: c, name: name, ready: make(chan struct{}), gone: make(chan struct{}), others: map[string]count{}}
		c.rooms[name] = r
		c.running.Go(r.open)
	}
	r.users++
	return r, nil
}

func (c *Chat) leave(r *room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.users--; r.users == 0 {
		r.quiet = time.Now()
	}
}

// open follows the room's topic and reads its newest messages. Who comes after a failure opens anew.
func (r *room) open() {
	ctx, cancel := context.WithTimeout(r.chat.ctx, openTime)
	defer cancel()
	if r.err = r.load(ctx); r.err != nil {
		r.chat.mu.Lock()
		delete(r.chat.rooms, r.name)
		r.chat.mu.Unlock()
	}
	close(r.ready)
}

func (r *room) load(ctx context.Context) error {
	follower, tail, err := r.chat.entries.Follow(ctx, r.name, r.deliver)
	if err != nil {
		return err
	}
	err = r.firstWindow(ctx, tail)
	if err == nil {
		err = r.chat.presence.Add(ctx, presenceSubject(r.name))
	}
	if err != nil {
		follower.Stop()
		return fmt.Errorf("open room %s: %w", r.name, err)
	}
	r.follower = follower
	r.chat.say(r, true) // other nodes answer with their counts
	follower.Start()
	return nil
}

// deliver is called with each message of the stream, in order: it is remembered, and shown to all.
func (r *room) deliver(e broker.Entry) {
	m, err := r.chat.decode(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.cursor = e.Seq
	if err != nil {
		return // and said
	}
	r.held.add(m, r.chat.config)
	if err := r.chat.hub.Broadcast(r.topic(), m.frame()); err != nil {
		r.chat.log.Error("broadcast", "room", r.name, "seq", e.Seq, "error", err)
	}
}

// remembered is a message as it stands in a history.
type remembered struct {
	seq  uint64
	at   time.Time
	json []byte
}

// decode reads a stored message. One that is none, which only another program can have stored, is
// logged and left out.
func (c *Chat) decode(e broker.Entry) (remembered, error) {
	m, err := decodeStored(e)
	if err != nil {
		c.log.Error("a stored message is none of ours", "room", e.Topic, "seq", e.Seq, "error", err)
		return remembered{}, err
	}
	data, err := json.Marshal(m)
	return remembered{e.Seq, m.At, data}, err
}

func decodeStored(e broker.Entry) (Message, error) {
	var m Message
	if err := json.Unmarshal(e.Data, &m); err != nil {
		return m, err
	}
	if !validID(m.ID) || !validText(m.Text) || m.From == "" || m.At.IsZero() {
		return m, fmt.Errorf("a field is missing or not valid")
	}
	m.Seq = e.Seq
	return m, nil
}

// frame is the message to all members.
func (m remembered) frame() ws.Message {
	return ws.Message{Opcode: ws.Text, Data: append([]byte(`{"type":"message",`), m.json[1:]...)}
}
