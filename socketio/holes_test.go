package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"echows/socketio"
)

// mesh is a cluster in memory. Its nodes can be cut off from each other or from the journal.
type mesh struct {
	work chan func() // deliveries between nodes, in order

	mu      sync.Mutex
	epoch   string
	entries [][]byte
	values  map[string][]byte
	nodes   []*meshNode
}

// meshNode is one node's Adapter and Journal.
type meshNode struct {
	*mesh
	subjects
	name string

	// Guarded by the mesh.
	cut       bool // cut off from the other nodes
	noJournal bool // cut off from the journal
	refuses   bool // the journal does not store appended events, and says so later
	message   func(node, subject string, data []byte)
	asked     func(node string, data []byte, answer func([]byte))
	deliver   func(seq uint64, data []byte)
	reset     func(epoch string)
	next      int      // of the entries
	lacks     bool     // values cannot be removed
	held      []func() // delayed changes of values, while holds is set
	holds     bool
}

var errCut = errors.New("cut off")

func newMesh(t *testing.T) *mesh {
	m := &mesh{work: make(chan func(), 1000), epoch: "one", values: map[string][]byte{}}
	var ended sync.WaitGroup
	ended.Go(func() {
		for f := range m.work {
			f()
		}
	})
	t.Cleanup(func() { close(m.work); ended.Wait() })
	return m
}

// start starts a server on a node of the mesh.
func (m *mesh) start(t *testing.T) (*server, *meshNode) {
	m.mu.Lock()
	n := &meshNode{mesh: m, name: fmt.Sprintf("node%04d", len(m.nodes))}
	m.nodes = append(m.nodes, n)
	m.mu.Unlock()
	return start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n}), n
}

// set cuts a node off or reconnects it, and then delivers what it missed.
func (n *meshNode) set(cut, noJournal bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut, n.noJournal = cut, noJournal
	n.work <- n.catchUp
}

// settle waits until all pending messages have arrived.
func (m *mesh) settle() {
	done := make(chan struct{})
	m.work <- func() { close(done) }
	<-done
}

func (n *meshNode) catchUp() {
	for {
		n.mu.Lock()
		if n.cut || n.noJournal || n.deliver == nil || n.next >= len(n.entries) {
			n.mu.Unlock()
			return
		}
		deliver, data := n.deliver, n.entries[n.next]
		n.next++
		seq := uint64(n.next)
		n.mu.Unlock()
		deliver(seq, data)
	}
}

func (n *meshNode) Node() string { return n.name }

func (n *meshNode) Nodes() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, other := range n.reachLocked() {
		all = append(all, other.name)
	}
	return all
}

func (n *meshNode) reachLocked() []*meshNode {
	if n.cut {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(n.nodes), func(other *meshNode) bool { return other == n || other.cut })
}

func (n *meshNode) Serve(message func(node, subject string, data []byte), asked func(node string, data []byte, answer func([]byte)), _ func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.message, n.asked = message, asked
}

func (n *meshNode) Publish(subject string, data []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return errCut
	}
	for _, other := range n.reachLocked() {
		if other.listensTo(subject) {
			n.work <- func() { other.message(n.name, subject, data) }
		}
	}
	return nil
}

