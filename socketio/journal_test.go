package socketio_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

// With a Journal, what a node emits reaches those who were there when it was emitted, whatever the node does next.
func TestChangesComeAfterEvents(t *testing.T) {
	type pair struct {
		here, there       *peer
		one               *socketio.Server
		hereID, thereID   string
		hereIs            *socketio.Socket
		hears, hearsThere []string
	}
	for name, test := range map[string]func(p *pair){
		"DisconnectSockets": func(p *pair) {
			p.one.To("x").Emit("closing")
			p.one.In("x").DisconnectSockets(false)
			p.hears, p.hearsThere = []string{`42["closing"`, "41"}, []string{`42["closing"`, "41"}
		},
		"Disconnect": func(p *pair) {
			p.one.To(p.hereID).Emit("kicked")
			p.hereIs.Disconnect(false)
			p.hears = []string{`42["kicked"`, "41"}
		},
		"Leave": func(p *pair) {
			p.one.To("x").Emit("goodbye")
			p.hereIs.Leave("x")
			p.one.To("x").Emit("not to who left")
			p.hears, p.hearsThere = []string{`42["goodbye"`}, []string{`42["goodbye"`, `42["not to who left"`}
		},
		"Join": func(p *pair) {
			p.one.To("y").Emit("secret")
			p.hereIs.Join("y")
			p.one.To("y").Emit("hello")
			p.hears = []string{`42["hello"`}
		},
		"SocketsLeave": func(p *pair) {
			p.one.To("x").Emit("goodbye")
			p.one.In(p.thereID).SocketsLeave("x")
			p.one.To("x").Emit("not to who left")
			p.hears, p.hearsThere = []string{`42["goodbye"`, `42["not to who left"`}, []string{`42["goodbye"`}
		},
		"SocketsJoin": func(p *pair) {
			p.one.To("y").Emit("secret")
			if err := p.one.In(p.thereID, p.hereID).SocketsJoin("y"); err != nil {
				panic(err)
			}
			p.one.To("y").Emit("start")
			p.hears, p.hearsThere = []string{`42["start"`}, []string{`42["start"`}
		},
		"Local": func(p *pair) {
			p.one.To("x").Emit("goodbye")
			p.one.In("x").Local().SocketsLeave("x")
			p.hears, p.hearsThere = []string{`42["goodbye"`}, []string{`42["goodbye"`}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			one, _ := m.start(t)
			two, _ := m.start(t)
			here, is := one.comeBack(comingBack{})
			there, isThere := two.comeBack(comingBack{})
			p := &pair{here: here, there: there, one: one.io, hereID: is.SID, thereID: isThere.SID, hereIs: one.io.Socket(is.SID)}
			p.hereIs.Join("x")
			two.io.Socket(isThere.SID).Join("x")
			m.settle()
			test(p)
			one.io.Emit("end")
			for _, one := range []struct {
				*peer
				hears []string
			}{{here, p.hears}, {there, p.hearsThere}} {
				if n := len(one.hears); n == 0 || one.hears[n-1] != "41" {
					one.hears = append(one.hears, `42["end"`)
				}
				for _, want := range one.hears {
					if got := one.read(); !strings.HasPrefix(got, want) {
						t.Errorf("got %s, want %s", got, want)
					}
				}
			}
		})
	}
}

// A change that is too much for a socket of this node is an error, as it is without a Journal.
func TestAChangeThatFails(t *testing.T) {
	m := newMesh(t)
	n := &meshNode{mesh: m, name: "node0000"}
	m.nodes = append(m.nodes, n)
	s := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n, Limits: socketio.Limits{Rooms: 1}})
	s.comeBack(comingBack{})
	if err := s.io.SocketsJoin("a"); err != nil {
		t.Error(err)
	}
	if err := s.io.SocketsJoin("b"); err == nil {
		t.Error("a socket is in too many rooms")
	}
	n.set(false, true) // without the journal, it is made at once
	s.io.SocketsLeave("a")
	if got := s.io.In("a").LocalLen(); got != 0 {
		t.Errorf("%d are in the room", got)
	}
}

