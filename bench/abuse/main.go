// Command abuse attacks echows on this machine, one attack after another, and measures what each one costs the
// server and the good clients beside it.
//
//	cd bench && go run ./abuse              every attack, ten seconds each, a table
//	cd bench && go run ./abuse -only noops,sessions -time 5s
//	cd bench && go run ./abuse -update      the same, and writes the table into the README beside it
//
// Each attack has its own server, a new process with default settings on the loopback device. The exit code
// is 1 if an attack took more memory than allowed, or kept a newcomer from another address out. Times and the log
// depend on the machine, which the attackers share with the server: rows past a bound are marked, and with -strict
// they make the exit code 1, too.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync/atomic"
	"time"

	"echows/bench/internal/attack"
	"echows/bench/internal/server"
	"echows/bench/internal/visit"
)

// warmUp is how long good clients are measured before the attack.
const warmUp = 2 * time.Second

func main() {
	log.SetFlags(0)
	if attack.Serve(os.Args[1:]) {
		return
	}
	only := flag.String("only", "", "`names` of attacks, separated by commas; all by default")
	length := flag.Duration("time", 10*time.Second, "`time` for each attack; one that needs longer gets what it needs")
	logFile := flag.String("log", os.DevNull, "`file` to write the servers' logs to")
	strict := flag.Bool("strict", false, "exit with 1 also if a median or a log is past its bound")
	update := flag.Bool("update", false, "write the rows into "+readme)
	flag.Usage = usage
	flag.Parse()
	chosen, err := attack.Choose(*only)
	if err != nil {
		log.Fatal(err)
	}
	if *length < 2*visit.Patience {
		log.Fatalf("-time must be %v or more, to tell whether newcomers are served", 2*visit.Patience)
	}
	if !fightAll(chosen, *length, *logFile, *strict, *update) {
		os.Exit(1)
	}
}

// fightAll runs the attacks, prints the table, and reports whether the bounds that count hold.
func fightAll(chosen []attack.Attack, length time.Duration, logFile string, strict, update bool) bool {
	temp, err := os.MkdirTemp("", "echows-abuse-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	program := server.Build(temp)
	logs, err := os.Create(logFile)
	if err != nil {
		log.Fatal(err)
	}
	defer logs.Close()
	ok, rows := true, map[string]string{}
	fmt.Println(tableHead)
	for _, a := range chosen {
		r := fight(program, a, max(length, a.Least), logs)
		fmt.Println(r.row())
		rows[a.Name] = r.row()
		fmt.Fprintf(logs, "--- %s is over\n", a.Name)
		for _, one := range r.broken() {
			log.Printf("%s: %s", a.Name, one.what)
			ok = ok && !one.always && !strict
		}
	}
	if update {
		if err := updateFile(readme, rows); err != nil {
			log.Fatal(err)
		}
	}
	return ok
}

func usage() {
	out := flag.CommandLine.Output()
	fmt.Fprintln(out, "abuse attacks echows on this machine, and measures what that costs.")
	flag.PrintDefaults()
	fmt.Fprintf(out, "\nThe bounds, past which a row is marked with (!), and which of them make the exit code 1:\n"+
		"  peak        %d MB; always\n"+
		"  newcomers   each is served within %v; always\n"+
		"  medians     %v, of each kind of good client while the attack goes on; with -strict\n"+
		"  log         %s a minute; with -strict\n", mostMemory>>20, visit.Patience, mostMedian, bytesOf(mostLog))
	fmt.Fprintln(out, "\nThe attacks:")
	attack.List(out)
}

// counter counts the bytes written to it.
type counter struct{ atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.Add(int64(len(p)))
	return len(p), nil
}

// fight runs one attack on a new server, with good clients beside it.
func fight(program string, a attack.Attack, length time.Duration, logs io.Writer) result {
	var logged counter
	s := server.Start(program, a.Flags, io.MultiWriter(logs, &logged))
	defer s.Kill()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g := invite(ctx, s.Addr)
	time.Sleep(warmUp)
	g.attacked.Store(true)
	begin, logBytes := time.Now(), logged.Load()
	news := g.sendNewcomers(length - visit.Patience)
	told, err := attack.Send(ctx, a.Name, s.Addr, length, 0)
	if err != nil {
		log.Fatal(err)
	}
	took := time.Since(begin)
	r := result{
		attack:  a,
		peak:    s.Peak(),
		log:     float64(logged.Load()-logBytes) / took.Minutes(),
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
