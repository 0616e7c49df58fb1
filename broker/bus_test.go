package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"echows/internal/metrictest"
	"echows/internal/natstest"
)

// peer is a node of the tests: a Broker of its own and a Bus.
type peer struct {
	*Bus
	broker *Broker

	mu       sync.Mutex
	got      []string // "node subject data"
	changes  int
	answer   func(data []byte, answer func([]byte))
	received func() // is called for each message, if set
}

// Times for tests: nodes that fall silent are noticed soon, and a busy machine's are not.
const (
	testBeat    = 50 * time.Millisecond
	testSilence = 5 * time.Second
)

func openPeer(t testing.TB, url string) *peer { return openPeerTimes(t, url, testBeat, testSilence) }

func openPeerTimes(t testing.TB, url string, beat, silence time.Duration) *peer {
	t.Helper()
	p := &peer{broker: openBroker(t, Config{URL: url})}
	bus, err := p.broker.openBus(testContext(t), "test", beat, silence)
	if err != nil {
		t.Fatal(err)
	}
	p.Bus = bus
	bus.Serve(p.receive, p.reply, func() { p.mu.Lock(); defer p.mu.Unlock(); p.changes++ })
	return p
}

func (p *peer) receive(node, subject string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, node+" "+subject+" "+string(data))
	if p.received != nil {
		p.received()
	}
}

func (p *peer) reply(node string, data []byte, answer func([]byte)) {
	p.mu.Lock()
	f := p.answer
	p.mu.Unlock()
	if f == nil {
		f = func(data []byte, answer func([]byte)) { answer(append([]byte("re: "), data...)) }
	}
	f(data, answer)
}

func (p *peer) answers(f func(data []byte, answer func([]byte))) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

func (p *peer) messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// wait waits for n messages, and returns all.
func (p *peer) wait(t testing.TB, n int) []string {
	t.Helper()
	eventually(t, fmt.Sprint(n, " messages"), func() bool { return len(p.messages()) >= n })
	return p.messages()
}

// knows waits until the peer's nodes are these.
func (p *peer) knows(t testing.TB, others ...*peer) {
	t.Helper()
	ids := []string{}
	for _, o := range others {
		ids = append(ids, o.Node())
	}
	slices.Sort(ids)
	eventually(t, fmt.Sprint(p.Node(), " knows ", ids), func() bool { return slices.Equal(p.Nodes(), ids) })
}

