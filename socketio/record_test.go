package socketio_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"echows/socketio"
)

// firstTopic is a node of a mesh whose journal has no entries in any topic but the first.
type firstTopic struct {
	*meshNode
	topic string
}

func (f *firstTopic) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	f.mu.Lock()
	first := f.topic == ""
	if first {
		f.topic = topic
	}
	f.mu.Unlock()
	if first {
		return f.meshNode.Follow(topic, reset, deliver, hole, ready)
	}
	f.work <- func() { reset(f.epoch); ready(0) }
	return func() {}, nil
}

// A client cannot use the pid of its socket in one namespace to enter another without the latter's Use functions, or with the
// former's rooms.
func TestAPidIsForItsNamespace(t *testing.T) {
	m := newMesh(t)
	n := &firstTopic{meshNode: &meshNode{mesh: m, name: "node0000"}}
	m.nodes = append(m.nodes, n.meshNode)
	s := start(t, socketio.Config{Recovery: time.Minute, RecoverySkipsUse: true, Adapter: n, Journal: n})
	s.io.OnConnect(func(one *socketio.Socket) error { return one.Join("operators") })
	s.io.Of("/admin").Use(func(*socketio.Socket) error { return errors.New("forbidden") })
	p, who := s.comeBack(comingBack{})
	soonHolds(t, "its record is stored", func() bool { return m.has("operators") })
	p.send(`40/admin,{"pid":"` + who.PID + `"}`)
	p.expect(`44/admin,{"message":"forbidden"}`)
}

// After a node has shut down, its clients come back to another.
func TestComingBackAfterAShutdown(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	soonHolds(t, "it is kept", func() bool { return m.has("start") })
	one.io.Close()
	two.io.Emit("missed")
	m.settle()
	back, is := two.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	back.hear("missed", &is)
}

// A client that said goodbye cannot come back to another node.
func TestGoodbyeIsForAllNodes(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, _ := m.start(t)
	p, who := one.comeBack(comingBack{})
	p.send("41")
	soonHolds(t, "it is gone", func() bool { return one.io.LocalLen() == 0 })
	m.settle()
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("it came back")
	}
}

// has reports whether the journal's only record contains a text.
func (m *mesh) has(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, value := range m.values {
		return strings.Contains(string(value), text)
	}
	return false
}

// Each change is in the journal when the call returns (Join, Leave, Set, Delete) or soon.
func TestRecordsAreUpToDate(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	_, who := one.comeBack(comingBack{})
	s := one.io.Socket(who.SID)
	check := func(what, text string, want bool) {
		t.Helper()
		if m.has(text) != want {
			t.Errorf("%s: %q is stored: %v", what, text, !want)
		}
	}
	s.Join("kitchen")
	check("Join", "kitchen", true)
	s.Leave("kitchen")
	check("Leave", `"rooms":[{"room":"kitchen"`, false)
	nick.Set(s, "ann")
	check("Set", `"ann"`, true)
	nick.Delete(s)
	check("Delete", `"ann"`, false)
	one.io.SocketsJoin("cellar")
	soonHolds(t, "SocketsJoin is stored", func() bool { return m.has("cellar") })
	one.io.SocketsLeave("cellar")
	soonHolds(t, "SocketsLeave is stored", func() bool { return !m.has(`"rooms":[{"room":"cellar"`) })
}

// A socket of a node that has died comes back with its rooms, its values and what was on its way.
func TestComingBackAfterANodeDied(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	s := one.io.Socket(who.SID)
	s.Join("kitchen")
	nick.Set(s, "ann")
	one.io.Emit("first")
	away.hear("first", &who)
	one.io.To("kitchen").Emit("on its way")
	m.settle()
	m.mu.Lock()
	m.nodes = m.nodes[1:] // the node dies
	m.mu.Unlock()
	back, is := two.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	back.hear("on its way", &is)
	if name, _ := nick.Get(two.io.Socket(is.SID)); name != "ann" || !two.io.Socket(is.SID).In("kitchen") {
		t.Errorf("%q in %v", name, two.io.Socket(is.SID).Rooms())
	}
}

