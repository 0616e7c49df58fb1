// Command abuse attacks echows on this machine, in one way after the other, and measures what each attack costs the
// server and the good clients beside it.
//
//	cd bench && go run ./abuse              every attack, ten seconds each, a table
//	cd bench && go run ./abuse -only noops,sessions -time 5s
//
// Each attack has a server of its own, a process started anew with default settings on the loopback device. It ends
// with 1 if an attack took more memory than it may, or kept a newcomer from another address out. Times depend on the
// machine, which the attackers share with the server: they are printed, and decide nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"
)

// attack is one way to do harm.
type attack struct {
	name  string
	what  string   // it does
	limit string   // that answers it
	flags []string // of the server, where the defaults do not have what is attacked
	run   func(*attacker)
}

// attacks are all of them, by what they attack.
var attacks = [][]attack{
	attachmentAttacks, sessionAttacks, namespaceAttacks, eventAttacks, recoveryAttacks, socketAttacks, chatAttacks,
}

// warmUp is how long good clients are measured before the attack.
const warmUp = 2 * time.Second

func main() {
	log.SetFlags(0)
	if isChild(os.Args[1:]) {
		return
	}
	only := flag.String("only", "", "`names` of attacks, with commas; all by default")
	length := flag.Duration("time", 10*time.Second, "`time` of each attack")
	logFile := flag.String("log", os.DevNull, "`file` that gets what the servers log")
	flag.Usage = usage
	flag.Parse()
	chosen := choose(*only)
	if *length < 2*patience {
		log.Fatalf("-time has to be %v, for newcomers to be served or not, or more", 2*patience)
	}

	temp, err := os.MkdirTemp("", "echows-abuse-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	program := build(temp)
	logs, err := os.Create(*logFile)
	if err != nil {
		log.Fatal(err)
	}
	broken := 0
	fmt.Println(tableHead)
	for _, a := range chosen {
		r := fight(program, a, *length, logs)
		fmt.Println(r.row())
		fmt.Fprintf(logs, "--- %s is over\n", a.name)
		for _, why := range r.broken() {
			broken++
			log.Printf("%s: %s", a.name, why)
		}
	}
	if broken > 0 {
		os.RemoveAll(temp)
		os.Exit(1)
	}
}

func usage() {
	out := flag.CommandLine.Output()
	fmt.Fprintln(out, "abuse attacks echows on this machine, and measures what that costs.")
	flag.PrintDefaults()
	fmt.Fprintln(out, "\nThe attacks:")
	for _, of := range attacks {
		for _, a := range of {
			fmt.Fprintf(out, "  %s\n    \t%s.\n    \tLimit: %s.\n", a.name, a.what, a.limit)
		}
	}
}

func choose(only string) (chosen []attack) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		if name != "" {
			wanted[name] = true
		}
	}
	all := len(wanted) == 0
	for _, of := range attacks {
		for _, a := range of {
			if all || wanted[a.name] {
				chosen = append(chosen, a)
				delete(wanted, a.name)
			}
		}
	}
	for name := range wanted {
		log.Fatalf("no attack is called %q; -h lists them", name)
	}
	return chosen
}

// fight runs one attack on a new server, with good clients beside it.
func fight(program string, a attack, length time.Duration, logs io.Writer) result {
	s := start(program, a.flags, logs)
	defer s.stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g := invite(ctx, s.addr)
	time.Sleep(warmUp)
	g.attacked.Store(true)
	begin, logBytes := time.Now(), s.logBytes.Load()
	news := g.sendNewcomers(length - patience)
	told := send(a.name, s.addr, length)
	took := time.Since(begin)
	r := result{
		attack:  a,
		peak:    s.peak(),
		log:     float64(s.logBytes.Load()-logBytes) / took.Minutes(),
		refused: told.Refused,
		done:    told.Done,
		news:    <-news,
	}
	cancel()
	g.all.Wait()
	r.before, r.during, r.lost = g.before.medians(), g.during.medians(), g.lost.String()
	r.heard = float64(g.heard.Load()) / eventClients / took.Seconds()
	return r
}