// Without a Journal, sockets of other nodes that join a room receive what is emitted to it next.
func TestJoinThenEmit(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		io, other := servers[0].io, callers[1]
		io.In(other.sid).SocketsJoin("game", "other game")
		io.To("game").Emit("start")
		if got := other.got(); len(got) != 1 || got[0] != `42["start"]` {
			t.Errorf("got %v", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		nodes[2].hears()
		io.To("game").Emit("later")
		synctest.Wait()
		if n := nodes[2].hears(); n != 0 {
			t.Errorf("a node without members received %d messages", n)
		}
		io.In("nobody").SocketsJoin("game")
		for range 5 { // those that were named earlier are forgotten
			time.Sleep(4 * time.Second)
			io.In("nobody").SocketsJoin("another")
		}
		synctest.Wait()
		nodes[2].hears()
		io.To("game").Emit("later")
		synctest.Wait()
		if n := nodes[2].hears(); n != 0 {
			t.Errorf("a node without members received %d messages", n)
		}
		var many []string
		for i := range 1001 {
			many = append(many, fmt.Sprint("room ", i))
		}
		io.In("nobody").SocketsJoin(many...)
		synctest.Wait()
		nodes[2].hears()
		io.To("any").Emit("to all nodes")
		synctest.Wait()
		if n := nodes[2].hears(); n != 1 {
			t.Errorf("after joining very many rooms, a node received %d messages", n)
		}
	})
}

// A socket that came back to another node hears events that do not go through the journal, from all nodes.
func TestVolatileToASocketThatMoved(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, node := m.start(t)
	three, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	m.settle()
	one.io.Emit("first")
	away.hear("first", &who)
	one.hangUp(away, 0)
	back, is := two.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	listens := func() (is bool) {
		node.subjects.all.Range(func(subject, _ any) bool {
			is = is || strings.HasPrefix(subject.(string), "room.")
			return true
		})
		return is
	}
	soonHolds(t, "it listens", listens)
	for i, from := range []*server{one, three, two} {
		heard, ended := make(chan bool), make(chan bool)
		go func() { // again and again: it is dropped while anything else is being sent
			defer close(ended)
			again := time.NewTicker(time.Millisecond)
			defer again.Stop()
			for {
				select {
				case <-again.C:
					from.io.To(is.SID).Volatile().Emit(fmt.Sprint("position ", i))
				case <-heard:
					return
				}
			}
		}()
		for got := back.read(); !strings.HasPrefix(got, fmt.Sprintf(`42["position %d"`, i)); got = back.read() {
			if !strings.HasPrefix(got, `42["position`) {
				t.Errorf("got %s", got)
			}
		}
		close(heard)
		<-ended
	}
	back.send("41")
	soonHolds(t, "it does not listen any more", func() bool { return !listens() })
}

// small is a journal that finds long events too large, and cannot be followed at first.
type small struct {
	*meshNode
	tried bool
}

func (s *small) Append(topic string, data []byte, done func(error)) error {
	if len(data) > 1000 {
		return fmt.Errorf("%w: too many bytes", socketio.ErrTooLarge)
	}
	return s.meshNode.Append(topic, data, done)
}

func (s *small) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	if !s.tried {
		s.tried = true
		return nil, errCut
	}
	return s.meshNode.Follow(topic, reset, deliver, hole, ready)
}

// An event that is too large for the journal is refused, and makes no hole.
func TestAnEventThatIsTooLarge(t *testing.T) {
	m := newMesh(t)
	n := &small{meshNode: &meshNode{mesh: m, name: "node0000"}}
	m.nodes = append(m.nodes, n.meshNode)
	s := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n})
	p, who := s.comeBack(comingBack{}) // after the second attempt to follow
	s.io.Emit("first")
	p.hear("first", &who)
	long := strings.Repeat("x", 1000)
	if err := s.io.Emit("long", long); !errors.Is(err, socketio.ErrTooLarge) {
		t.Error(err)
	}
	if err := s.io.Socket(who.SID).Emit("long", long); !errors.Is(err, socketio.ErrTooLarge) {
		t.Error(err)
	}
	s.hangUp(p, 0)
	s.io.Emit("missed")
	p, is := s.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	p.hear("missed", &is)
}

// restart makes the journal begin anew, empty, in another epoch.
func (m *mesh) restart(epoch string, reset func(string)) {
	m.mu.Lock()
	m.epoch, m.entries = epoch, nil
	for _, n := range m.nodes {
		n.next = 0
	}
	m.mu.Unlock()
	reset(epoch)
}