// A socket that comes back to another node brings its values, and hears what was said in rooms that it has left.
func TestComingBackToAnotherNode(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	s := one.io.Socket(who.SID)
	nick.Set(s, "ann")
	s.Join("kitchen")
	one.io.To("kitchen").Emit("on its way")
	away.hear("on its way", &comingBack{}) // lost on the way
	s.Leave("kitchen")
	one.hangUp(away, 0)
	back, is := two.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	if name, _ := nick.Get(two.io.Socket(is.SID)); name != "ann" {
		t.Errorf("%q", name)
	}
	two.io.Emit("end")
	back.hear("on its way", &is)
}

// The node that a client left knows of a hole that the next one has not heard of.
func TestAHoleThatOnlyTheOldNodeKnows(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	here, _ := one.comeBack(comingBack{})
	away, who := one.comeBack(comingBack{})
	one.io.Emit("before")
	away.hear("before", &who)
	here.hear("before", &comingBack{})
	one.hangUp(away, 1)
	node.set(false, true)
	one.io.Emit("not kept")
	here.hear("not kept", &comingBack{})
	two, _ := m.start(t) // and does not know of the hole
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// keeps is a journal that cannot remove values, and says so later.
type keeps struct{ *meshNode }

func (k keeps) Remove(_ string, done func(error)) error {
	if done != nil {
		k.work <- func() { done(errCut) }
	}
	return nil
}

// A client is not recovered if its old record remains: it could replace the new one.
func TestARecordThatCannotBeRemoved(t *testing.T) {
	m := newMesh(t)
	n := &meshNode{mesh: m, name: "keeping0"}
	m.nodes = append(m.nodes, n)
	one := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: keeps{n}})
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.hangUp(away, 0)
	m.mu.Lock()
	clear(m.values)
	m.mu.Unlock()
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("recovered")
	}
}

// Records are stored again before they expire.
func TestRecordsAreRefreshed(t *testing.T) {
	m := newMesh(t)
	n := &meshNode{mesh: m, name: "refresh0"}
	m.nodes = append(m.nodes, n)
	one := start(t, socketio.Config{Recovery: 3 * time.Second, Adapter: n, Journal: n})
	one.comeBack(comingBack{})
	soonHolds(t, "it is kept", func() bool { return m.has("start") })
	m.mu.Lock()
	clear(m.values) // it expires
	m.mu.Unlock()
	soonHolds(t, "it is kept again", func() bool { return m.has("start") })
}

// Of two nodes that know a socket, the one that had it last counts.
func TestTheNewestRecordCounts(t *testing.T) {
	m := newMesh(t)
	a, cutA := m.start(t)
	b, _ := m.start(t)
	c, _ := m.start(t)
	p, who := a.comeBack(comingBack{})
	soonHolds(t, "it is kept", func() bool { return m.has("start") })
	a.hangUp(p, 0)
	cutA.set(true, false)
	p, is := b.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	b.io.Socket(is.SID).Join("kitchen")
	cutA.set(false, false)
	b.hangUp(p, 0)
	if _, is = c.comeBack(who); is.SID != who.SID || !c.io.Socket(is.SID).In("kitchen") {
		t.Error("an older state came back")
	}
}

// blocking is a journal that lets writers wait.
type blocking struct {
	*meshNode
	mu    sync.Mutex
	block chan bool // if not nil, Put and Remove wait until it is closed
	stuck chan bool // one comes when a call begins to wait
}

func (b *blocking) set(block chan bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.block = block
}

func (b *blocking) wait() {
	b.mu.Lock()
	block := b.block
	b.mu.Unlock()
	if block != nil {
		b.stuck <- true
		<-block
	}
}

func (b *blocking) Put(key string, value []byte, done func(error)) error {
	b.wait()
	return b.meshNode.Put(key, value, done)
}

