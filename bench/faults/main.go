// Command faults breaks the chat under load, and checks what happened to its messages: three nodes, three NATS servers
// and PostgreSQL, each a process of its own, with writers and readers on all nodes. See the README beside it.
//
//	go run ./faults            in bench: every run
//	go run ./faults -run kill  one of them; -h lists them
//	go run ./faults -short     the most important, in two and a half minutes
//
// The exit code is 1 if a message was lost, came twice, out of order or not at all, or a node exited by itself.
package main

import (
	"flag"
	"log"
	"os"
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
	only := flag.String("run", "", "`runs` to do, separated by commas; all by default: "+strings.Join(names, ","))
	length := flag.Duration("time", 0, "`time` for which each run repeats its fault, at least once")
	short := flag.Bool("short", false, "do the runs that matter most, with shorter faults, in two and a half minutes")
	strict := flag.Bool("strict", false, "exit with 1 also if a time is past its bound")
	race := flag.Bool("race", false, "build the nodes with the race detector")
	keep := flag.Bool("keep", false, "keep the logs of nodes and servers")
	flag.Parse()

	var chosen []run
	for _, one := range runs {
		if *only == "" && (one.short || !*short) {
			chosen = append(chosen, one)
		}
	}
	if *only != "" {
		for _, name := range strings.Split(*only, ",") {
			i := slices.Index(names, name)
			if i < 0 {
				log.Fatalf("no run is called %q", name)
			}
			chosen = append(chosen, runs[i])
		}
	}
	h := prepare(options{length: *length, short: *short, keep: *keep}, *race)
	defer h.close()
	var results []*result
	for _, one := range chosen {
		results = append(results, h.do(one))
	}
	if !report(os.Stdout, results, *strict) {
		h.close()
		os.Exit(1)
	}
}

// options are the flags that runs look at.
type options struct {
	length      time.Duration
	short, keep bool
}

// harness is what all runs use.
type harness struct {
	options
	temp       string
	nats, node string // programs
	postgres   *cluster.Postgres
}

func prepare(o options, race bool) *harness {
	temp, err := os.MkdirTemp("", "echows-faults-")
	if err != nil {
		log.Fatal(err)
	}
	bin := cluster.FindPostgres()
	if bin == "" {
		log.Fatal("no PostgreSQL on this machine: apt-get install postgresql")
	}
	h := &harness{options: o, temp: temp, nats: cluster.BuildNATS(temp, ".."), node: temp + "/echows"}
	var flags []string
	if race {
		flags = append(flags, "-race")
	}
	cluster.Build(h.node, "..", ".", flags...)
	h.postgres = cluster.StartPostgres(bin)
	return h
}

func (h *harness) close() {
	h.postgres.Close()
	if !h.keep {
		os.RemoveAll(h.temp)
	}
}

// do does one run, with everything started anew.
func (h *harness) do(one run) *result {
	begun := time.Now()
	if one.needs != nil {
		if missing := one.needs(); missing != "" {
			log.Printf("%s: SKIPPED: %s", one.name, missing)
			return &result{run: one, skipped: missing}
		}
	}
	s := h.newStage(one)
	if !one.bare {
		s.startAll()
	}
	l := startLoad(s)
	log.Printf("%s: started in %v", one.name, time.Since(begun).Round(time.Millisecond))
	time.Sleep(before)
	for again := time.Now(); ; {
		one.fault(s)
		if time.Since(again) >= h.length || s.failed() {
			break
		}
	}
	time.Sleep(after)
	s.settle()
	l.finish()
	r := judge(s, l)
	s.stop()
	r.other = append(r.other, s.complaints()...)
	for _, e := range s.elections {
		log.Printf("%s: %s", one.name, e.parts(l.writers))
	}
	for _, sample := range slices.Concat(r.Samples, r.other) {
		log.Printf("%s: %s", one.name, sample)
	}
	log.Printf("%s: done after %v: %v", one.name, time.Since(begun).Round(time.Millisecond), r)
	if h.keep {
		log.Printf("%s: the logs are in %s", one.name, s.temp)
	}
	return r
}

const (
	before = 2 * time.Second // of load without a fault
	after  = 2 * time.Second
)

func (r *result) String() string {
	if r.ok() {
		return "ok"
	}
	return "NOT OK"
}
