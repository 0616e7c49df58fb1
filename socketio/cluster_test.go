package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

// network connects the nodes of a test. Each node receives the messages of another node in the order of publishing.
type network struct {
	t     *testing.T
	mu    sync.Mutex
	nodes []*node
}

// node is one node's Adapter.
type node struct {
	network *network
	name    string
	inbox   chan func()

	message func(node, subject string, data []byte)
	asked   func(node string, data []byte, answer func([]byte))
	changed func()

	longest atomic.Int64 // bytes of an answer to Ask

	subjects

	mu     sync.Mutex    // guards the fields below; nodes that publish to this one take it, too
	heard  int           // messages received
	fails  error         // Publish returns it
	blocks chan struct{} // Publish waits for it
	silent bool          // does not answer
	dies   bool          // dies before it answers
}

// subjects are those that a node listens to.
type subjects struct{ all sync.Map }

func (s *subjects) Listen(subject string) error        { s.all.Store(subject, true); return nil }
func (s *subjects) Unlisten(subject string)            { s.all.Delete(subject) }
func (s *subjects) listensTo(subject string) (is bool) { _, is = s.all.Load(subject); return is }

func (n *node) Node() string { return n.name }

func (n *node) others() (others []*node) {
	n.network.mu.Lock()
	defer n.network.mu.Unlock()
	for _, one := range n.network.nodes {
		if one != n {
			others = append(others, one)
		}
	}
	return others
}

func (n *node) Nodes() (names []string) {
	for _, one := range n.others() {
		names = append(names, one.name)
	}
	return names
}

func (n *node) Serve(message func(string, string, []byte), asked func(string, []byte, func([]byte)), changed func()) {
	n.message, n.asked, n.changed = message, asked, changed
	go func() {
		for f := range n.inbox {
			f()
		}
	}()
}

func (n *node) Publish(subject string, data []byte) error {
	n.mu.Lock()
	fails, blocks := n.fails, n.blocks
	n.mu.Unlock()
	if blocks != nil {
		<-blocks
	}
	if fails != nil {
		return fails
	}
	for _, other := range n.others() {
		other.mu.Lock()
		if other.listensTo(subject) {
			other.heard++
			other.inbox <- func() { other.message(n.name, subject, data) }
		}
		other.mu.Unlock()
	}
	return nil
}

