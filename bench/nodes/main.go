// Command nodes breaks a cluster under load, and checks that Socket.IO keeps its promises: three nodes of ours and
// three NATS servers, each a process of its own, and sixty official clients. See the README of bench.
//
//	(cd ../socketio/official && npm ci)
//	go run ./nodes             in bench: every run
//	go run ./nodes -run kill   one of them
//
// The exit code is 1 if a promise was broken.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"echows/bench/internal/cluster"
)

func main() {
	log.SetFlags(log.Ltime)
	var names []string
	for _, one := range runs {
		names = append(names, one.name)
	}
	only := flag.String("run", strings.Join(names, ","), "`runs` to do")
	race := flag.Bool("race", false, "build the nodes with the race detector")
	keep := flag.Bool("keep", false, "keep the logs of nodes, and print what nobody heard")
	flag.Parse()
	temp, err := os.MkdirTemp("", "echows-nodes-")
	if err != nil {
		log.Fatal(err)
	}
	p := build(temp, *race)
	var results []*result
	for _, name := range strings.Split(*only, ",") {
		i := slices.Index(names, name)
		if i < 0 {
			log.Fatalf("no run is called %q", name)
		}
		results = append(results, do(p, runs[i], *keep))
	}
	os.RemoveAll(temp)
	if !report(results) {
		os.Exit(1)
	}
}

// do does one run, with everything started anew.
func do(p programs, one breakage, keep bool) *result {
	begun := time.Now()
	c := startNodes(p)
	t := &trial{built: p, nodes: c, clients: startClients()}
	log.Printf("%s: started in %v", one.name, time.Since(begun).Round(time.Millisecond))
	t.open()
	one.run(t)
	t.finish()
	r := judge(one.name, does[[][]event](t.clients, "report", nil), t.faults)
	r.other = append(r.other, t.wrong...)
	cluster.Kill(t.clients.cmd)
	c.stop()
	r.other = append(r.other, panics(c.temp)...)
	for _, sample := range append(r.samples, r.other...) {
		log.Printf("%s: %s", one.name, sample)
	}
	log.Printf("%s: done after %v: %v", one.name, time.Since(begun).Round(time.Millisecond), map[bool]string{true: "ok", false: "NOT OK"}[r.ok()])
	if keep {
		slices.Sort(r.losses)
		for _, loss := range r.losses {
			log.Print(loss)
		}
		log.Printf("%s: the logs are in %s", one.name, c.temp)
	} else {
		os.RemoveAll(c.temp)
	}
	return r
}

// panics returns lines that nodes should never log.
func panics(temp string) (all []string) {
	logs, _ := filepath.Glob(filepath.Join(temp, "*.log"))
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") || strings.Contains(line, "did not end in time") {
				all = append(all, filepath.Base(name)+": "+line)
			}
		}
	}
	return all
}

// report prints the table, and reports whether all promises were kept.
func report(results []*result) bool {
	ok := true
	fmt.Println("| run | sent | heard | recovered | refused | back within | lost to all | cut off | missing | twice | out of order | wrong receiver | other |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, r := range results {
		fmt.Printf("| %s | %d | %d | %d | %d | %.1f s | %d | %d | %d | %d | %d | %d | %d |\n", r.name, r.sent, r.heard, r.recovered, r.refused,
			r.slowest/1000, r.lost, r.apart, r.missing, r.twice, r.order, r.wrong, len(r.other))
		ok = ok && r.ok()
	}
	return ok
}