// In a new epoch, clients that stayed hear events, and recover them.
func TestANewEpoch(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	p, who := one.comeBack(comingBack{})
	for range 3 {
		one.io.Emit("old")
		p.hear("old", &who)
	}
	one.io.Socket(who.SID).Join("kitchen")
	m.settle()
	m.restart("two", node.startOver)
	one.io.To("kitchen").Emit("new")
	p.hear("new", &who)
	one.io.To("kitchen").Emit("on its way")
	p.hear("on its way", &comingBack{})
	one.hangUp(p, 0)
	p, is := one.comeBack(who)
	if is.SID != who.SID {
		t.Fatal("not recovered")
	}
	one.io.Emit("end")
	p.hear("on its way", &is)
}

// Events that the journal delivers again are not sent again.
func TestEventsThatComeAgain(t *testing.T) {
	m := newMesh(t)
	one, node := m.startMissing(t, 0)
	p, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	p.hear("first", &who)
	node.again()
	m.settle()
	one.io.Emit("second")
	p.hear("second", &who)
}

// A record from before the journal was lost is worth nothing.
func TestARecordOfAnotherEpoch(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	_, who := one.comeBack(comingBack{})
	soonHolds(t, "it is kept", func() bool { return m.has(`"start"`) })
	m.mu.Lock()
	m.nodes, m.epoch, m.entries = nil, "two", nil // the node dies, and the journal is lost
	m.mu.Unlock()
	two, _ := m.start(t)
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("recovered")
	}
}

// Emit does not wait for the journal if the socket has ended.
func TestEmitToASocketThatEnds(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	p, who := one.comeBack(comingBack{})
	m.settle()
	release := make(chan bool)
	m.work <- func() { <-release }
	s := one.io.Socket(who.SID)
	failed := make(chan error, 1)
	go func() { failed <- s.Emit("a") }()
	soonHolds(t, "it is appended", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.entries) == 1 })
	p.conn.Close()
	if err := <-failed; !errors.Is(err, socketio.ErrClosed) {
		t.Error(err)
	}
	close(release)
}

// Local events do not take offsets: those are the journal's.
func TestLocalEventsHaveNoOffset(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	one.io.Local().Emit("local")
	away.hear("local", &who)
	one.hangUp(away, 0)
	if _, is := two.comeBack(who); is.SID != who.SID {
		t.Error("not recovered")
	}
}

func TestVolatileEventsAreNotStored(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	one.comeBack(comingBack{})
	one.io.Volatile().Emit("volatile")
	if n := m.length(); n != 0 {
		t.Errorf("%d are stored", n)
	}
}

// A node that has just started connects nobody before it has read the journal.
func TestConnectingWaitsForTheJournal(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	soonHolds(t, "it is kept", func() bool { return m.has("start") })
	m.settle()
	m.mu.Lock()
	m.nodes = nil // the node dies
	m.mu.Unlock()
	release := make(chan bool)
	m.work <- func() { <-release }
	two, _ := m.start(t)
	p := two.dial()
	p.send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, who.PID, who.offset))
	soonHolds(t, "it is being connected", func() bool { return two.io.Users("/") == 1 })
	close(release)
	if text := p.read(); !strings.Contains(text, who.SID) {
		t.Error("not recovered")
	}
}

// A node that has not read an event yet does not send it to a client that has it.
func TestANodeThatIsBehind(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, behind := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	m.settle()
	behind.set(false, true)
	one.io.Emit("second")
	away.hear("second", &who)
	m.settle()
	m.mu.Lock()
	m.nodes = m.nodes[1:] // the node dies
	m.mu.Unlock()
	p, is := two.comeBack(who)
	behind.set(false, false)
	m.settle()
	two.io.Emit("third")
	if is.SID == who.SID {
		p.hear("third", &is) // not the second again
	}
}

// A namespace that has ended is not listened to.
func TestNamespacesThatEndAreNotListenedTo(t *testing.T) {
	m := newMesh(t)
	s, node := m.start(t)
	count := func() (n int) {
		node.subjects.all.Range(func(any, any) bool { n++; return true })
		return n
	}
	s.io.OfMatch(regexp.MustCompile(`/user-\d+`))
	p, _ := s.comeBack(comingBack{})
	soonHolds(t, "it listens", func() bool { return count() == 2 })
	p.send("40/user-1,")
	p.read()
	soonHolds(t, "it listens", func() bool { return count() == 3 })
	p.send("41/user-1,")
	soonHolds(t, "it has ended", func() bool { return s.io.Users("/user-1") == -1 })
	soonHolds(t, "it no longer listens", func() bool { return count() == 2 })
}