func (n *node) Ask(ctx context.Context, data []byte, each func(string, []byte)) error {
	type reply struct {
		node string
		data []byte
	}
	others := n.others()
	replies, dead := make(chan reply, len(others)), 0
	for _, other := range others {
		switch {
		case other.dies: // after it was asked: nobody waits for it
			other.asked(n.name, data, func([]byte) {})
			dead++
		case !other.silent:
			other.asked(n.name, data, func(answer []byte) { replies <- reply{other.name, answer} })
		}
	}
	for range len(others) - dead {
		select {
		case r := <-replies:
			n.longest.Store(max(n.longest.Load(), int64(len(r.data))))
			each(r.node, r.data)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hears returns how many messages came since its last call.
func (n *node) hears() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.heard = 0 }()
	return n.heard
}

// join adds a node with a Server. The caller must close it.
func (w *network) join(cfg socketio.Config) (*server, *node) {
	n := &node{network: w, name: fmt.Sprintf("node%04d", len(w.nodes)), inbox: make(chan func(), 10_000)}
	w.mu.Lock()
	w.nodes = append(w.nodes, n)
	w.mu.Unlock()
	cfg.Adapter = n
	return newServer(w.t, cfg), n
}

// inCluster runs a test on three nodes with one client each.
func inCluster(t *testing.T, cfg socketio.Config, f func(t *testing.T, servers []*server, nodes []*node, callers []*caller)) {
	synctest.Test(t, func(t *testing.T) {
		w := &network{t: t}
		var servers []*server
		var callers []*caller
		for range 3 {
			s, _ := w.join(cfg)
			c, _ := s.caller("")
			servers, callers = append(servers, s), append(callers, c)
		}
		synctest.Wait() // all listen
		f(t, servers, w.nodes, callers)
		for i, s := range servers {
			s.close()
			close(w.nodes[i].inbox)
		}
	})
}

// got returns what a client received, once all messages have arrived.
func (c *caller) got() []string {
	c.t.Helper()
	synctest.Wait()
	c.io.Socket(c.sid).Emit("end")
	packets := c.get()
	last := len(packets) - 1
	if !strings.HasPrefix(packets[last], `42["end"`) {
		c.t.Errorf("the last is %s", packets[last])
	}
	return packets[:last]
}

func TestNodesHearEachOther(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		a, io := callers[0], servers[0].io
		a2, _ := servers[0].caller("")
		sockets := make([]*socketio.Socket, 3)
		for i := range sockets {
			sockets[i] = servers[i].io.Socket(callers[i].sid)
			if !strings.HasPrefix(callers[i].sid, nodes[i].name) {
				t.Errorf("%s has a socket %s", nodes[i].name, callers[i].sid)
			}
		}
		sockets[1].Join("x", "y")
		sockets[2].Join("y")
		synctest.Wait()
		io.Emit("1 all")
		io.To("x").Emit("2 x")
		io.To("x", "y").Emit("3 x or y")
		io.To("y").Except("x").Emit("4 y without x")
		io.Except("y").Emit("5 without y")
		io.To(callers[1].sid).Emit("6 one of another node")
		io.To(a.sid).Emit("7 own")
		sockets[0].Broadcast().Emit("8 others")
		sockets[0].To("x").Emit("9 others in x")
		io.Emit("11 bytes", []byte{1, 2, 3})
		io.Local().Emit("12 local")
		io.To("x").Local().Emit("13 local")
		io.To("nobody").Emit("14 nobody")
		io.To().Emit("15 nobody")
		servers[2].io.To("x").Emit("16 from another")
		bytes := []string{`451-["11 bytes",{"_placeholder":true,"num":0}]`, "bAQID"}
		for i, want := range [][]string{
			append([]string{`42["1 all"]`, `42["5 without y"]`, `42["7 own"]`}, append(bytes, `42["12 local"]`)...),
			append([]string{`42["1 all"]`, `42["2 x"]`, `42["3 x or y"]`, `42["6 one of another node"]`, `42["8 others"]`, `42["9 others in x"]`}, append(bytes, `42["16 from another"]`)...),
			append([]string{`42["1 all"]`, `42["3 x or y"]`, `42["4 y without x"]`, `42["8 others"]`}, bytes...),
			append([]string{`42["1 all"]`, `42["5 without y"]`, `42["8 others"]`}, append(bytes, `42["12 local"]`)...),
		} {
			got := append(callers, a2)[i].got()
			if i == 1 { // events of two nodes have no common order
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d got  %q\nwant %q", i, got, want)
			}
		}
		var polled []chan []string
		for _, c := range callers {
			polled = append(polled, c.polled())
		}
		io.Volatile().Emit("volatile")
		for i, got := range polled {
			if texts := <-got; !slices.Equal(texts, []string{`42["volatile"]`}) {
				t.Errorf("%d got %v", i, texts)
			}
		}
		if io.Stats().Failed != 0 {
			t.Errorf("%d failed", io.Stats().Failed)
		}
	})
}

