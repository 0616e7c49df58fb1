// Package hub holds topics: who of this process's sockets is in which room, and one encoded frame for
// all of them.
//
//	h := hub.New()
//	err := h.Join("lobby", s)
//	err = h.Broadcast("lobby", message, s) // to all but s
//
// A topic begins with its first member and ends with its last; a membership ends with its socket. A
// broadcast waits for nobody: a member whose outbox is full is closed with 1013 (see ws.Socket.Offer).
// Topics know no protocol, and nothing outside this process.
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

// Member is who can be a member: a *ws.Socket, or what stands for one, or for more than one in turn. It
// has to be comparable.
type Member interface {
	// Offer sends without waiting, and calls no method of the Hub; see ws.Socket.Offer.
	Offer(p *ws.Prepared)
	// OnClose adds a function to be called when the member has ended; see ws.Socket.OnClose.
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

// Join makes s a member of the topic, which it may be already. On a socket that has ended the error
// is ws.ErrClosed.
func (h *Hub) Join(name string, s Member) error {
	m := h.membership(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return fmt.Errorf("hub: join %q: %w", name, ws.ErrClosed)
	}
	if _, ok := m.topics[name]; ok {
		return nil
	}
	t := h.use(name)
	m.topics[name] = t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.place[s] = len(t.members)
	t.members = append(t.members, s)
	return nil
}

// Leave ends the membership of s, if it is a member. Nothing that is broadcast afterwards reaches it.
func (h *Hub) Leave(name string, s Member) {
	h.mu.Lock()
	m := h.memberships[s]
	h.mu.Unlock()
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.topics[name]; ok {
		delete(m.topics, name)
		h.leave(s, name, t)
	}
}

// Broadcast sends one message to all members but those excepted, in one order for all of them. The
// error says what is wrong with m, as ws.Socket.Send's does.
func (h *Hub) Broadcast(name string, m ws.Message, except ...Member) error {
	p, err := ws.Prepare(m)
	if err != nil {
		return err
	}
	h.BroadcastPrepared(name, p, except...)
	return nil
}

// BroadcastPrepared is Broadcast with what is encoded already.
func (h *Hub) BroadcastPrepared(name string, p *ws.Prepared, except ...Member) {
	h.mu.Lock()
	t := h.topics[name]
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

// Len is how many members the topic has.
func (h *Hub) Len(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[name]; t != nil {
		return t.users
	}
	return 0
}

// Topics is how many topics there are.
func (h *Hub) Topics() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics)
}

// Members ranges over those who are members when the range begins.
func (h *Hub) Members(name string) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		h.mu.Lock()
		t := h.topics[name]
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

// end takes s out of all topics. Who joins from here on finds the membership ended, or gets a new one that
// ends at once.
func (h *Hub) end(s Member, m *membership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	for name, t := range m.topics {
		h.leave(s, name, t)
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
func (h *Hub) leave(s Member, name string, t *topic) {
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