// Another node knows that events were sent in an earlier epoch.
func TestAnEventBeforeTheEpochIsUnknownElsewhere(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	away, who := one.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &comingBack{}) // lost on the way
	m.settle()
	m.restart("two", node.startOver)
	two, _ := m.start(t)
	one.hangUp(away, 0)
	if _, is := two.comeBack(who); is.SID == who.SID {
		t.Error("a client is recovered, and missed an event")
	}
}

// After a reset, nobody is recovered before the events were delivered again.
func TestComingBackDuringAReset(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, node := m.start(t)
	away, who := one.comeBack(comingBack{})
	stays, _ := two.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	stays.hear("first", &comingBack{})
	one.hangUp(away, 0)
	one.io.Emit("missed")
	stays.hear("missed", &comingBack{})
	m.settle()
	node.startOver("one") // the same epoch; the stored events are delivered again only after the client came back
	back, is := two.comeBack(who)
	if is.SID != who.SID {
		return // and so it knows
	}
	m.mu.Lock()
	node.next = 0
	m.mu.Unlock()
	m.work <- node.catchUp
	m.settle()
	one.io.Emit("end")
	back.hear("missed", &is)
}

func TestComingBackInTheMiddleOfAReset(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	two, node := m.start(t)
	away, who := one.comeBack(comingBack{})
	stays, _ := two.comeBack(comingBack{})
	one.io.Emit("first")
	away.hear("first", &who)
	stays.hear("first", &comingBack{})
	one.hangUp(away, 0)
	for _, name := range []string{"missed 1", "missed 2"} {
		one.io.Emit(name)
		stays.hear(name, &comingBack{})
	}
	m.settle()
	node.startOver("one")
	m.mu.Lock()
	data := m.entries
	m.mu.Unlock()
	node.deliver(1, data[0])
	node.deliver(2, data[1])
	back, is := two.comeBack(who)
	node.deliver(3, data[2])
	if is.SID != who.SID {
		return
	}
	back.hear("missed 1", &is)
	one.io.Emit("end")
	back.hear("missed 2", &is)
}

// busy is a journal whose stop waits for the current delivery, as it should.
type busy struct {
	*meshNode
	delivering sync.Mutex
	stopped    chan bool
}

func (b *busy) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	b.meshNode.Follow(topic, reset, func(seq uint64, data []byte) {
		b.delivering.Lock()
		defer b.delivering.Unlock()
		deliver(seq, data)
	}, hole, ready)
	return func() {
		b.delivering.Lock()
		defer b.delivering.Unlock()
		b.stopped <- true
	}, nil
}

// A change from the journal may end the last socket of a namespace, and the namespace with it.
func TestAChangeThatEndsANamespace(t *testing.T) {
	m := newMesh(t)
	n := &busy{meshNode: &meshNode{mesh: m, name: "node0000"}, stopped: make(chan bool, 10)}
	m.nodes = append(m.nodes, n.meshNode)
	s := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: n})
	p, one := s.enter(s.users())
	m.settle()
	one.Namespace().DisconnectSockets(false)
	p.expect("41/user-1,")
	<-n.stopped
}

// corrupting is a journal that changes what it stores.
type corrupting struct{ *meshNode }

func (c corrupting) Append(topic string, data []byte, done func(error)) error {
	return c.meshNode.Append(topic, append(slices.Clone(data), '!'), done)
}

