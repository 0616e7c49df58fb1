package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"echows/bench/internal/cluster"
)

const people = 60

// rooms are those that clients join: each is in two of every three.
var rooms = []string{"red", "green", "blue", "grey"}

// breakage is one way to break a cluster.
type breakage struct {
	name string
	run  func(*trial)
}

var runs = []breakage{
	{"quiet", quiet},
	{"kill", killNodes},
	{"two", killTwo},
	{"leader", killLeader},
	{"cut", cutOff},
	{"freeze", freeze},
	{"graceful", restartNodes},
	{"all", restartNATS},
}

// trial is a run in progress.
type trial struct {
	built programs
	*nodes
	clients *clients
	faults  []fault
	wrong   []string // answers that should not have come
}

func now() float64 { return milliseconds(time.Now()) }

func (t *trial) open() {
	if !does[bool](t.clients, "open", map[string]any{"nodes": t.urls(), "count": people, "rooms": rooms}) {
		log.Fatal("not all clients could join their rooms")
	}
	time.Sleep(margin * time.Millisecond)
}

// load makes clients emit perSecond times a second, and with churn join and leave, too.
func (t *trial) load(perSecond int, churn bool) {
	does[any](t.clients, "load", map[string]any{"pause": 1000 / perSecond, "churn": churn, "rooms": rooms})
}

func (t *trial) alive(places ...int) { does[any](t.clients, "alive", map[string]any{"places": places}) }

func (t *trial) move(place int, part float64) int {
	return does[int](t.clients, "move", map[string]any{"place": place, "part": part})
}

// settled waits until all clients are connected.
func (t *trial) settled() {
	if missing := does[int](t.clients, "settled", nil); missing > 0 {
		t.wrong = append(t.wrong, fmt.Sprint(missing, " clients are not connected"))
	}
}

// spread brings a third of each other node's clients to a place.
func (t *trial) spread(place int) {
	t.alive(place)
	for other := range size {
		if other != place {
			t.move(other, 1.0/3)
		}
	}
	t.settled()
	t.alive(0, 1, 2)
}

// finish ends the load, waits for what is in flight, and makes sure that everything works on all nodes.
func (t *trial) finish() {
	does[any](t.clients, "quiet", nil)
	t.settled()
	does[any](t.clients, "still", nil)
	t.ask("poll", fmt.Sprintf("[%d ]", people))
	t.ask("count", fmt.Sprintf("[%d %d ]", people, people))
}

// ask makes a client of each node ask for something, and compares the answers.
func (t *trial) ask(what, want string) {
	for place, answer := range does[[][]any](t.clients, "ask", map[string]any{"what": what}) {
		if got := fmt.Sprint(answer); got != want {
			t.wrong = append(t.wrong, fmt.Sprintf("%s on the node %d was answered with %s, not %s", what, place, got, want))
		}
	}
}

// quiet breaks nothing.
func quiet(t *trial) {
	t.load(100, true)
	time.Sleep(8 * time.Second)
	t.ask("poll", fmt.Sprintf("[%d ]", people))
	time.Sleep(2 * time.Second)
}