func (n *meshNode) Ask(ctx context.Context, data []byte, each func(node string, answer []byte)) error {
	n.mu.Lock()
	others := n.reachLocked()
	n.mu.Unlock()
	for _, other := range others {
		answers := make(chan []byte, 1)
		n.work <- func() { other.asked(n.name, data, func(b []byte) { answers <- b }) }
		select {
		case b := <-answers:
			each(other.name, b)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (n *meshNode) Append(_ string, data []byte, done func(error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut || n.noJournal {
		return errCut
	}
	if n.refuses {
		n.work <- func() { done(errCut) }
		return nil
	}
	n.entries = append(n.entries, data)
	if done != nil {
		n.work <- func() { done(nil) }
	}
	for _, one := range n.nodes {
		n.work <- one.catchUp
	}
	return nil
}

func (n *meshNode) Follow(_ string, reset func(epoch string), deliver func(seq uint64, data []byte), _ func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	n.mu.Lock()
	n.reset = reset
	n.mu.Unlock()
	n.work <- func() {
		reset(n.epoch)
		n.mu.Lock()
		n.deliver = deliver
		n.mu.Unlock()
		n.catchUp()
		ready(0)
	}
	return func() {}, nil
}

// startOver makes the node's journal deliver from the beginning, in an epoch.
func (n *meshNode) startOver(epoch string) {
	n.mu.Lock()
	reset := n.reset
	n.mu.Unlock()
	reset(epoch)
}

func (n *meshNode) Put(key string, value []byte, done func(error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return errCut
	}
	n.store(func() { n.values[key] = value }, done)
	return nil
}

// store changes the values: now, or, if the node holds changes back, when they are released.
func (n *meshNode) store(change func(), done func(error)) {
	f := func() {
		change()
		if done != nil {
			n.work <- func() { done(nil) }
		}
	}
	if n.holds {
		n.held = append(n.held, f)
		return
	}
	f()
}

// release applies the held changes.
func (n *meshNode) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.held {
		f()
	}
	n.held, n.holds = nil, false
}

func (n *meshNode) Take(_ context.Context, key string) ([]byte, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return nil, false, errCut
	}
	value, ok := n.values[key]
	delete(n.values, key)
	return value, ok, nil
}

func (n *meshNode) Remove(key string, done func(error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.cut:
		return errCut
	case n.lacks:
		n.work <- func() { done(errCut) }
		return nil
	}
	n.store(func() { delete(n.values, key) }, done)
	return nil
}

// comingBack is what a client sends to come back.
type comingBack struct{ SID, PID, offset string }

// comeBack connects a client, which tries to come back as who unless that is empty.
func (s *server) comeBack(who comingBack) (*peer, comingBack) {
	s.t.Helper()
	p := s.dial()
	p.send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, who.PID, who.offset))
	text := p.read()
	var is comingBack
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "40")), &is); err != nil || is.PID == "" {
		s.t.Fatalf("CONNECT is answered with %s", text)
	}
	return p, is
}

// hear reads an event, and records its offset.
func (p *peer) hear(name string, who *comingBack) {
	p.t.Helper()
	text := p.read()
	var event []string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "42")), &event); err != nil || event[0] != name {
		p.t.Fatalf("got %s, want %s", text, name)
	}
	who.offset = event[len(event)-1]
}

// Events that a node emits while it is cut off reach only its own clients. A client that was away then, on any node, is told
// that it is not recovered.
func TestWhoMissedAnEventOfANodeThatWasCutOffIsNotRecovered(t *testing.T) {
	m := newMesh(t)
	one, cut := m.start(t)
	two, _ := m.start(t)
	here, _ := one.comeBack(comingBack{})
	there, remains := two.comeBack(comingBack{})
	for _, s := range []*server{one, two} {
		away, who := s.comeBack(comingBack{})
		one.io.Emit("before")
		away.hear("before", &who)
		here.hear("before", &comingBack{})
		there.hear("before", &remains)
		s.hangUp(away, 1)
		cut.set(true, false)
		one.io.Emit("alone")
		here.hear("alone", &comingBack{})
		cut.set(false, false)
		soonHolds(t, "the journal knows", func() bool { return m.length()%2 == 0 })
		m.settle()
		back, is := two.comeBack(who)
		if is.SID == who.SID {
			t.Errorf("a client of %s is recovered, and missed an event", s.url)
		}
		two.hangUp(back, 1)
	}
	one.io.Emit("after")
	there.hear("after", &remains)
	there.conn.Close()
	if _, is := two.comeBack(remains); is.SID != remains.SID {
		t.Error("who was there all the time is not recovered")
	}
}

