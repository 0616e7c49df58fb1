// Package hub sends messages to topics, such as the rooms of a chat. Use it when sockets of a process join and leave
// groups that their routes do not fix: everyone on one route is reached by ws.Route.Broadcast alone.
//
//	h := hub.New()
//	err := h.Join("lobby", s)
//	err = h.Broadcast("lobby", message, s) // to all but s
//
// A topic begins with its first member and ends with its last; a membership ends with its socket. A message is encoded
// once for all members, and all of them get a topic's messages in the same order. A broadcast does not wait: a member
// that does not read is closed with 1013 (see ws.Socket.Offer).
//
// Topics exist in this process only, and carry messages of any form.
package hub

import (
	"fmt"
	"iter"
	"slices"
	"sync"

	"echows/ws"
)

// Hub is a set of topics. Its methods may be called from any goroutine, callbacks of sockets included.
//
// Locks are taken in this order: a membership's, a topic's, the Hub's. The only code of others that runs under one
// of them is Member.Offer, under its topic's.
type Hub struct {
	log ws.Log // of all broadcasts

	mu          sync.Mutex // guards what follows and each topic's users
	memberships map[Member]*membership
	topics      map[string]*topic
	members     int // of all topics: the sum of their users
}

// Member is what can join a topic: a *ws.Socket, or something that stands for one socket, or for several one after the
// other. Its type must be comparable.
type Member interface {
	// Offer sends without waiting, and calls no method of the Hub; see ws.Socket.Offer.
	Offer(p *ws.Prepared)
	// OnClose adds a function to be called when the member has ended, or at once if it has; see ws.Socket.OnClose.
	OnClose(f func(code ws.CloseCode, reason string))
}

// New makes a Hub without topics.
func New() *Hub {
	return &Hub{memberships: make(map[Member]*membership), topics: make(map[string]*topic)}
}

// topic is the members of one topic.
type topic struct {
	users int // members and those about to be; guarded by the Hub

	mu      sync.Mutex // held while a broadcast is queued, so that all members see one order
	members []Member
	place   map[Member]int // in members
}

// membership is the topics of one member.
type membership struct {
	mu     sync.Mutex
	ended  bool
	topics map[string]*topic
}

// Join makes s a member of a topic; it does nothing if s is one already. If s has ended, the error is ws.ErrClosed.
func (h *Hub) Join(topic string, s Member) error {
	m := h.membership(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return fmt.Errorf("hub: join %q: %w", topic, ws.ErrClosed)
	}
	if _, ok := m.topics[topic]; ok {
		return nil
	}
	t := h.use(topic)
	m.topics[topic] = t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.place[s] = len(t.members)
	t.members = append(t.members, s)
	return nil
}

// Leave ends the membership of s in a topic, if it is a member. Nothing that is broadcast afterwards reaches it.
func (h *Hub) Leave(topic string, s Member) {
	h.mu.Lock()
	m := h.memberships[s]
	h.mu.Unlock()
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.topics[topic]; ok {
		delete(m.topics, topic)
		h.leave(topic, s, t)
	}
}

// Broadcast sends a message to all members of a topic except the given ones. All members get a topic's messages in the
// same order. The error says what is wrong with m, as that of ws.Socket.Send does; there is none for a topic without
// members.
func (h *Hub) Broadcast(topic string, m ws.Message, except ...Member) error {
	p, err := ws.Prepare(m)
	if err != nil {
		return err
	}
	h.BroadcastPrepared(topic, p, except...)
	return nil
}

// BroadcastPrepared is Broadcast for a message that is encoded already.
func (h *Hub) BroadcastPrepared(topic string, p *ws.Prepared, except ...Member) {
	h.mu.Lock()
	t := h.topics[topic]
	h.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p = h.log.Place(p)
	for _, s := range t.members {
		if len(except) == 0 || !slices.Contains(except, s) {
			s.Offer(p)
		}
	}
}

// Len returns the number of a topic's members.
func (h *Hub) Len(topic string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[topic]; t != nil {
		return t.users
	}
	return 0
}

// Topics returns the number of topics.
func (h *Hub) Topics() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics)
}

// Members ranges over the members that a topic has when the range begins.
func (h *Hub) Members(topic string) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		h.mu.Lock()
		t := h.topics[topic]
		h.mu.Unlock()
		if t == nil {
			return
		}
		t.mu.Lock()
		members := slices.Clone(t.members)
		t.mu.Unlock()
		for _, s := range members {
			if !yield(s) {
				return
			}
		}
	}
}

// membership returns that of s, and makes sure that it ends with s.
func (h *Hub) membership(s Member) *membership {
	h.mu.Lock()
	m := h.memberships[s]
	first := m == nil
	if first {
		m = &membership{topics: make(map[string]*topic)}
		h.memberships[s] = m
	}
	h.mu.Unlock()
	if first {
		s.OnClose(func(ws.CloseCode, string) { h.end(s, m) })
	}
	return m
}

// end takes s out of all topics. A Join from here on finds the membership ended, or makes a new one that ends at
// once.
func (h *Hub) end(s Member, m *membership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	for name, t := range m.topics {
		h.leave(name, s, t)
	}
	m.topics = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.memberships, s)
}

// use returns the topic for one more member, and makes it if there is none.
func (h *Hub) use(name string) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[name]
	if t == nil {
		t = &topic{place: make(map[Member]int, 1)}
		h.topics[name] = t
	}
	t.users++
	h.members++
	return t
}

// leave takes s out of the topic; the lock of its membership is held.
func (h *Hub) leave(name string, s Member, t *topic) {
	t.mu.Lock()
	i, last := t.place[s], len(t.members)-1
	t.members[i] = t.members[last]
	t.place[t.members[i]] = i
	t.members[last] = nil
	t.members = t.members[:last]
	delete(t.place, s)
	t.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	h.members--
	if t.users--; t.users == 0 {
		delete(h.topics, name)
	}
}
