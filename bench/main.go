// Command bench measures echows beside its peers: with the same client, on the same machine, in turn.
//
//	go run .                     every load, three rounds, a table
//	go run . -loads small,memory -servers echows,gws -rounds 1
//
// There are eight sorts of loads and servers: messages over WebSockets, the same compressed, the same over TLS,
// Socket.IO events, the same with recovery, the same over two nodes, a chat's posts, and the same on a cluster. A
// load runs on the servers of its sort.
//
// Each server is one process or several, restarted for each measurement, so that the system reports its CPU time
// and its memory. It is a benchmark, not a test: it fails on a wrong answer, never on a time.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	loadNames := flag.String("loads", "small,pipelined,large,large20,broadcast10,broadcast,"+
		"memory,memory-ping,memory-tls,memory-tls-ping,deflate,deflate-broadcast,"+
		"events,events16,events-broadcast,events-memory,recovery,recovery16,recovery-broadcast,events-broadcast-two,"+
		"events-apart-200,events-apart-200-two,events-apart-1000,events-apart-1000-two,events-apart,events-apart-two,"+
		"chat-100,chat-1000,nodes-100,nodes-idle,nodes-quiet", "`loads` to run")
	serverNames := flag.String("servers", strings.Join(names(), ","), "`servers` to run")
	rounds := flag.Int("rounds", 3, "`number` of rounds; the median counts")
	length := flag.Duration("time", 2*time.Second, "`time` of each measurement")
	flag.Parse()

	results := map[string]map[string][]result{} // by load and server
	for round := range *rounds {
		for _, load := range strings.Split(*loadNames, ",") {
			for _, name := range strings.Split(*serverNames, ",") {
				run, ok := loads[load]
				if !ok {
					log.Fatalf("no load is called %q", load)
				}
				server, ok := servers[name]
				if !ok {
					log.Fatalf("no server is called %q", name)
				}
				if !server.can(load) {
					continue
				}
				p := start(name)
				r := run(p, *length)
				p.stop()
				if results[load] == nil {
					results[load] = map[string][]result{}
				}
				results[load][name] = append(results[load][name], r)
				fmt.Fprintf(os.Stderr, "round %d, %s, %s: %v\n", round+1, load, name, r)
			}
		}
	}
	for _, load := range strings.Split(*loadNames, ",") {
		table(load, results[load])
	}
}

// result is one measurement: server CPU per message in nanoseconds and messages a second, or resident
// bytes per connection, or the nanoseconds within which half of a chat's posts reach the last member, and
// how many posts a second it takes.
type result struct {
	cost float64
	rate float64
	chat waits
	each [2]float64 // of nodes: CPU per delivery in nanoseconds, with 100 members in total, and on each
	idle [2]effort  // cost of a node that has nobody in the room, while the room is quiet and while it is busy
}

func (r result) String() string { return fmt.Sprintf("%.0f, %.0f/s", r.cost, r.rate) }

func table(load string, by map[string][]result) {
	if len(by) == 0 {
		return
	}
	if sort(load) == sortChat {
		chatTable(load, by)
		return
	}
	if sort(load) == sortNodes {
		nodesTable(load, by)
		return
	}
	us := map[string]string{
		sortMessages: "echows", sortDeflate: "echows-deflate", sortTLS: "echows-tls", sortEvents: "echows-io",
		sortRecovery: "echows-io-recovery", sortTwo: "echows-io-two",
	}[sort(load)]
	ours := median(by[us])
	var order []string
	for name := range by {
		order = append(order, name)
	}
	slices.SortFunc(order, func(a, b string) int { return cmp.Compare(median(by[a]).cost, median(by[b]).cost) })
	unit := "server CPU per message"
	switch {
	case strings.Contains(load, "broadcast"), strings.Contains(load, "apart"):
		unit = "server CPU per delivery"
	case sort(load) == sortEvents, sort(load) == sortRecovery:
		unit = "server CPU per event"
	}
	ofMemory := strings.Contains(load, "memory")
	if ofMemory {
		fmt.Printf("\n%s\n\n| server | resident per connection | %s / server |\n| --- | ---: | ---: |\n", titles[load], us)
	} else {
		fmt.Printf("\n%s\n\n| server | %s | rate | %s / server, CPU |\n| --- | ---: | ---: | ---: |\n", titles[load], unit, us)
	}
	for _, name := range order {
		m := median(by[name])
		ratio := "–"
		if ours.cost > 0 {
			ratio = fmt.Sprintf("%.2f", ours.cost/m.cost)
		}
		if ofMemory {
			fmt.Printf("| %s | %.1f KB | %s |\n", name, m.cost/1000, ratio)
		} else {
			fmt.Printf("| %s | %.2f µs | %.0f/s | %s |\n", name, m.cost/1000, m.rate, ratio)
		}
	}
}

// median returns the result with the median cost.
func median(rs []result) result {
	if len(rs) == 0 {
		return result{}
	}
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b result) int { return cmp.Compare(a.cost, b.cost) })
	return rs[len(rs)/2]
}

// serve is a server's process. It prints where it listens.
func serve(name string) {
	server := servers[name]
	l, err := listen(server.sort == sortTLS)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(server.run(l))
}