// A node without sockets does not let clients come back to a point before an event that the journal does not have.
func TestANodeWithoutSocketsKnowsOfHoles(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	two, _ := m.start(t)
	here, _ := one.comeBack(comingBack{})
	away, who := one.comeBack(comingBack{})
	one.io.Emit("before")
	away.hear("before", &who)
	here.hear("before", &comingBack{})
	one.hangUp(away, 1)
	node.set(false, true)
	one.io.Emit("not kept")
	here.hear("not kept", &comingBack{})
	m.settle()
	m.mu.Lock()
	m.nodes = m.nodes[1:] // the node dies
	m.mu.Unlock()
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// A client that reports no offset may have missed events that were sent to it before the offsets restarted.
func TestAnOffsetOfNothingSaysNothingAfterAReset(t *testing.T) {
	m := newMesh(t)
	two, node := m.start(t)
	away, who := two.comeBack(comingBack{})
	m.settle()
	two.io.Local().Emit("warm") // not kept: no offset of its own
	away.hear("warm", &comingBack{})
	two.io.To(who.SID).Emit("first")
	away.hear("first", &comingBack{}) // the client did not receive it: it reports no offset
	node.startOver("two")
	two.hangUp(away, 0)
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// Emit does not wait for an event that will not come.
func TestEmitFailsWithTheJournal(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	one.comeBack(comingBack{})
	m.mu.Lock()
	node.refuses = true
	m.mu.Unlock()
	for s := range one.io.LocalSockets() {
		begun := time.Now()
		if err := s.Emit("event"); !errors.Is(err, errCut) || time.Since(begun) > patience/2 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	}
}

// An event that the journal accepted and then lost was sent to nobody. A client that was away then is not recovered, even if
// its node noticed that only after the hole.
func TestAnEventThatTheJournalLosesIsAHole(t *testing.T) {
	for name, late := range map[string]bool{"noticed before": false, "noticed after": true} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			one, node := m.start(t)
			two, _ := m.start(t)
			away, who := one.comeBack(comingBack{})
			one.io.Emit("first")
			away.hear("first", &who)
			leave := func() {
				one.hangUp(away, 0)
			}
			if !late {
				leave()
			}
			m.lose(t, node, func() { one.io.Emit("lost") })
			if late {
				leave()
			}
			if _, is := two.comeBack(who); is.SID == who.SID {
				t.Error("a client is recovered, and missed an event")
			}
		})
	}
}

// lose emits an event that the journal loses, and waits until the nodes know of the hole.
func (m *mesh) lose(t *testing.T, n *meshNode, emit func()) {
	t.Helper()
	refuse := func(is bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		n.refuses = is
	}
	before := m.length()
	refuse(true)
	emit()
	m.settle()
	refuse(false)
	soonHolds(t, "the journal knows of it", func() bool { return m.length() == before+1 })
	m.settle()
}

// length returns how many events the journal holds, once all pending messages have arrived.
func (m *mesh) length() int {
	m.settle()
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// A namespace that a pattern created ends when nobody uses it, but not before the journal knows of a hole in it: somebody who was
// there on another node would come back to a point before the hole.
func TestANamespaceWithAHoleEndsLater(t *testing.T) {
	m := newMesh(t)
	s, node := m.start(t)
	p, one := s.enter(s.users())
	n := one.Namespace()
	m.settle()
	node.set(false, true)
	before := m.length()
	n.Emit("lost")
	p.send("41/user-1,")
	soonHolds(t, "nobody is there", func() bool { return s.io.Users("/user-1") <= 0 })
	node.set(false, false)
	soonHolds(t, "the journal knows of the hole", func() bool { return m.length() > before })
	soonHolds(t, "the namespace has ended", func() bool { return s.io.Users("/user-1") == -1 })
}

// When offsets restart, the records of sockets are lost as well, and are stored again.
func TestSocketsAreKeptOnceMoreAfterAReset(t *testing.T) {
	m := newMesh(t)
	node := &meshNode{mesh: m, name: "watching"}
	m.nodes = append(m.nodes, node)
	one := start(t, socketio.Config{Recovery: time.Hour, Adapter: node, Journal: node})
	one.comeBack(comingBack{})
	kept := func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.values) == 1 }
	soonHolds(t, "it is kept", kept)
	m.mu.Lock()
	clear(m.values)
	m.mu.Unlock()
	node.startOver("two")
	soonHolds(t, "it is kept again", kept)
}