// killNodes kills one node after another, while clients of the others are on their way to yet another; its clients go
// elsewhere.
func killNodes(t *trial) {
	t.load(100, true)
	for place := range size {
		time.Sleep(2 * time.Second)
		for _, other := range others(place) {
			t.move(other, 0.3)
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		t.alive(others(place)...)
		at := now()
		cluster.Kill(t.cmds[place])
		t.faults = append(t.faults, fault{place: place, from: at, to: now(), acked: true})
		t.settled()
		time.Sleep(2 * time.Second)
		t.startNode(t.built, place)
		t.spread(place)
	}
	time.Sleep(2 * time.Second)
}

// killTwo kills a node, and then another, while the clients of the first come back to it.
func killTwo(t *trial) {
	t.load(100, true)
	for round := range 3 {
		first, second := round, (round+1)%size
		time.Sleep(2 * time.Second)
		t.alive(others(first)...)
		at := now()
		cluster.Kill(t.cmds[first])
		t.faults = append(t.faults, fault{place: first, from: at, to: now(), acked: true})
		time.Sleep(time.Duration(200+rand.IntN(1500)) * time.Millisecond) // the other nodes are asked who knows them
		t.alive((round + 2) % size)
		at = now()
		cluster.Kill(t.cmds[second])
		t.faults = append(t.faults, fault{place: second, from: at, to: now(), acked: true})
		t.settled()
		for _, place := range []int{first, second} {
			t.startNode(t.built, place)
			t.spread(place)
		}
	}
	time.Sleep(2 * time.Second)
}

// killLeader kills the NATS server that leads the journal's stream.
func killLeader(t *trial) {
	t.load(60, false)
	time.Sleep(2 * time.Second)
	leader := t.leader()
	at := now()
	cluster.Kill(t.nats.Cmds[leader])
	time.Sleep(2 * time.Second)
	t.move(0, 0.5)
	time.Sleep(10 * time.Second)
	t.nats.Start(leader)
	time.Sleep(3 * time.Second)
	t.faults = append(t.faults, fault{place: -1, from: at, to: now() - 3000, acked: true, apart: true})
	t.move(1, 0.5)
	time.Sleep(2 * time.Second)
}

// cutTime is how long a node is cut off from NATS.
const cutTime = 10 * time.Second

// cutOff ends a node's connections to NATS for a while. During the cut half of its clients go elsewhere, others come to
// it, and some of each node's lose their network until the nodes know of each other again; then half of its clients move.
func cutOff(t *trial) { t.apart(t.proxies[0].Cut, t.proxies[0].Mend) }

// freeze is a silent cutOff: nothing passes.
func freeze(t *trial) { t.apart(func() { t.proxies[0].Freeze() }, t.proxies[0].Thaw) }

func (t *trial) apart(cut, mend func()) {
	t.load(60, false)
	time.Sleep(2 * time.Second)
	at := now()
	cut()
	time.Sleep(cutTime / 10)
	for place := range size {
		does[any](t.clients, "leave", map[string]any{"place": place, "part": 0.2})
	}
	time.Sleep(cutTime / 5)
	t.alive(1, 2)
	t.move(0, 0.5)
	time.Sleep(cutTime / 3)
	t.alive(0)
	t.move(1, 0.2) // to the one that is cut off
	time.Sleep(cutTime / 3)
	mend()
	t.alive(0, 1, 2)
	time.Sleep(3 * time.Second)
	t.faults = append(t.faults, fault{place: 0, from: at, to: now(), acked: true, apart: true})
	time.Sleep(time.Second)
	does[any](t.clients, "back", nil)
	t.settled()
	t.alive(1, 2)
	t.move(0, 0.5)
	t.settled()
	t.alive(0, 1, 2)
	time.Sleep(3 * time.Second)
}

// restartNodes ends and restarts one node after another, as in a rolling restart.
func restartNodes(t *trial) {
	t.load(100, true)
	for place := range size {
		time.Sleep(2 * time.Second)
		t.alive(others(place)...)
		at := now()
		took := cluster.Terminate(t.cmds[place])
		t.faults = append(t.faults, fault{place: place, from: at, to: now()})
		log.Printf("graceful: node %d ended in %v", place, took.Round(time.Millisecond))
		if took > 5*time.Second {
			t.wrong = append(t.wrong, fmt.Sprintf("node %d took %v to end", place, took))
		}
		t.settled()
		t.startNode(t.built, place)
		t.spread(place)
	}
	time.Sleep(2 * time.Second)
}

// restartNATS kills all NATS servers at once; when they are back, they have lost what was in their memory.
func restartNATS(t *trial) {
	t.load(60, false)
	time.Sleep(2 * time.Second)
	at := now()
	for _, cmd := range t.nats.Cmds {
		cluster.Kill(cmd)
	}
	time.Sleep(time.Second)
	t.move(0, 0.5)
	time.Sleep(2 * time.Second)
	for i := range size {
		t.nats.Start(i)
	}
	t.leader()
	time.Sleep(8 * time.Second)
	t.faults = append(t.faults, fault{place: -1, from: at, to: now(), acked: true, apart: true, forgot: true})
	t.settled()
	t.move(1, 0.5)
	time.Sleep(2 * time.Second)
	t.settled()
	time.Sleep(2 * time.Second)
}

func others(place int) []int {
	return []int{(place + 1) % size, (place + 2) % size}
}