// A node receives only events for rooms in which it has members.
func TestNodesAreToldWhatIsForThem(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		one := servers[1].io.Socket(callers[1].sid)
		expect := func(what string, emit func(socketio.Emitter), want ...int) {
			t.Helper()
			synctest.Wait()
			emit(servers[0].io.Emitter)
			synctest.Wait()
			if got := []int{nodes[0].hears(), nodes[1].hears(), nodes[2].hears()}; !slices.Equal(got, want) {
				t.Errorf("%s: the nodes hear %v, want %v", what, got, want)
			}
		}
		one.Join("x")
		toX := func(e socketio.Emitter) { e.To("x").Emit("a") }
		expect("x", toX, 0, 1, 0)
		expect("all", func(e socketio.Emitter) { e.Emit("a") }, 0, 1, 1)
		expect("one", func(e socketio.Emitter) { e.To(callers[2].sid).Emit("a") }, 0, 0, 1)
		expect("local", func(e socketio.Emitter) { e.Local().Emit("a") }, 0, 0, 0)
		one.Leave("x")
		expect("x, which is left", toX, 0, 0, 0)
		one.Join("x")
		expect("x again", toX, 0, 1, 0)
		expect("x or y", func(e socketio.Emitter) { e.To("x", "y").Emit("a") }, 0, 1, 0)
		expect("one of y or z", func(e socketio.Emitter) { e.To("y", "z").Emit("a") }, 0, 0, 0)
		expect("x or one", func(e socketio.Emitter) { e.To("x", callers[2].sid).Emit("a") }, 0, 1, 1)
		many := []string{"x"}
		for i := range 16 {
			many = append(many, fmt.Sprint("room ", i))
		}
		expect("any of 16 rooms", func(e socketio.Emitter) { e.To(many[:16]...).Emit("a") }, 0, 1, 0)
		expect("one, and long", func(e socketio.Emitter) { e.To(callers[2].sid).Emit("a", strings.Repeat("a", 200_000)) }, 0, 0, 1)
		expect("x or y, and long", func(e socketio.Emitter) { e.To("x", "y").Emit("a", strings.Repeat("a", 200_000)) }, 0, 1, 1)
		expect("any of 17 rooms", func(e socketio.Emitter) { e.To(many...).Emit("a") }, 0, 1, 1)
		servers[2].io.Socket(callers[2].sid).Disconnect(false)
		expect("all, where one has nobody", func(e socketio.Emitter) { e.Emit("a") }, 0, 1, 0)
		servers[0].io.Of("/other")
		expect("another namespace", func(socketio.Emitter) { servers[0].io.Of("/other").Emit("a") }, 0, 0, 0)
	})
}

func TestNodesAreCountedTogether(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		io, ctx := servers[0].io, t.Context()
		if err := io.Except(callers[2].sid).SocketsJoin("x", "y"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		rooms, err := io.Rooms(ctx)
		if err != nil || len(rooms) != 2 || rooms["x"] != 2 || rooms["y"] != 2 {
			t.Errorf("rooms %v, %v", rooms, err)
		}
		servers[2].io.To(callers[1].sid).SocketsLeave("x")
		synctest.Wait()
		for to, want := range map[*socketio.Emitter]int{
			new(io.Emitter): 3, new(io.To("x")): 1, new(io.To("y")): 2, new(io.To("x", "y")): 2, new(io.Except("y")): 1, new(io.To(callers[2].sid)): 1,
			new(io.Local()): 1, new(io.To("none")): 0,
		} {
			n, err := to.Len(ctx)
			infos, err2 := to.Sockets(ctx)
			if n != want || len(infos) != want || errors.Join(err, err2) != nil {
				t.Errorf("%d and %d are counted, want %d; %v %v", n, len(infos), want, err, err2)
			}
		}
		nick.Set(servers[1].io.Socket(callers[1].sid), "bob")
		infos, _ := io.To(callers[1].sid).Sockets(ctx)
		if want := []string{callers[1].sid, "y"}; infos[0].ID != callers[1].sid || !slices.Equal(infos[0].Rooms, want) || string(infos[0].Values["nick"]) != `"bob"` {
			t.Errorf("got %+v", infos[0])
		}
		io.Local().SocketsLeave("y")
		io.To("y").DisconnectSockets(false)
		synctest.Wait()
		if got := callers[1].get(); !slices.Equal(got, []string{"41"}) {
			t.Errorf("got %v", got)
		}
		if n, _ := io.Len(ctx); n != 2 {
			t.Errorf("%d are left", n)
		}
		changes := 0
		io.OnNodes(func() { changes++ })
		if nodes[0].changed(); changes != 1 {
			t.Error("nobody is told that a node came or went")
		}
	})
}