// Who waits for an entry that arrives damaged does not wait for ever, and who may have missed an event is not recovered.
func TestAnEntryThatIsDamaged(t *testing.T) {
	m := newMesh(t)
	n := &meshNode{mesh: m, name: "node0000"}
	m.nodes = append(m.nodes, n)
	s := start(t, socketio.Config{Recovery: time.Minute, Adapter: n, Journal: corrupting{n}})
	p, who := s.comeBack(comingBack{})
	away, missed := s.comeBack(comingBack{})
	m.settle()
	s.hangUp(away, 1)
	if err := s.io.Socket(who.SID).Emit("a"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if n := socketio.Pending(s.io.Namespace); n != 0 {
		t.Errorf("%d entries are on their way", n)
	}
	if _, is := s.comeBack(missed); is.SID == missed.SID {
		t.Error("a client is recovered, and missed an event")
	}
	p.conn.Close()
}

// An object that looks like a placeholder cannot be sent with bytes: no receiver could tell them apart.
func TestAPlaceholderWithAttachments(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("chat", func(e socketio.Event) error { return s.io.Emit("chat", e.Arg(0), []byte("x")) })
		one.On("self", func(e socketio.Event) error { return one.Emit("self", e.Arg(0), []byte("x")) })
		one.On("ask", func(e socketio.Event) error { return e.Ack(e.Arg(0), []byte("x")) })
		return nil
	})
	p := s.dial()
	p.send("40")
	p.read()
	for _, what := range []string{`2["chat"`, `2["self"`, `21["ask"`} {
		p.send("4" + what + `,{"_placeholder":true,"num":0}]`)
		if got := p.read(); !strings.HasPrefix(got, `42["error",{"event":"`) {
			t.Errorf("%s: got %s", what, got)
		}
	}
	// All these are placeholders to the official client, and some of them without a number that it accepts.
	for _, like := range []string{`{"_placeholder":true,"num":9,"x":1}`, `{"\u005fplaceholder":true,"num":0}`, `{"_placeholder": true}`,
		`{"_placeholder":true,` + strings.Repeat(" ", 200) + `"num":0}`, `[{"a":{"x":[],"_placeholder" :true,"num":"0"}}]`} {
		p.send(`42["self",` + like + `]`)
		if got := p.read(); !strings.HasPrefix(got, `42["error",{"event":"`) {
			t.Errorf("%s: got %s", like, got)
		}
		other := s.dial()
		other.send("40")
		other.read()
		other.send(`451-["chat",{"_placeholder":true,"num":0},` + like + `]`)
		other.attach(10)
		other.expectClosed()
	}
	p.send(`42["self",{"_placeholder":false,"num":0}]`)
	p.expect(`451-["self",{"_placeholder":false,"num":0},{"_placeholder":true,"num":0}]`)
}

// What looks like a placeholder in an event without attachments is an object like any other, and holds up nobody.
func TestAPlaceholderWithoutAttachments(t *testing.T) {
	m := newMesh(t)
	one, _ := m.start(t)
	one.io.OnConnect(func(s *socketio.Socket) error {
		s.On("chat", func(e socketio.Event) error { return one.io.Emit("chat", e.Arg(0)) })
		return nil
	})
	p, who := one.comeBack(comingBack{})
	p.send(`42["chat",{"_placeholder":true,"num":0}]`)
	if got := p.read(); !strings.HasPrefix(got, `42["chat",{"_placeholder":true,"num":0},"`) {
		t.Errorf("got %s", got)
	}
	m.mu.Lock()
	m.entries = append(m.entries, []byte("nonsense"))
	m.mu.Unlock()
	one.io.Emit("after nonsense")
	p.hear("after nonsense", &who)
	if n := socketio.Pending(one.io.Namespace); n != 0 {
		t.Errorf("%d entries are on their way", n)
	}
}

// A reset does not make those wait whose events come after it.
func TestAResetBeforeAnOwnEvent(t *testing.T) {
	m := newMesh(t)
	one, node := m.start(t)
	p, who := one.comeBack(comingBack{})
	m.settle()
	release := make(chan bool)
	m.work <- func() { <-release; node.startOver("one") }
	emitted := make(chan error)
	go func() { emitted <- one.io.Socket(who.SID).Emit("a") }()
	soonHolds(t, "it is appended", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.entries) == 1 })
	close(release)
	if err := <-emitted; err != nil {
		t.Error(err)
	}
	p.hear("a", &who)
}

// Events that are held when the last socket of a namespace leaves are stored, as other nodes may have members.
func TestEventsHeldAtTheEnd(t *testing.T) {
	m := newMesh(t)
	one, n := m.startSlow(t)
	p, s := one.enter(one.users())
	namespace := s.Namespace()
	m.settle()
	n.set(true, false)
	namespace.Emit("on its way")
	late := n.set(false, true)
	namespace.Emit("held")
	n.set(false, false)
	p.send("41/user-1,")
	soonHolds(t, "nobody is there", func() bool { return namespace.LocalLen() == 0 })
	late[0](true)
	soonHolds(t, "the held event is stored", func() bool { return m.length() == 2 })
	soonHolds(t, "the namespace has ended", func() bool { return one.io.Users("/user-1") == -1 })
}
