package socketio_test

import (
	"errors"
	"strings"
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