func TestAllNodesAreAsked(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		type result struct {
			answers []socketio.Answer
			err     error
		}
		ask := func(to socketio.Emitter) chan result {
			done := make(chan result, 1)
			go func() {
				answers, err := to.EmitWithAck(t.Context(), "ask", 1)
				slices.SortFunc(answers, func(a, b socketio.Answer) int { return strings.Compare(a.Socket, b.Socket) })
				done <- result{answers, err}
			}()
			synctest.Wait()
			return done
		}
		begin := time.Now()
		done := ask(servers[0].io.Emitter)
		for _, c := range callers {
			if got := c.get(); !slices.Equal(got, []string{`421["ask",1]`}) {
				t.Errorf("got %v", got)
			}
			c.post(`461-1[{"_placeholder":true,"num":0}]`, "bAQID")
		}
		r := <-done
		if r.err != nil || len(r.answers) != 3 || time.Since(begin) != 0 {
			t.Fatalf("%v, %v after %v", r.answers, r.err, time.Since(begin))
		}
		for i, a := range r.answers {
			var bytes []byte
			if a.Socket != callers[i].sid || len(a.Args) != 1 || a.Args[0].Decode(&bytes) != nil || !slices.Equal(bytes, []byte{1, 2, 3}) {
				t.Errorf("%d: got %+v", i, a)
			}
		}
		done = ask(servers[0].io.Local())
		callers[0].get()
		callers[0].post(`432[]`)
		if r := <-done; r.err != nil || len(r.answers) != 1 {
			t.Errorf("%v, %v", r.answers, r.err)
		}
		// A client of another node does not answer, and one node does not answer.
		nodes[2].silent = true
		done = ask(servers[0].io.Emitter)
		callers[0].get()
		callers[0].post(`433[]`)
		r = <-done
		var missing *socketio.MissingError
		if len(r.answers) != 1 || !errors.As(r.err, &missing) || missing.Missing != 1 || !errors.Is(r.err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("%v, %v after %v", r.answers, r.err, time.Since(begin))
		}
		callers[1].get()
		// A client of another node leaves.
		nodes[2].silent = false
		done = ask(servers[0].io.Except(callers[0].sid, callers[2].sid))
		callers[1].get()
		callers[1].lose()
		r = <-done
		if len(r.answers) != 0 || !errors.As(r.err, &missing) || missing.Missing != 1 || !errors.Is(r.err, socketio.ErrClosed) || errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", r.answers, r.err)
		}
		// A client of another node is late.
		if _, err := servers[0].io.To(callers[2].sid).EmitWithAck(t.Context(), "ask"); !errors.As(err, &missing) || missing.Missing != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// A node dies.
		nodes[2].dies = true
		_, err := servers[0].io.To(callers[2].sid).EmitWithAck(t.Context(), "ask")
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), nodes[2].name) {
			t.Error(err)
		}
		nodes[2].silent, nodes[2].dies = true, false
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := servers[0].io.Len(ctx); n != 1 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
		if rooms, err := servers[0].io.Rooms(ctx); rooms == nil || err == nil {
			t.Errorf("%v, %v", rooms, err)
		}
	})
}

// OnAnyOutgoing functions see events from other nodes, and recovery keeps these events.
func TestEventsOfOtherNodesAreLikeOwn(t *testing.T) {
	inCluster(t, socketio.Config{Recovery: time.Minute}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		servers[0].io.Emit("before")
		offset := ""
		for _, c := range callers {
			synctest.Wait()
			offset = c.offset()
		}
		other, _ := servers[2].caller("") // so that this node listens
		seen := make(chan string, 1)
		servers[1].io.Socket(callers[1].sid).OnAnyOutgoing(func(event string, args []any) { seen <- fmt.Sprint(event, len(args)) })
		callers[2].lose()
		servers[0].io.Emit("missed", 1, []byte{1})
		if got := <-seen; got != "missed2" {
			t.Errorf("saw %s", got)
		}
		synctest.Wait()
		again, missed := callers[2].back(offset)
		if again.sid != callers[2].sid || len(missed) != 2 || !strings.HasPrefix(missed[0], `451-["missed",1,`) {
			t.Errorf("was %s and is %s; missed %v", callers[2].sid, again.sid, missed)
		}
		if n := len(other.got()); n != 2 {
			t.Errorf("another got %d", n)
		}
	})
}