func listen(t testing.TB, p *peer, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		if err := p.Listen(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// publish publishes, from any goroutine.
func publish(t testing.TB, p *peer, subject, data string) {
	t.Helper()
	if err := p.Publish(subject, []byte(data)); err != nil {
		t.Error(err)
	}
}

// peers are three nodes of one server, who know each other.
func peers(t testing.TB, url string) (one, two, three *peer) {
	t.Helper()
	one, two, three = openPeer(t, url), openPeer(t, url), openPeer(t, url)
	one.knows(t, two, three)
	two.knows(t, one, three)
	three.knows(t, one, two)
	return one, two, three
}

func natsURL(t *testing.T) string { return startNATS(t, t.TempDir(), -1).ClientURL() }

func TestTheBusKeepsTheOrderOfEachNode(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	all := []*peer{one, two, three}
	for _, p := range all {
		listen(t, p, "room.a", "room.b", "room.C_c-3")
	}
	const each = 2000
	var publishers sync.WaitGroup
	for _, p := range all {
		publishers.Go(func() {
			for i := range each {
				publish(t, p, []string{"room.a", "room.b", "room.C_c-3"}[i%3], strconv.Itoa(i))
			}
		})
	}
	publishers.Wait()
	for _, p := range all {
		next := map[string]int{}
		for _, m := range p.wait(t, 2*each) {
			f := strings.Fields(m)
			node, subject, i := f[0], f[1], f[2]
			if want := next[node]; i != strconv.Itoa(want) || subject != []string{"room.a", "room.b", "room.C_c-3"}[want%3] {
				t.Fatalf("got %q, want number %d", m, want)
			}
			next[node]++
		}
		if next[p.Node()] != 0 || len(next) != 2 {
			t.Errorf("%s got messages of %v", p.Node(), next)
		}
		if err := p.Flush(testContext(t)); err != nil {
			t.Error(err)
		}
		if s := p.Stats(); s != (BusStats{Published: each, Received: 2 * each, Nodes: 2}) {
			t.Errorf("counted %+v", s)
		}
	}
}

func TestOnlyListenersGetAMessage(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	listen(t, two, "a", "b")
	publish(t, one, "a", "1")
	publish(t, one, "other", "2")
	two.wait(t, 1)
	two.Unlisten("a")
	if err := two.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	publish(t, one, "a", "3")
	publish(t, one, "b", "4")
	want := []string{one.Node() + " a 1", one.Node() + " b 4"}
	if got := two.wait(t, 2); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesOfTheBus(t *testing.T) {
	one := openPeer(t, natsURL(t))
	for _, subject := range []string{"", "*", "a.*", "a.>", ".a", "a.", "a..b", "a b", "ä", "a\r\n", strings.Repeat("a", 201)} {
		if err := one.Publish(subject, nil); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("published to %q: %v", subject, err)
		}
		if err := one.Listen(subject); err == nil {
			t.Errorf("listened to %q", subject)
		}
	}
	for _, name := range []string{"", "A", "a.b", "*", "a1"} {
		if _, err := one.broker.OpenBus(testContext(t), name); err == nil {
			t.Errorf("opened %q", name)
		}
	}
	if id := one.Node(); !regexp.MustCompile(`^[a-z0-9]{8}$`).MatchString(id) {
		t.Errorf("a node is called %q", id)
	}
}

func TestAsk(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	later := make(chan func([]byte), 1)
	three.answers(func(_ []byte, answer func([]byte)) { later <- answer })
	got, answered := map[string]string{}, make(chan struct{})
	err := one.Ask(testContext(t), []byte("how many?"), func(node string, answer []byte) {
		if got[node] = string(answer); node == two.Node() { // only then does the other one answer
			answer := <-later
			go func() { answer([]byte("late")); answer([]byte("again")); close(answered) }()
		}
	})
	want := map[string]string{two.Node(): "re: how many?", three.Node(): "late"}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	<-answered
	if err := three.Flush(testContext(t)); err != nil || three.Stats().Published != 1 {
		t.Errorf("an answer counts once: %+v, %v", three.Stats(), err)
	}
}

func TestAskWithoutOthers(t *testing.T) {
	one := openPeer(t, natsURL(t))
	if err := one.Ask(testContext(t), nil, func(string, []byte) { t.Error("somebody answered") }); err != nil {
		t.Error(err)
	}
}

func TestManyAsksAtOnce(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	var askers sync.WaitGroup
	for i := range 100 {
		askers.Go(func() {
			p := []*peer{one, two, three}[i%3]
			answers := 0
			err := p.Ask(testContext(t), fmt.Append(nil, i), func(_ string, answer []byte) {
				if answers++; string(answer) != fmt.Sprint("re: ", i) {
					t.Errorf("%d was answered %q", i, answer)
				}
			})
			if err != nil || answers != 2 {
				t.Errorf("%d answers, %v", answers, err)
			}
		})
	}
	askers.Wait()
}

func TestAskNamesSilentNodes(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	three.answers(func([]byte, func([]byte)) {})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(testContext(t))
	answered := 0
	err := one.Ask(ctx, nil, func(node string, _ []byte) {
		if answered++; node != two.Node() {
			t.Errorf("%s answered", node)
		}
		cancel(cause)
	})
	var unanswered *Unanswered
	if !errors.As(err, &unanswered) || !errors.Is(err, cause) || answered != 1 {
		t.Fatalf("%d answers, %v", answered, err)
	}
	if want := []string{three.Node()}; !slices.Equal(unanswered.Nodes, want) || !strings.Contains(err.Error(), want[0]) {
		t.Errorf("%v did not answer, want %v", unanswered.Nodes, want)
	}
}

func TestAskNode(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	three.answers(func([]byte, func([]byte)) { t.Error("another is asked") })
	if got, err := one.AskNode(testContext(t), two.Node(), []byte("who?")); err != nil || string(got) != "re: who?" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, node := range []string{"", "abcdefgh", "*", one.Node(), two.Node() + ".>"} {
		if _, err := one.AskNode(testContext(t), node, nil); !errors.Is(err, ErrNoNode) {
			t.Errorf("asked %q: %v", node, err)
		}
	}
	two.answers(func([]byte, func([]byte)) {})
	ctx, cancel := context.WithTimeout(testContext(t), 20*time.Millisecond)
	defer cancel()
	if _, err := one.AskNode(ctx, two.Node(), nil); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers: %v", err)
	}
}

// A process that is killed says no goodbye. Its server ends its connection, and NATS says so at once.
func TestAskNodeOfAKilledNode(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openPeerTimes(t, url, testBeat, time.Hour), openPeer(t, p.url())
	one.knows(t, two)
	p.Cut()
	eventually(t, "it is not there", func() bool {
		ctx, cancel := context.WithTimeout(testContext(t), time.Second)
		defer cancel()
		_, err := one.AskNode(ctx, two.Node(), nil)
		return errors.Is(err, ErrNoNode)
	})
	if got := one.Nodes(); len(got) != 1 {
		t.Errorf("its silence was noticed before: %v", got)
	}
	p = startProxy(t, url)
	three := openPeer(t, p.url())
	one.knows(t, two, three)
	result := make(chan error)
	asked := make(chan struct{})
	three.answers(func([]byte, func([]byte)) { close(asked) })
	go func() { _, err := one.AskNode(testContext(t), three.Node(), nil); result <- err }()
	<-asked
	three.Close()
	if err := <-result; !errors.Is(err, ErrNoNode) {
		t.Errorf("it says goodbye: %v", err)
	}
}

func TestAskNodeWhileCutOff(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openPeer(t, url), openPeer(t, p.url())
	two.knows(t, one)
	asked, result := make(chan struct{}), make(chan error)
	one.answers(func([]byte, func([]byte)) { close(asked) })
	go func() { _, err := two.AskNode(testContext(t), one.Node(), nil); result <- err }()
	<-asked
	p.Cut()
	if err := <-result; !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoNode) {
		t.Errorf("it was cut off while it waited: %v", err)
	}
	if _, err := two.AskNode(testContext(t), one.Node(), nil); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

func TestANumberGoesWithTheSignsOfLife(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	if _, ok := one.Number("abcdefgh"); ok {
		t.Error("a node that never was has a number")
	}
	two.SetNumber(7)
	eventually(t, "seven", func() bool { n, ok := one.Number(two.Node()); return ok && n == 7 })
	eventually(t, "none", func() bool { n, ok := one.Number(three.Node()); return ok && n == 0 })
	listen(t, one, "beat")
	publish(t, two, "beat", "87654321") // is no sign of life
	one.wait(t, 1)
	if n, _ := one.Number(two.Node()); n != 7 {
		t.Errorf("the number is %d", n)
	}
}

// ask asks in the background, and waits until the other has the question.
func ask(t *testing.T, from, to *peer) (result <-chan error) {
	t.Helper()
	asked, done := make(chan struct{}), make(chan error, 1)
	to.answers(func([]byte, func([]byte)) { close(asked) })
	go func() { done <- from.Ask(testContext(t), nil, func(string, []byte) {}) }()
	<-asked
	return done
}

func TestAskDoesNotWaitForALeavingNode(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	result := ask(t, one, two)
	two.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestAskDoesNotWaitForADeadNode(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openPeer(t, url), openPeer(t, p.url())
	one.knows(t, two)
	result := ask(t, one, two)
	p.Cut()
	if err := <-result; err != nil {
		t.Error(err)
	}
	one.knows(t)
}

func TestAskWhileCutOff(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openPeer(t, url), openPeer(t, p.url())
	two.knows(t, one)
	result := ask(t, two, one)
	p.Cut()
	if err := <-result; !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if err := two.Ask(testContext(t), nil, nil); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

func TestLiveNodes(t *testing.T) {
	url := natsURL(t)
	// Nobody is found by a sign of life, and nobody lost by silence.
	one := openPeerTimes(t, url, time.Hour, time.Hour)
	two := openPeerTimes(t, url, time.Hour, time.Hour)
	three := openPeerTimes(t, url, time.Hour, time.Hour)
	one.knows(t, two, three)
	two.knows(t, one, three)
	three.knows(t, one, two)
	two.Close()
	two.Close()
	one.knows(t, three)
	three.knows(t, one)
	three.broker.Close() // as a process ends that shuts down
	one.knows(t)
	eventually(t, "four changes", func() bool { one.mu.Lock(); defer one.mu.Unlock(); return one.changes == 4 })
	if err := two.Publish("a", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("published on a closed bus: %v", err)
	}
	if err := two.Flush(testContext(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("flushed a closed bus: %v", err)
	}
}

// A node whose goodbye comes between its signs of life stays away.
func TestAGoodbyeIsTheLast(t *testing.T) {
	url := natsURL(t)
	one := openPeerTimes(t, url, time.Hour, time.Hour)
	for range 20 {
		two := openPeerTimes(t, url, time.Millisecond, time.Hour)
		one.knows(t, two)
		two.Close()
		one.knows(t)
	}
	eventually(t, "forty changes", func() bool { one.mu.Lock(); defer one.mu.Unlock(); return one.changes == 40 })
}

// idleBus is one whose messages the test hands over, in the order that matters.
func idleBus(t *testing.T) *Bus {
	t.Helper()
	b, err := openBroker(t, Config{}).OpenBus(testContext(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	b.changed = func() {}
	return b
}

const foreignNode = "other123"

func foreign(kind string) *nats.Msg {
	return &nats.Msg{Subject: "bus.test." + busAll, Data: []byte(foreignNode + kind)}
}

func TestASignOfLifeThatWaits(t *testing.T) {
	b := idleBus(t)
	b.receive(foreign("h"))
	if got := b.Nodes(); !slices.Equal(got, []string{foreignNode}) {
		t.Fatalf("nodes %v", got)
	}
	// Whoever was silent as long as we were busy is not gone.
	b.nodes[foreignNode].heard = time.Now().Add(-time.Hour)
	b.beats.queue <- foreign("")
	if b.sweep(); len(b.Nodes()) != 1 {
		t.Error("it is lost with a sign of life in hand")
	}
	// It came before the goodbye, and is noticed with it.
	b.beats.queue <- foreign("")
	b.receive(foreign("b"))
	if b.hearAll(); len(b.Nodes()) != 0 {
		t.Error("it is back after its goodbye")
	}
}

func TestAnAnswerTooLate(t *testing.T) {
	b := idleBus(t)
	b.receive(foreign("h"))
	id, a := b.newAsking()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.unanswered(ctx, a, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.answered(foreignNode, id, nil)
	b.receive(foreign("b"))
}

func TestANodeThatComesBack(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one, two := openPeer(t, url), openPeer(t, p.url())
	listen(t, two, "a")
	one.knows(t, two)
	id := two.Node()
	p.Cut()
	one.knows(t)
	two.knows(t)
	eventually(t, "the connection is known to be gone", func() bool { return errors.Is(two.Publish("a", nil), ErrUnavailable) })
	failed := two.Stats().Failed
	if err := two.Publish("a", nil); !errors.Is(err, ErrUnavailable) || two.Stats().Failed != failed+1 {
		t.Errorf("published without a connection: %v, %+v", err, two.Stats())
	}
	publish(t, one, "a", "nobody hears this")
	// One that was accepted a moment before is not kept for later.
	if two.send(outgoing{subject: "a", counted: true}); two.Stats().Failed != failed+2 {
		t.Errorf("counted %+v", two.Stats())
	}
	p.Mend()
	one.knows(t, two)
	two.knows(t, one)
	if two.Node() != id {
		t.Error("it has another id")
	}
	publish(t, one, "a", "back")
	if got := two.wait(t, 1); !slices.Equal(got, []string{one.Node() + " a back"}) {
		t.Errorf("got %q", got)
	}
}

// The server ends the connection, as it does with who is too slow.
func TestANodeThatTheServerDrops(t *testing.T) {
	s := startNATS(t, t.TempDir(), -1)
	one, two := openPeer(t, s.ClientURL()), openPeer(t, s.ClientURL())
	one.knows(t, two)
	id, err := two.broker.conn.GetClientID()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DisconnectClientByID(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a reconnection", func() bool { return two.broker.conn.Stats().Reconnects == 1 && two.broker.up.Load() })
	one.knows(t, two)
	two.knows(t, one)
	listen(t, one, "a")
	publish(t, two, "a", "1")
	one.wait(t, 1)
}

func TestPublishNeverWaits(t *testing.T) {
	url := natsURL(t)
	p := startProxy(t, url)
	one := openPeer(t, p.url())
	p.Freeze()
	data := make([]byte, 64<<10)
	start := time.Now()
	var err error
	for n := 0; err == nil; n += len(data) {
		if n > 1<<30 {
			t.Fatal("a gigabyte waits")
		}
		err = one.Publish("a", data)
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if time.Since(start) >= writeTime { // a connection alone waits that long for each write
		t.Errorf("it took %v", time.Since(start))
	}
	p.Mend()
	eventually(t, "it goes on", func() bool { return one.Publish("a", nil) == nil })
}

// A node that does not keep up loses messages, and counts them. Its heartbeats go on.
func TestASlowNode(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	listen(t, two, "a")
	var log lockedBuffer
	two.broker.log = testLogger(&log)
	first, wait := make(chan struct{}, 1), make(chan struct{})
	two.received = func() {
		select {
		case first <- struct{}{}:
		default:
		}
		<-wait
	}
	publish(t, one, "a", "first")
	<-first
	const all = listenQueue + 1000
	for i := range all - 1 {
		publish(t, one, "a", strconv.Itoa(i))
	}
	eventually(t, "all are there", func() bool { return int(two.Stats().Dropped)+len(two.queue.queue) >= all-1 })
	eventually(t, "it is said", func() bool { return strings.Contains(log.String(), "dropped") })
	one.knows(t, two, three)
	close(wait)
	eventually(t, "the rest is handed over", func() bool { s := two.Stats(); return s.Received+s.Dropped == all })
	if s := two.Stats(); s.Dropped < 900 {
		t.Errorf("counted %+v", s)
	}
	if got := metrictest.Value(t, two.broker.Collector(), "echows_limits_reached_total", "limit", "node_messages"); got < 1 {
		t.Errorf("the limit was reached %v times", got)
	}
}

func TestTheBusOfACluster(t *testing.T) {
	c := startCluster(t)
	one, two, three := openPeer(t, c.url(0)), openPeer(t, c.url(1)), openPeer(t, c.url(2))
	for _, p := range []*peer{one, two, three} {
		listen(t, p, "a", "b")
	}
	one.knows(t, two, three)
	two.knows(t, one, three)
	three.knows(t, one, two)
	// Other servers hear a moment later of who listens.
	eventually(t, "who listens is known", func() bool {
		publish(t, one, "a", "-")
		publish(t, one, "b", "-")
		return len(two.messages()) > 1 && len(three.messages()) > 1
	})
	const each = 1000
	for i := range each {
		publish(t, one, []string{"a", "b"}[i%2], strconv.Itoa(i))
	}
	last := one.Node() + " b " + strconv.Itoa(each-1)
	for _, p := range []*peer{two, three} {
		eventually(t, "the last message", func() bool { got := p.messages(); return got[len(got)-1] == last })
		got := p.messages()
		got = got[len(got)-each:]
		for i, m := range got {
			if !strings.HasSuffix(m, " "+strconv.Itoa(i)) {
				t.Fatalf("number %d is %q", i, m)
			}
		}
	}
	answers := 0
	if err := two.Ask(testContext(t), nil, func(string, []byte) { answers++ }); err != nil || answers != 2 {
		t.Errorf("%d answers, %v", answers, err)
	}
	c.stop(0) // one's server: it goes to another
	eventually(t, "one is back", func() bool {
		answers := 0
		ctx, cancel := context.WithTimeout(testContext(t), time.Second) // a question may be lost on the way
		defer cancel()
		err := one.Ask(ctx, nil, func(string, []byte) { answers++ })
		return err == nil && answers == 2
	})
	two.knows(t, one, three)
}

// Messages that no bus has sent do no harm.
func TestForeignMessagesOnTheBus(t *testing.T) {
	one, two, three := peers(t, natsURL(t))
	listen(t, two, "a")
	id := one.Node()
	for subject, data := range map[string]string{
		"m.a":              "short",
		"all":              id,
		"all ":             "",
		"beat":             "*.>?ABCD",
		"to." + two.Node(): id + "a1234567",
	} {
		subject = strings.TrimSpace(subject)
		if err := one.broker.conn.Publish("bus.test."+subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"q1234", "a12345678", "?", ""} {
		if err := one.broker.conn.Publish("bus.test.all", []byte(id+kind)); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	publish(t, one, "a", "good")
	if got := two.wait(t, 1); !slices.Equal(got, []string{id + " a good"}) {
		t.Errorf("got %q", got)
	}
	two.knows(t, one, three)
}

func TestDataMayBeUsedAgain(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	listen(t, two, "a")
	data := []byte("first")
	for range 100 {
		copy(data, "first")
		if err := one.Publish("a", data); err != nil {
			t.Fatal(err)
		}
		copy(data, "again")
	}
	for _, m := range two.wait(t, 100) {
		if !strings.HasSuffix(m, "first") {
			t.Fatalf("got %q", m)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	s := natstest.Start(b)
	one, two := openPeer(b, s), openPeer(b, s)
	got := make(chan struct{}, 1)
	two.received = func() { two.got = two.got[:0]; got <- struct{}{} }
	listen(b, two, "a")
	one.knows(b, two)
	data := bytes.Repeat([]byte("x"), 100)
	b.ResetTimer()
	for b.Loop() {
		if err := one.Publish("a", data); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
