package socketio_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"echows/socketio"
)

// slow is a journal that can accept events without storing them yet, or refuse them.
type slow struct {
	*meshNode

	mu      sync.Mutex
	delays  bool
	refuses bool
	late    []func(stored bool)
	reset   func(epoch string)
}

func (s *slow) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	s.mu.Lock()
	s.reset = reset
	s.mu.Unlock()
	return s.meshNode.Follow(topic, reset, deliver, hole, ready)
}

func (s *slow) Append(topic string, data []byte, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.refuses:
		return errCut
	case s.delays:
		s.late = append(s.late, func(stored bool) {
			if stored {
				s.meshNode.Append(topic, data, done)
				return
			}
			done(errCut)
		})
		return nil
	}
	return s.meshNode.Append(topic, data, done)
}

func (s *slow) set(delays, refuses bool) (late []func(stored bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays, s.refuses = delays, refuses
	late, s.late = s.late, nil
	return late
}

func (m *mesh) startSlow(t *testing.T) (*server, *slow) {
	n := &slow{meshNode: &meshNode{mesh: m, name: "node0000"}}
	m.nodes = append(m.nodes, n.meshNode)
	return start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n}), n
}

// Events that the journal refuses do not overtake earlier ones that are on their way to it, no matter what becomes of those.
func TestRefusedEventsKeepTheOrder(t *testing.T) {
	for _, stored := range []bool{true, false} {
		m := newMesh(t)
		one, n := m.startSlow(t)
		two, _ := m.start(t)
		here, is := one.comeBack(comingBack{})
		there, isThere := two.comeBack(comingBack{})
		one.io.Socket(is.SID).Join("x")
		two.io.Socket(isThere.SID).Join("x")
		m.settle()
		n.set(true, false)
		one.io.Emit("0, on its way")
		one.io.Emit("1, on its way")
		late := n.set(false, true)
		var leaving sync.WaitGroup
		one.io.To("x").Emit("2")
		own := make(chan error, 1)
		go func() { own <- one.io.Socket(is.SID).Emit("3") }()
		soonHolds(t, "both are held", func() bool { return socketio.Held(one.io.Namespace) == 2 })
		n.set(false, !stored)
		if stored {
			one.io.Emit("4") // waits behind them, though the journal would accept it
		}
		late[0](stored)
		m.settle()
		m.work <- func() { n.reset("one") } // what is on its way still comes
		m.settle()
		if stored {
			leaving.Go(func() { one.io.SocketsLeave("x") }) // waits, too
		}
		one.comeBack(comingBack{}) // takes long enough for what should wait, and does not
		if n := socketio.Held(one.io.Namespace); n < 2 {
			t.Errorf("%d events are held", n)
		}
		late[1](stored)
		if err := <-own; err != nil {
			t.Error(err)
		}
		if !stored {
			one.io.Emit("4")
		}
		want, wantThere := []string{"0", "1", "2", "3", "4"}, []string{"0", "1", "2", "4"}
		if !stored {
			want, wantThere = want[2:], wantThere[2:]
		}
		for _, want := range want {
			if got := here.read(); !strings.HasPrefix(got, `42["`+want) {
				t.Errorf("stored %v: got %s, want %s", stored, got, want)
			}
		}
		for _, want := range wantThere {
			if got := there.read(); !strings.HasPrefix(got, `42["`+want) {
				t.Errorf("stored %v: the other node's got %s, want %s", stored, got, want)
			}
		}
		soonHolds(t, "nothing is held", func() bool { return socketio.Held(one.io.Namespace) == 0 })
		leaving.Wait()
	}
}

// What is held is bounded. What is too much does not wait, which is a hole for those who are away.
func TestTooManyRefusedEvents(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	here, is := one.comeBack(comingBack{})
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	here.hear("first", &is)
	away.hear("first", &who)
	m.settle()
	n.set(true, false)
	one.io.Emit("on its way")
	late := n.set(false, true)
	long := strings.Repeat("x", 1<<20)
	for range 5 {
		if err := one.io.Emit("long", long); err != nil {
			t.Error(err)
		}
	}
	names := []string{"long", "long", "on its way", "long", "long", "long"}
	one.hangUp(away, 1)
	n.set(false, false)
	late[0](true)
	for i, name := range names {
		if got := here.read(); !strings.HasPrefix(got, `42["`+name) {
			t.Errorf("%d: got %.20s, want %s", i, got, name)
		}
	}
	if n := socketio.HeldBytes(one.io); n != 0 {
		t.Errorf("%d bytes are held", n)
	}
	if _, again := one.comeBack(who); again.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}