func TestNodesThatCannotBeReached(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		nodes[0].fails = errors.New("no network")
		if err := servers[0].io.Emit("a"); err != nil {
			t.Errorf("Emit fails with %v", err)
		}
		if got := callers[0].got(); len(got) != 1 {
			t.Errorf("its own client got %v", got)
		}
		if failed := servers[0].io.Stats().Failed; failed != 1 {
			t.Errorf("%d are counted", failed)
		}
		nodes[0].fails = nil
		servers[0].io.Emit("b")
		if got := callers[1].got(); !slices.Equal(got, []string{`42["b"]`}) {
			t.Errorf("another got %v", got)
		}
	})
}

func TestNonsenseFromOtherNodes(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		emits := func(fields, payload string) string {
			fields = `{"kind":"emit","ns":"/"` + fields + "}"
			return string(rune(len(fields))) + fields + payload
		}
		nonsense := []string{
			"", "x", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x02{}x", "\x05[1,2]", "\x7f{}",
			emits("", ""), emits("", `["connect"]`), emits("", `["a"`), emits("", `["a"] `), emits("", `{}`), emits(`,"lengths":[1]`, `["a",{"_placeholder":true,"num":5}]x`),
			emits(`,"lengths":[-1]`, `["a"]`), emits(`,"lengths":[9999999]`, `["a"]`), emits(`,"rooms":5`, `["a"]`),
		}
		nodes[1].message(nodes[0].name, "x", []byte(emits("", `["right"]`)))
		nodes[1].message(nodes[0].name, "x", []byte(emits(`,"rooms":[]`, `["to nobody"]`)))
		for _, text := range nonsense {
			nodes[1].message(nodes[0].name, "x", []byte(text))
			var answer []byte
			nodes[1].asked(nodes[0].name, []byte(text), func(a []byte) { answer = a })
			if len(answer) != 0 {
				t.Errorf("%q is answered with %q", text, answer)
			}
		}
		if got := callers[1].got(); !slices.Equal(got, []string{`42["right"]`}) {
			t.Errorf("clients got %q", got)
		}
		if failed, want := servers[1].io.Stats().Failed, 2*uint64(len(nonsense)-1); failed != want { // {} is empty but valid
			t.Errorf("%d are counted, want %d", failed, want)
		}
	})
}

// An event for several rooms is published to each of them. A node with members of some of them sends it once, whatever it hears
// in between.
func TestAnEventForSeveralRoomsIsSentOnce(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		const events = 1000
		other, there := servers[0].io.Of("/other"), servers[2].io.Of("/other")
		there.OnConnect(func(s *socketio.Socket) error { return s.Join("x") })
		elsewhere := &caller{server: servers[2], session: servers[2].openCall()}
		elsewhere.post("40/other,")
		elsewhere.get()
		for i, rooms := range [][]string{{"x", "y", "z"}, {"x", "y"}, {"z"}} {
			servers[i].io.Socket(callers[i].sid).Join(rooms...)
		}
		synctest.Wait()
		var emitting sync.WaitGroup
		for _, from := range []socketio.Emitter{servers[0].io.Emitter, other.Emitter} {
			emitting.Go(func() {
				for range events {
					from.To("x", "y", "z").Emit("a")
				}
			})
		}
		emitting.Wait()
		synctest.Wait()
		for i, c := range append(callers, elsewhere) {
			if got := c.get(); len(got) != events {
				t.Errorf("%d got %d events, not %d", i, len(got), events)
			}
		}
	})
}

