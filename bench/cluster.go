package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"echows/bench/internal/cluster"
	"echows/broker"
)

// The chat on one, two and three nodes, each a process with its part of the members, and three NATS servers that sync
// before they acknowledge. All are restarted for each measurement; only the nodes' CPU time counts.

func withCluster(temp string) ([]*exec.Cmd, string) {
	n := cluster.NewNATS(cluster.BuildNATS(temp, ".."), temp, true)
	for i := range cluster.Size {
		n.Start(i)
	}
	n.Meet()
	return n.Cmds[:], n.URL()
}

// clusterChat is one node.
func clusterChat(l net.Listener) error {
	return serveChat(l, broker.Config{URL: os.Getenv(brokerURL)})
}

const (
	nodeMembers = 100
	nodePosters = 50
	steady      = 200 // posts a second, of all posters together: far below what a node can take
	longer      = 5   // times as long as others for loads that take few ticks of CPU time
)

// nodePosts is posts, and then a steady rate of them, so that the CPU time of one node and of three can be compared: at its
// limit, each would batch as many messages as it had to. The steady rate runs twice: with the same members on more nodes,
// where each node pays a message's fixed cost for fewer members, and with as many members on each node as were on one.
func nodePosts(p *process, length time.Duration) result {
	r := posts(p, length, nodeMembers, nodePosters)
	for i, members := range []int{nodeMembers, nodeMembers * len(p.nodes)} {
		room := meet(p, members)
		stop := room.steadily()
		r.each[i] = measure(p, longer*length, &room.shown).cost
		stop()
		room.leave()
	}
	return r
}

// steadily makes members post at a steady rate until stop is called.
func (r *room) steadily() (stop func()) {
	var all sync.WaitGroup
	var over atomic.Bool
	pause := time.Second * nodePosters / steady
	for i, m := range r.members[:nodePosters] {
		all.Go(func() {
			next := time.Now().Add(pause * time.Duration(i) / nodePosters)
			for ; !over.Load(); next = next.Add(pause) {
				time.Sleep(time.Until(next))
				r.post(m)
				<-m.acked
			}
		})
	}
	return func() {
		over.Store(true)
		all.Wait()
	}
}

// effort is what a node does in a second.
type effort struct {
	cpu   time.Duration
	bytes float64 // read and written
}

// idleNode puts everybody on the first two nodes of three, and measures the third.
func idleNode(p *process, length time.Duration) (r result) {
	p.taken = 2
	room := meet(p, nodeMembers)
	defer room.leave()
	third := p.nodes[2]
	r.idle[0] = third.effort(longer * length)
	stop := room.steadily()
	defer stop()
	r.idle[1] = third.effort(longer * length)
	r.cost = float64(r.idle[1].cpu)
	return r
}

func (n node) effort(length time.Duration) effort {
	time.Sleep(length / 4)
	cpu, bytes, begin := n.cpu(), n.bytes(), time.Now()
	time.Sleep(length)
	s := time.Since(begin).Seconds()
	return effort{time.Duration(float64(n.cpu()-cpu) / s), float64(n.bytes()-bytes) / s}
}

// quietRooms makes 10,000 rooms with one member each, in which nothing happens: only pings remain, and what nodes tell
// each other. It first waits until the cost of joining is over.
func quietRooms(p *process, length time.Duration) result {
	const rooms = 10_000
	token := ask(p, "/session", "", `{"name":"bench"}`, "token")
	var next atomic.Int64
	var joining, reading sync.WaitGroup
	var over atomic.Bool
	clients := make([]*client, rooms)
	for range 16 {
		joining.Go(func() {
			for i := next.Add(1) - 1; i < rooms; i = next.Add(1) - 1 {
				c := connect(p, fmt.Sprintf("/ws/chat/quiet-%d?ticket=%s", i, ask(p, "/ticket", token, "", "ticket")), 512)
				clients[i] = c
				reading.Go(func() {
					for {
						if _, err := c.receive(0); err != nil && !over.Load() {
							log.Fatalf("%s: a member was lost: %v", p.name, err)
						} else if err != nil {
							return
						}
					}
				})
			}
		})
	}
	joining.Wait()
	time.Sleep(settled)
	cpu, begin := p.cpu(), time.Now()
	time.Sleep(max(longer*length, time.Minute)) // two pings for each member
	r := result{cost: float64(p.cpu()-cpu) / time.Since(begin).Seconds() / float64(len(p.nodes))}
	over.Store(true)
	for _, c := range clients {
		c.conn.Close()
	}
	reading.Wait()
	return r
}

// settled is the time after which joining 10,000 rooms costs nothing more: a while without an announcement.
const settled = 20 * time.Second

func nodesTable(load string, by map[string][]result) {
	var order []string
	for name := range by {
		order = append(order, name)
	}
	slices.Sort(order)
	fmt.Printf("\n%s\n\n", titles[load])
	if load == "nodes-quiet" {
		fmt.Print("| server | CPU per second and node |\n| --- | ---: |\n")
		for _, name := range order {
			fmt.Printf("| %s | %s |\n", name, ms(time.Duration(median(by[name]).cost)))
		}
		return
	}
	if load == "nodes-idle" {
		fmt.Print("| server | CPU per second, quiet | busy | bytes per second, quiet | busy |\n| --- | ---: | ---: | ---: | ---: |\n")
		for _, name := range order {
			quiet, busy := median(by[name]).idle[0], median(by[name]).idle[1]
			fmt.Printf("| %s | %s | %s | %.0f | %.0f |\n", name, ms(quiet.cpu), ms(busy.cpu), quiet.bytes, busy.bytes)
		}
		return
	}
	fmt.Print("| server | last member has it, median | p99 | acknowledged, median | p99 | posts at once | CPU per delivery, 100 members in total | of one node's | 100 on each | of one node's |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	one := median(by["echows-chat-on-1"]).each
	for _, name := range order {
		m := median(by[name])
		shown, acked := m.chat.shown, m.chat.acked
		fmt.Printf("| %s | %s | %s | %s | %s | %.0f/s", name, ms(shown.median), ms(shown.p99), ms(acked.median), ms(acked.p99), m.rate)
		for i, cost := range m.each {
			ratio := "–"
			if one[i] > 0 {
				ratio = fmt.Sprintf("%.2f", cost/one[i])
			}
			fmt.Printf(" | %.2f µs | %s", cost/1000, ratio)
		}
		fmt.Println(" |")
	}
}
