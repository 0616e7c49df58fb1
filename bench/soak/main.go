// Command soak lets good and bad clients use echows together for some time. Afterwards its goroutines, descriptors, topics,
// rooms, sessions and memory must be what they were before, and good clients must have lost nothing. See the README
// beside it.
//
//	cd bench && go run ./soak                  two minutes
//	cd bench && go run ./soak -time 1h -race   an hour, with the race detector in the server
//
// The exit code is 1 if anything is wrong.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"echows/bench/internal/attack"
	"echows/bench/internal/server"
)

func main() {
	log.SetFlags(log.Ltime)
	if attack.Serve(os.Args[1:]) {
		return
	}
	var o options
	flag.DurationVar(&o.length, "time", 2*time.Minute, "`time` for which clients use the server; starting and checking takes a minute or two more")
	flag.BoolVar(&o.race, "race", false, "build the server with the race detector")
	flag.IntVar(&o.pace, "pace", 10_000, "`number` of messages a second that each attack may send; 0 for as many as it can")
	attacks := flag.String("attacks", "", "`names` of attacks, separated by commas; all by default, and - for none")
	logFile := flag.String("log", os.DevNull, "`file` to write the server's log to")
	flag.Usage = usage
	flag.Parse()
	if *attacks != "-" {
		var err error
		if o.attacks, err = attack.Choose(*attacks); err != nil {
			log.Fatal(err)
		}
	}
	if o.length < 10*time.Second {
		log.Fatal("-time must be 10s or more")
	}
	logs, err := os.Create(*logFile)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ok := soak(ctx, o, logs)
	stop()
	logs.Close()
	if !ok {
		os.Exit(1)
	}
}

func usage() {
	out := flag.CommandLine.Output()
	fmt.Fprintln(out, "soak runs good and bad clients against echows together, and compares its state afterwards with the one before.")
	flag.PrintDefaults()
	fmt.Fprintln(out, "\nThe attacks:")
	attack.List(out)
}

// options holds the flags.
type options struct {
	length  time.Duration
	race    bool
	pace    int
	attacks []attack.Attack
}

const (
	warmUp     = 3 * time.Second  // of good clients alone, so that everything made once exists
	settleTime = 90 * time.Second // for the server to be as it was: a polling client that left is noticed after 45 s
)

// soak runs everything, prints the result, and reports whether everything holds.
func soak(ctx context.Context, o options, logs io.Writer) bool {
	temp, err := os.MkdirTemp("", "echows-soak-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	var flags []string
	if o.race {
		flags = append(flags, "-race")
	}
	os.Unsetenv("GOGC") // the heap's size is computed from its default
	os.Unsetenv("GOMEMLIMIT")
	w := &watch{out: logs}
	s := server.Start(server.Build(temp, flags...), []string{"-trusted-proxies", "127.0.0.1/32"}, w)
	r := &report{attacks: len(o.attacks)}
	r.run(ctx, o, s.Addr)
	if err := s.Stop(); err != nil {
		r.blame("the server ended with %v", err)
	}
	if ctx.Err() != nil {
		log.Print("interrupted: there is no report")
		return false
	}
	r.wrong = append(r.wrong, w.found()...)
	r.print(os.Stdout)
	return r.ok()
}

// run is everything between the server's start and its end.
func (r *report) run(ctx context.Context, o options, addr string) {
	g := newGauges(addr)
	defer g.close()
	log.Printf("started at %s; good clients alone", addr)
	warm := newCompany(ctx, addr, "warm")
	sleep(ctx, warmUp)
	warm.leave()
	g.rest(ctx)
	if r.before = g.collected(ctx); ctx.Err() != nil {
		return
	}
	log.Printf("all clients, for %v", o.length)
	c := newCompany(ctx, addr, "good")
	bad := sendAll(ctx, o, addr)
	r.most = g.watch(ctx, o.length)
	r.turns, r.failed = bad()
	c.leave()
	r.kinds = c.kinds
	log.Print("all have left")
	r.after, r.took = g.settle(ctx, r.before)
	if g.failed > 0 {
		r.blame("/metrics did not answer %d times: %v", g.failed, g.err)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