// A room may have the id of a socket as its name: its members, on any node, receive its events once.
func TestTheRoomOfASocketOnAnotherNode(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		neighbour, _ := servers[1].caller("")
		id := callers[1].sid
		servers[1].io.Socket(neighbour.sid).Join(id)
		servers[2].io.Socket(callers[2].sid).Join(id)
		synctest.Wait()
		servers[0].io.To(id).Emit("a")
		servers[1].io.To(id).Emit("b")
		for i, c := range []*caller{callers[1], neighbour, callers[2]} {
			if got := c.got(); len(got) != 2 {
				t.Errorf("%d got %v", i, got)
			}
		}
		if got := callers[0].got(); len(got) != 0 {
			t.Errorf("one that is not meant got %v", got)
		}
	})
}

// DisconnectSockets(true) ends connections to other nodes, too.
func TestDisconnectAllOnOtherNodes(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		servers[0].io.To(callers[1].sid).DisconnectSockets(true)
		synctest.Wait()
		for _, want := range []string{"41", "1"} {
			if got := callers[1].get(); !slices.Equal(got, []string{want}) {
				t.Errorf("got %v, want %s", got, want)
			}
		}
	})
}

// Volatile and OnAnyOutgoing hold for events that other nodes want acknowledged.
func TestAcknowledgementsOnOtherNodes(t *testing.T) {
	inCluster(t, socketio.Config{AckTimeout: time.Second}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		servers[1].io.Emit("waits")
		callers[0].got()
		synctest.Wait()
		servers[0].io.To(callers[1].sid).Volatile().EmitWithAck(t.Context(), "volatile")
		if got := callers[1].got(); !slices.Equal(got, []string{`42["waits"]`}) {
			t.Errorf("got %v", got)
		}
		seen := make(chan string, 1)
		servers[1].io.Socket(callers[1].sid).OnAnyOutgoing(func(event string, args []any) { seen <- fmt.Sprint(event, len(args)) })
		servers[0].io.To(callers[1].sid).EmitWithAck(t.Context(), "ask", 1)
		select {
		case got := <-seen:
			if got != "ask1" {
				t.Errorf("saw %s", got)
			}
		default:
			t.Error("saw nothing")
		}
	})
}

// A panic in an OnAnyOutgoing function does not end the process, and what clients answer does not grow on its way.
func TestQuestionsAndAnswersOfThreeNodes(t *testing.T) {
	inCluster(t, socketio.Config{AckTimeout: time.Second}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		servers[0].io.Socket(callers[0].sid).OnAnyOutgoing(func(string, []any) { panic("in OnAnyOutgoing") })
		const size = 10_000
		var asked sync.WaitGroup
		asked.Go(func() {
			answers, err := servers[0].io.EmitWithAck(t.Context(), "ask")
			if len(answers) != 3 || err != nil {
				t.Errorf("%d answers, %v", len(answers), err)
			}
		})
		for _, c := range callers {
			id := strings.TrimSuffix(strings.TrimPrefix(c.get()[0], "42"), `["ask"]`)
			c.post("43" + id + `["` + strings.Repeat("<", size) + `"]`)
		}
		asked.Wait()
		if n := nodes[0].longest.Load(); n < size || n > size+200 {
			t.Errorf("an answer of %d bytes was sent in %d", size, n)
		}
	})
}

// A pattern does nothing to the sockets of other nodes, not even if it is a name.
func TestAPatternThatIsAName(t *testing.T) {
	inCluster(t, socketio.Config{}, func(t *testing.T, servers []*server, nodes []*node, callers []*caller) {
		var patterns []*socketio.Namespace
		for i, s := range servers {
			patterns = append(patterns, s.io.OfMatch(regexp.MustCompile("/admin")))
			callers[i].post("40/admin,")
			callers[i].get()
		}
		synctest.Wait()
		patterns[0].DisconnectSockets(false)
		synctest.Wait()
		for i, s := range servers {
			if n := s.io.Users("/admin"); n != 1 {
				t.Errorf("node %d has %d sockets", i, n)
			}
		}
	})
}
