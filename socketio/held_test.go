package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	most    int // bytes of an entry; 0 for no limit
	late    []func(stored bool)
}

func (s *slow) Append(topic string, data []byte, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.most > 0 && len(data) > s.most:
		return socketio.ErrTooLarge
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
	return start(t, socketio.Config{Recovery: time.Hour, Adapter: n, Journal: n}), n // so long that nothing looks what is old
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
		m.work <- func() { n.startOver("one") } // what is on its way still comes
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
	soonHolds(t, "nothing is held", func() bool { return socketio.HeldBytes(one.io) == 0 })
	if _, again := one.comeBack(who); again.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// Leave, too, waits for events that are held.
func TestLeaveAfterEventsThatAreHeld(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	p, is := one.comeBack(comingBack{})
	s := one.io.Socket(is.SID)
	s.Join("x")
	m.settle()
	n.set(true, false)
	one.io.Emit("0, on its way")
	late := n.set(false, true)
	one.io.To("x").Emit("1, held")
	n.set(true, false)
	left := make(chan bool)
	go func() { s.Leave("x"); close(left) }()
	soonHolds(t, "Leave waits", func() bool { return socketio.Waiters(one.io.Namespace) == 1 })
	late[0](true)
	soonHolds(t, "the other is on its way", func() bool { return socketio.Held(one.io.Namespace) == 0 })
	one.io.To("x").Emit("2, for nobody")
	late = n.set(false, false)
	late[0](true)
	<-left
	late[1](true)
	one.io.Emit("3")
	for _, want := range []string{"0", "1", "3"} {
		if got := p.read(); !strings.HasPrefix(got, `42["`+want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Events wait only for so long for entries of which nothing is heard, and need no other event to be sent then.
func TestEventsAreHeldForAWhile(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	socketio.SetHoldTime(one.io, time.Second/10)
	p, is := one.comeBack(comingBack{})
	m.settle()
	for _, name := range []string{"first", "second"} {
		n.set(true, false)
		one.io.Emit("on its way")
		n.set(false, true)
		one.io.Emit(name)
		n.set(false, false)
		p.hear(name, &is)
		soonHolds(t, "nothing is looked for", func() bool { return !socketio.Expiring(one.io.Namespace) })
	}
	n.set(true, false)
	one.io.Emit("on its way")
	n.set(false, false)
	one.io.Socket(is.SID).Join("x") // waits for 2 s at most
	soonHolds(t, "it is given up", func() bool { return socketio.Pending(one.io.Namespace) == 0 })
}

// Until then, they wait.
func TestEventsAreHeldForLong(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	p, is := one.comeBack(comingBack{})
	m.settle()
	n.set(true, false)
	one.io.Emit("first")
	late := n.set(false, true)
	one.io.Emit("second")
	n.set(false, false)
	socketio.Expire(one.io.Namespace)
	if socketio.Held(one.io.Namespace) != 1 || socketio.Pending(one.io.Namespace) != 1 {
		t.Error("they do not wait")
	}
	late[0](true)
	p.hear("first", &is)
	p.hear("second", &is)
}

// What becomes known of an entry only after its stream was lost holds up nobody.
func TestAResultAfterTheEpoch(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	_, is := one.comeBack(comingBack{})
	m.settle()
	n.set(true, false)
	own := make(chan error, 1)
	go func() { own <- one.io.Socket(is.SID).Emit("a") }()
	soonHolds(t, "it is on its way", func() bool { return socketio.Pending(one.io.Namespace) == 1 })
	late := n.set(false, false)
	m.restart("two", n.startOver)
	m.mu.Lock()
	m.nodes = nil // it was stored, and is never delivered
	m.mu.Unlock()
	late[0](true)
	if err := <-own; err == nil {
		t.Error("no error")
	}
	if n := socketio.Pending(one.io.Namespace); n != 0 {
		t.Errorf("%d entries are on their way", n)
	}
}

// An event that turns out to be too large for the journal once it was accepted is sent without it. The caller who waits is told.
func TestTooLargeToBeHeld(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	n.most = 1000
	p, is := one.comeBack(comingBack{})
	m.settle()
	n.set(true, false)
	one.io.Emit("0")
	late := n.set(false, true)
	one.io.Emit("1")
	large := strings.Repeat("x", 2000)
	one.io.Emit("2", large)
	own := make(chan error, 1)
	go func() { own <- one.io.Socket(is.SID).Emit("3", large) }()
	soonHolds(t, "all are held", func() bool { return socketio.Held(one.io.Namespace) == 3 })
	n.set(false, false)
	late[0](true)
	for _, want := range []string{"0", "1", "2"} {
		if got := p.read(); !strings.HasPrefix(got, `42["`+want) {
			t.Errorf("got %.20s, want %s", got, want)
		}
	}
	if err := <-own; !errors.Is(err, socketio.ErrTooLarge) {
		t.Error(err)
	}
	soonHolds(t, "nothing is held", func() bool { return socketio.HeldBytes(one.io) == 0 })
}

// The names of rooms count, too.
func TestRoomsOfEventsThatAreHeld(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	one.comeBack(comingBack{})
	m.settle()
	n.set(true, false)
	one.io.Emit("0")
	late := n.set(false, true)
	for range 10 {
		one.io.To(strings.Repeat("x", 1<<20)).Emit("1")
	}
	if held := socketio.Held(one.io.Namespace); held != 3 {
		t.Errorf("%d events are held", held)
	}
	n.set(false, false)
	late[0](true)
	soonHolds(t, "nothing is held", func() bool { return socketio.Held(one.io.Namespace) == 0 })
}

// A namespace that everybody has left remains until it is known what became of its events, and others learn of those lost.
func TestAnEventOnItsWayWhenTheLastSocketLeaves(t *testing.T) {
	for _, stored := range []bool{true, false} {
		m := newMesh(t)
		one, n := m.startSlow(t)
		two, _ := m.start(t)
		p, s := one.enter(one.users())
		two.users()
		namespace := s.Namespace()
		away := two.dial()
		away.send("40/user-1,")
		var who comingBack
		json.Unmarshal([]byte(strings.TrimPrefix(away.read(), "40/user-1,")), &who)
		m.settle()
		namespace.Emit("first")
		text := away.read()
		who.offset = text[strings.LastIndex(text, ",")+1 : len(text)-1]
		p.read()
		away.conn.Close()
		soonHolds(t, "it is away", func() bool { return two.io.Of("/user-1").LocalLen() == 0 })
		n.set(true, false)
		namespace.Emit("second")
		p.send("41/user-1,")
		soonHolds(t, "nobody is there", func() bool { return namespace.LocalLen() == 0 })
		m.settle()
		n.set(false, false)[0](stored)
		soonHolds(t, "the namespace has ended", func() bool { return one.io.Users("/user-1") == -1 })
		m.settle()
		back := two.dial()
		back.send(fmt.Sprintf(`40/user-1,{"pid":%q,"offset":%s}`, who.PID, who.offset))
		if got := back.read(); strings.Contains(got, who.SID) != stored {
			t.Errorf("stored %v: answered with %s", stored, got)
		}
	}
}

// A namespace that everybody has left does not remain for ever if nothing is heard of its events.
func TestAnEventOfWhichNothingIsHeard(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	socketio.SetHoldTime(one.io, time.Second/10)
	p, s := one.enter(one.users())
	n.set(true, false)
	s.Namespace().Emit("a")
	p.send("41/user-1,")
	soonHolds(t, "the namespace has ended", func() bool { return one.io.Users("/user-1") == -1 })
}

// A namespace does not take an entry of an earlier one with its name for its own.
func TestAnEntryOfAnEarlierNamespace(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	sockets := one.users()
	p, earlier := one.enter(sockets)
	earlier.Namespace().Emit("a")
	p.read()
	p.send("41/user-1,")
	soonHolds(t, "it has ended", func() bool { return one.io.Users("/user-1") == -1 })
	p.send("40/user-1,")
	p.read()
	s := <-sockets
	m.settle()
	n.set(true, false)
	own := make(chan error, 1)
	go func() { own <- s.Emit("b") }()
	soonHolds(t, "it is on its way", func() bool { return socketio.Pending(s.Namespace()) == 1 })
	m.mu.Lock()
	deliver, first := n.deliver, m.entries[0]
	m.mu.Unlock()
	m.work <- func() { deliver(1000, first) } // as when a namespace begins to read its topic
	m.settle()
	if n := socketio.Pending(s.Namespace()); n != 1 {
		t.Errorf("%d entries are on their way", n)
	}
	n.set(false, false)[0](true)
	if err := <-own; err != nil {
		t.Error(err)
	}
}

// What a node emits before it has begun to read the journal is on its way like everything else.
func TestAnEventBeforeTheJournalIsRead(t *testing.T) {
	m := newMesh(t)
	begin := make(chan bool)
	m.work <- func() { <-begin }
	one, n := m.startSlow(t)
	n.set(true, false)
	one.io.Emit("early")
	late := n.set(false, false)
	close(begin)
	one.comeBack(comingBack{})
	m.mu.Lock()
	nodes := m.nodes
	m.nodes = nil // it is stored, and not delivered yet
	m.mu.Unlock()
	late[0](true)
	m.settle()
	if n := socketio.Pending(one.io.Namespace); n != 1 {
		t.Errorf("%d entries are on their way", n)
	}
	m.mu.Lock()
	m.nodes = nodes
	m.mu.Unlock()
	m.work <- n.catchUp
	soonHolds(t, "it is delivered", func() bool { return socketio.Pending(one.io.Namespace) == 0 })
}

// The caller may reuse the bytes that it emitted, even if the event is held.
func TestBytesOfEventsThatAreHeld(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	p, _ := one.comeBack(comingBack{})
	m.settle()
	n.set(true, false)
	one.io.Emit("0")
	late := n.set(false, true)
	bytes := []byte("good")
	one.io.Emit("1", bytes)
	copy(bytes, "evil")
	n.set(false, false)
	late[0](true)
	p.read()
	p.read()
	p.expect("good")
}

// A question comes after the events that were emitted before it.
func TestAQuestionAfterEvents(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, s *server, who comingBack){
		"of one": func(ctx context.Context, s *server, who comingBack) {
			s.io.Socket(who.SID).EmitWithAck(ctx, "question")
		},
		"of all": func(ctx context.Context, s *server, _ comingBack) { s.io.EmitWithAck(ctx, "question") },
	} {
		m := newMesh(t)
		one, n := m.startSlow(t)
		p, who := one.comeBack(comingBack{})
		m.settle()
		n.set(true, false)
		one.io.Emit("state")
		late := n.set(false, false)
		var asked sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		asked.Go(func() { ask(ctx, one, who) })
		soonHolds(t, "it waits", func() bool { return socketio.Waiters(one.io.Namespace) == 1 })
		late[0](true)
		p.hear("state", &who)
		if got := p.read(); !strings.HasSuffix(got, `["question"]`) {
			t.Errorf("%s: got %s", name, got)
		}
		cancel()
		asked.Wait()
	}
}

// Who watches what is sent to a socket sees it also while the journal cannot be reached.
func TestOnAnyOutgoingWithoutTheJournal(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	p, who := one.comeBack(comingBack{})
	m.settle()
	seen := make(chan string, 10)
	one.io.Socket(who.SID).OnAnyOutgoing(func(event string, _ []any) { seen <- event })
	node.set(false, true)
	if err := one.io.Socket(who.SID).Emit("own"); err != nil {
		t.Error(err)
	}
	p.hear("own", &who)
	if event := <-seen; event != "own" {
		t.Errorf("saw %s", event)
	}
}

// EmitWithAck waits for earlier events no longer than its context allows.
func TestAQuestionThatCannotWait(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	socketio.SetHoldTime(one.io, time.Hour)
	_, who := one.comeBack(comingBack{})
	s := one.io.Socket(who.SID)
	m.settle()
	n.set(true, false)
	one.io.Emit("on its way")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked := make(chan bool)
	go func() {
		for range 60 { // two minutes, if each waits for the event
			s.EmitWithAck(ctx, "question")
		}
		close(asked)
	}()
	soonHolds(t, "all have returned", func() bool {
		select {
		case <-asked:
			return true
		default:
			return false
		}
	})
}