// A late record of a socket from its old node does not replace the record from its new node.
func TestAValueThatComesLateIsNotTheLastOne(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	kept := func(times string) bool {
		m.settle()
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, value := range m.values {
			return strings.Contains(string(value), times)
		}
		return false
	}
	soonHolds(t, "it is kept", func() bool { return kept(`"start"`) })
	m.mu.Lock()
	node.holds = true
	m.mu.Unlock()
	one.io.SocketsJoin("room")
	away.conn.Close()
	time.AfterFunc(100*time.Millisecond, node.release)
	if _, is := two.comeBack(who); is.SID != who.SID {
		t.Error("it is not recovered")
	}
	soonHolds(t, "it is kept by the other node", func() bool { return kept(`"times":1`) })
	node.release()
	if !kept(`"times":1`) {
		t.Error("an old value is kept")
	}
}

// An event that was sent without the journal is no less missing after the first event of a new epoch.
func TestAHoleBeforeTheFirstEvent(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	two, _ := m.start(t)
	for _, s := range []*server{one, two} {
		p, _ := s.comeBack(comingBack{})
		s.hangUp(p, 0)
	}
	m.settle()
	m.restart("two", node.startOver)
	away, who := one.comeBack(comingBack{})
	here, is := one.comeBack(comingBack{})
	m.settle()
	one.hangUp(away, 1)
	node.set(false, true)
	one.io.Emit("not kept")
	here.hear("not kept", &is)
	node.set(false, false)
	two.io.Emit("another")
	here.hear("another", &is)
	if _, is := one.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// users lets clients into /user-1 and the like, and returns a channel of their sockets.
func (s *server) users() <-chan *socketio.Socket {
	sockets := make(chan *socketio.Socket, 10)
	s.io.OfMatch(regexp.MustCompile(`/user-\d+`)).OnConnect(func(one *socketio.Socket) error { sockets <- one; return nil })
	return sockets
}

// enter connects a client to /user-1, given what users returned.
func (s *server) enter(sockets <-chan *socketio.Socket) (*peer, *socketio.Socket) {
	s.t.Helper()
	p := s.dial()
	p.send("40/user-1,")
	p.read()
	return p, <-sockets
}

// hangUp ends a client's connection, and waits until the server has so many sockets left.
func (s *server) hangUp(p *peer, left int) {
	s.t.Helper()
	p.conn.Close()
	soonHolds(s.t, "it is gone", func() bool { return s.io.LocalLen() == left })
}

// soonHolds waits for a condition that no event tells of.
func soonHolds(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A node without members of a room hears of a hole in it: its clients may come here.
func TestAHoleInARoomIsForAllNodes(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	two, _ := m.start(t)
	visitor, _ := two.comeBack(comingBack{}) // was there once
	two.hangUp(visitor, 0)
	here, h := one.comeBack(comingBack{})
	away, who := one.comeBack(comingBack{})
	one.io.Socket(h.SID).Join("room")
	one.io.Socket(who.SID).Join("room")
	one.io.Emit("before")
	away.hear("before", &who)
	here.hear("before", &comingBack{})
	one.hangUp(away, 1)
	node.set(false, true)
	one.io.To("room").Emit("not kept")
	here.hear("not kept", &comingBack{})
	m.settle()
	m.mu.Lock()
	m.nodes = m.nodes[1:] // the node dies
	m.mu.Unlock()
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}
