package socketio_test

import (
	"testing"
	"time"

	"echows/socketio"
)

// missing is a node whose journal reports a hole: before it is ready, if at is not 0, and when report is called. With again,
// it starts over.
type missing struct {
	*meshNode
	at     uint64
	report func(seq uint64)
	again  func()
}

func (m *missing) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	m.report = func(seq uint64) { m.work <- func() { hole(seq) } }
	m.again = func() {
		m.work <- func() {
			reset(m.epoch)
			m.mu.Lock()
			m.next = 0
			m.mu.Unlock()
			m.catchUp()
		}
	}
	return m.meshNode.Follow(topic, reset, deliver, hole, func(from uint64) {
		if m.at > 0 {
			hole(m.at)
		}
		ready(from)
	})
}

func (m *mesh) startMissing(t *testing.T, at uint64) (*server, *missing) {
	n := &missing{meshNode: &meshNode{mesh: m, name: "missing0"}, at: at}
	m.mu.Lock()
	m.nodes = append(m.nodes, n.meshNode)
	m.mu.Unlock()
	return start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n}), n
}

// A client that was away when the journal reports that events are missing is not recovered. One that was there is.
func TestMissingEventsAreAHole(t *testing.T) {
	m := newMesh(t)
	one, node := m.startMissing(t, 0)
	here, remains := one.comeBack(comingBack{})
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	here.hear("first", &remains)
	away.hear("first", &who)
	one.hangUp(away, 1)
	node.report(2)
	m.settle()
	if _, is := one.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered before the next event, and missed an event")
	}
	one.io.Emit("third")
	here.hear("third", &remains)
	one.hangUp(here, 1)
	if _, is := one.comeBack(remains); is.SID != remains.SID {
		t.Error("a client that heard the event after the hole is not recovered")
	}
}

// A node that starts later does not let clients come back to a point before a hole either.
func TestMissingEventsBeforeANodeStarted(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	one.hangUp(away, 0)
	one.io.Emit("third")
	m.settle()
	two, _ := m.startMissing(t, 2)
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// A node that starts over remembers its holes: perhaps nothing shows them any more.
func TestMissingEventsBeforeAReset(t *testing.T) {
	m := newMesh(t)
	one, node := m.startMissing(t, 0)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	one.hangUp(away, 0)
	node.report(2)
	one.io.Emit("third")
	node.again()
	m.settle()
	if _, is := one.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}
