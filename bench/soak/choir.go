package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// choir is a group whose members all hear what each of them says: each one's numbers rise by one.
type choir struct {
	*kind
	name    string
	members []*member
	ready   chan struct{} // closed when all members have come for the first time
	missing atomic.Int32  // members that have not
}

// member is one of them.
type member struct {
	choir *choir
	place int
	said  atomic.Int64 // its last number
	out   outlet

	mu   sync.Mutex
	came bool
	last []int64 // number that came, of each member; unknown until the first of a connection after the first
}

const unknown = -1

func newChoir(k *kind, name string, members int) *choir {
	c := &choir{kind: k, name: name, ready: make(chan struct{})}
	c.missing.Store(int32(members))
	for i := range members {
		c.members = append(c.members, &member{choir: c, place: i, last: make([]int64, members)})
	}
	return c
}

// begins notes that a member has a new connection. It does not get what was said since the last one.
func (m *member) begins() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.last {
		if m.came {
			m.last[i] = unknown
		}
	}
}

// comes notes that from now on a member hears what is said. Nobody speaks before all have come once.
func (m *member) comes() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.came {
		return
	}
	m.came = true
	if m.choir.missing.Add(-1) == 0 {
		close(m.choir.ready)
	}
}

// hears notes a number from somebody.
func (m *member) hears(from int, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.choir.heard.Add(1)
	if from < 0 || from >= len(m.last) {
		m.choir.loses(1, fmt.Sprintf("%s: somebody is called %d", m.choir.name, from))
		return
	}
	switch last := m.last[from]; {
	case last == unknown, n == last+1:
	case n <= last:
		m.choir.loses(1, fmt.Sprintf("%s: came twice, or out of order", m.choir.name))
		return
	default:
		m.choir.loses(n-last-1, fmt.Sprintf("%s: did not come", m.choir.name))
	}
	m.last[from] = n
}

// behind returns how many numbers a member has not heard yet.
func (m *member) behind() (n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, last := range m.last {
		if last != unknown {
			n += m.choir.members[i].said.Load() - last
		}
	}
	return n
}

// finish waits until all have heard everything, but no longer than a good client would, and counts what did not come.
func (c *choir) finish(ctx context.Context) {
	for end := time.Now().Add(answerTime); time.Now().Before(end) && ctx.Err() == nil; sleep(ctx, 10*time.Millisecond) {
		behind := int64(0)
		for _, m := range c.members {
			behind += m.behind()
		}
		if behind == 0 {
			return
		}
	}
	for _, m := range c.members {
		if n := m.behind(); n > 0 {
			c.loses(n, fmt.Sprintf("%s: did not come in the end", c.name))
		}
	}
}

// outlet is where a member writes: its current connection, if it has one. Any goroutine may use it.
type outlet struct {
	mu    sync.Mutex
	write func(string) error
}

func (o *outlet) set(write func(string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write = write
}

var errAway = errors.New("no connection")

func (o *outlet) say(text string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.write == nil {
		return errAway
	}
	return o.write(text)
}

// speak says one number after the other, once all members are there, until ctx ends.
func (m *member) speak(ctx context.Context, pause time.Duration, say func(n int64) error) {
	select {
	case <-m.choir.ready:
	case <-ctx.Done():
	}
	for n := int64(1); ctx.Err() == nil; {
		if err := say(n); err != errAway { // on another error some may have received it, so it is not said again
			m.choir.sent.Add(1)
			m.said.Store(n)
			n++
		}
		sleep(ctx, pause)
	}
}
