// Package hub sends messages to topics, such as the rooms of a chat. Use it for groups that sockets join and leave; to
// reach everyone on one route, ws.Route.Broadcast is enough.
//
//	h := hub.New()
//	err := h.Join("lobby", s)
//	err = h.Broadcast("lobby", message, s) // to all but s
//
// A topic begins with its first member and ends with its last; a membership ends with its socket. A message is encoded
// once for all members, and all of them receive a topic's messages in the same order. A broadcast does not wait: it
// closes a member that does not read with 1013 (see ws.Socket.Offer).
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
// Locks are taken in this order: a membership's, a topic's, the Hub's. The only callback that runs under a lock is
// Member.Offer, under its topic's.
type Hub struct {
	log ws.Log // of all broadcasts

	mu          sync.Mutex // guards what follows and each topic's users
	memberships map[Member]*membership
	topics      map[string]*topic
	members     int // of all topics: the sum of their users
}

// Member is what can join a topic: a *ws.Socket, or something that represents one socket, or several in succession. Its
// type must be comparable.
type Member interface {
	// Offer sends without waiting, and calls no method of the Hub; see ws.Socket.Offer.
	Offer(p *ws.Prepared)
	// OnClose adds a function to be called when the member has ended, or immediately if it already has; see
	// ws.Socket.OnClose.
	OnClose(f func(code ws.CloseCode, reason string))
}

// New makes a Hub without topics.
func New() *Hub {
	return &Hub{memberships: make(map[Member]*membership), topics: make(map[string]*topic)}
}

// topic is the members of one topic.
type topic struct {
	users int // members, and those about to join; guarded by the Hub

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

// Join makes s a member of a topic; it does nothing if s is one already. If s has ended, the error is ws.ErrClosed. While the
// OnClose functions of s run, Join may return nil; the membership then ends when they have returned.
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

// Leave ends the membership of s in a topic, if it is a member. Later broadcasts do not reach it.
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

// Broadcast sends a message to all members of a topic except the given ones. All members receive a topic's messages in
// the same order. The error says what is wrong with m, as that of ws.Socket.Send does; a topic without members is no
// error.
func (h *Hub) Broadcast(topic string, m ws.Message, except ...Member) error {
	p, err := ws.Prepare(m)
	if err != nil {
		return err
	}
	h.BroadcastPrepared(topic, p, except...)
	return nil
}

// BroadcastPrepared is like Broadcast, for a message that is already encoded.
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

// membership returns the membership of s, and makes sure that it ends with s.
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

// end removes s from all topics. A later Join finds the membership ended, or makes a new one that ends immediately.
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

// use counts one more user of a topic and returns it, making it if necessary.
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

// leave removes s from the topic; the lock of its membership is held.
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