func (b *blocking) Remove(key string, done func(error)) error {
	b.wait()
	return b.meshNode.Remove(key, done)
}

func (m *mesh) startBlocking(t *testing.T) (*server, *blocking) {
	n := &blocking{meshNode: &meshNode{mesh: m, name: "node0000"}, stuck: make(chan bool, 10)}
	m.nodes = append(m.nodes, n.meshNode)
	return start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n}), n
}

// A socket that was disconnected cannot come back, neither to its node nor to another, even if its record is not removed yet
// or never will be.
func TestDisconnectedSocketsDoNotComeBack(t *testing.T) {
	for name, hinder := range map[string]func(one *server, n *blocking) (undo func()){
		"a record is being written": func(one *server, n *blocking) func() {
			block := make(chan bool)
			n.set(block)
			one.io.SocketsJoin("kitchen")
			<-n.stuck
			n.set(nil)
			return func() { close(block) }
		},
		"it is being removed": func(_ *server, n *blocking) func() {
			n.meshNode.mu.Lock()
			defer n.meshNode.mu.Unlock()
			n.holds = true
			return n.release
		},
		"it is being removed, and the journal starts over": func(_ *server, n *blocking) func() {
			n.meshNode.mu.Lock()
			defer n.meshNode.mu.Unlock()
			n.holds = true
			return n.release
		},
		"it cannot be removed": func(_ *server, n *blocking) func() {
			n.meshNode.mu.Lock()
			defer n.meshNode.mu.Unlock()
			n.lacks = true
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			one, n := m.startBlocking(t)
			two, _ := m.start(t)
			p, who := one.comeBack(comingBack{})
			one.io.Emit("a")
			p.hear("a", &who)
			one.io.Socket(who.SID).Join("secret")
			m.settle()
			undo := hinder(one, n)
			one.io.Socket(who.SID).Disconnect(false)
			p.expect("41")
			if strings.Contains(name, "starts over") {
				m.work <- func() {
					n.startOver("one")
					m.mu.Lock()
					n.next = 0
					m.mu.Unlock()
					n.catchUp()
				}
				m.settle()
			}
			for _, s := range []*server{one, two, one} {
				if _, is := s.comeBack(who); is.SID == who.SID {
					t.Errorf("it comes back, in %v", s.io.Socket(is.SID).Rooms())
				}
			}
			undo()
			if name == "it cannot be removed" {
				return
			}
			soonHolds(t, "nothing is kept of it", func() bool { return one.io.Kept() == two.io.Kept() })
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, value := range m.values {
				if strings.Contains(string(value), who.SID) {
					t.Error("its record remains")
				}
			}
		})
	}
}

// What a node keeps of sockets that came and went is not more than what it keeps of those who may come back.
func TestManyGoodbyes(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	lost, who := one.comeBack(comingBack{})
	soonHolds(t, "its record is stored", func() bool { return m.has("start") })
	one.hangUp(lost, 0)
	before := one.io.Kept()
	for range 100 {
		p := one.dial()
		p.send("40")
		p.read()
		p.send("41")
		soonHolds(t, "it is gone", func() bool { return one.io.Kept() == before && one.io.LocalLen() == 0 })
	}
	if n := socketio.InOrder(one.io.Namespace); n > 20 {
		t.Errorf("%d are in the list", n)
	}
	if _, is := one.comeBack(who); is.SID != who.SID {
		t.Error("not recovered")
	}
}

// A node that has to give up a socket while it cannot write to the journal still answers others.
func TestGivingUpHoldsUpNobody(t *testing.T) {
	m := newMesh(t)
	one, n := m.startBlocking(t)
	two, _ := m.start(t)
	p, who := one.comeBack(comingBack{})
	one.io.Emit("a")
	p.hear("a", &who)
	one.hangUp(p, 0)
	m.settle()
	block := make(chan bool)
	n.set(block)
	came := make(chan bool)
	go func() { two.comeBack(who); close(came) }()
	<-n.stuck
	if n, err := two.io.Len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	n.set(nil)
	close(block)
	<-came
}

// slowReady is a journal that tells late that everything was delivered.
type slowReady struct {
	*meshNode
	delivered chan<- bool
	release   <-chan bool
}

func (s slowReady) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	return s.meshNode.Follow(topic, reset, deliver, hole, func(from uint64) {
		s.delivered <- true
		<-s.release
		ready(from)
	})
}

// A node that starts, and for which the events in the journal are too many to keep, recovers nobody who may have missed
// those that it has dropped.
func TestTooManyEventsForANodeThatStarts(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	m.settle()
	one.io.Emit("first")
	away.hear("first", &who)
	one.hangUp(away, 0)
	one.io.To(who.SID).Emit("missed")
	long := strings.Repeat("x", 10_000)
	for range 50 {
		one.io.To("others").Emit("long", long)
	}
	m.settle()
	delivered, release := make(chan bool, 1), make(chan bool)
	m.mu.Lock()
	n := slowReady{&meshNode{mesh: m, name: "node0001"}, delivered, release}
	m.nodes = append(m.nodes, n.meshNode)
	m.mu.Unlock()
	two := start(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 100_000, Adapter: n, Journal: n})
	<-delivered
	soonHolds(t, "some are dropped", func() bool { return two.io.Kept() <= 100_000 })
	close(release)
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// Of two nodes to which a client comes at the same time, at most one recovers it.
func TestTwoNodesAskForASocket(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	two, _ := m.start(t)
	three, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("a")
	away.hear("a", &who)
	m.settle()
	one.hangUp(away, 0)
	m.mu.Lock()
	node.holds = true
	m.mu.Unlock()
	came := make(chan string, 1)
	go func() { _, is := two.comeBack(who); came <- is.SID }()
	soonHolds(t, "the record is being removed", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(node.held) > 0 })
	_, is := three.comeBack(who)
	node.release()
	if there := <-came; there == is.SID {
		t.Error("both have recovered it")
	}
	soonHolds(t, "nothing is kept of it", func() bool { return one.io.Kept() == two.io.Kept() })
}

// A node that is behind catches up before it says that a client cannot be recovered.
func TestComingBackToANodeThatIsBehind(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, behind := m.start(t)
	p, who := one.comeBack(comingBack{})
	_, _ = two.comeBack(comingBack{})
	m.settle()
	behind.set(false, true)
	one.io.Emit("a")
	p.hear("a", &who)
	one.hangUp(p, 0)
	came := make(chan string, 1)
	go func() { _, is := two.comeBack(who); came <- is.SID }()
	soonHolds(t, "it waits", func() bool { return socketio.Waiters(two.io.Namespace) == 1 })
	behind.set(false, false)
	if sid := <-came; sid != who.SID {
		t.Error("not recovered")
	}
}

// closing is a journal that can be closed before the server.
type closing struct {
	*meshNode
	closed chan bool
	tried  chan bool
}

func (c *closing) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	select {
	case <-c.closed:
		c.tried <- true
		return nil, errCut
	default:
		return c.meshNode.Follow(topic, reset, deliver, hole, ready)
	}
}

// A namespace that begins after Shutdown keeps nothing running.
func TestANamespaceAfterShutdown(t *testing.T) {
	m := newMesh(t)
	n := &closing{meshNode: &meshNode{mesh: m, name: "node0000"}, closed: make(chan bool), tried: make(chan bool, 100)}
	m.nodes = append(m.nodes, n.meshNode)
	s := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n})
	goOn := make(chan bool)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.OnDisconnect(func(string) {
			<-goOn
			s.io.Of("/late").Emit("left", one.ID())
		})
		return nil
	})
	s.comeBack(comingBack{})
	m.settle()
	ended := make(chan error, 1)
	go func() { ended <- s.io.Shutdown(t.Context()) }()
	soonHolds(t, "the namespaces have stopped", func() bool { return socketio.Ended(s.io) })
	close(n.closed)
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(n.tried) > 0 {
		t.Error("the journal is followed")
	}
}
