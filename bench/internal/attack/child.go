package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"echows/bench/internal/visit"
)

// The attackers run in their own process, so that good clients do not have to compete with them for a turn. It has a low
// priority: attackers on other machines would load the server's processors only with their traffic.

// childWord is the argument that turns a program into the attackers' process.
const childWord = "attack"

// Report says what became of the attackers: how they were refused, and what they achieved.
type Report struct{ Refused, Done string }

// Send runs this program a second time, as the attackers' process, for the given time or until ctx ends, and waits for its
// end. Its main must call Serve first. A pace of 0 means as fast as possible; see visit.NewPace.
func Send(ctx context.Context, name, addr string, length time.Duration, pace int) (Report, error) {
	self, err := os.Executable()
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, length+4*visit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nice", "-n", "10", self, childWord, name, addr, length.String(), strconv.Itoa(pace))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // so that Ctrl-C in a terminal does not reach it
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var r Report
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(out), &r)
	}
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", cmd, err)
	}
	return r, nil
}

// Serve runs the attack in the arguments, and reports whether they contain one. A program that uses Send must call it
// first.
func Serve(args []string) bool {
	if len(args) != 5 || args[0] != childWord {
		return false
	}
	all, err := Choose(args[1])
	if err != nil {
		log.Fatal(err)
	}
	length, err := time.ParseDuration(args[3])
	if err != nil {
		log.Fatal(err)
	}
	pace, err := strconv.Atoi(args[4])
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	a := &attacker{ctx: ctx, pace: visit.NewPace(pace)}
	a.Visitor = a.from(args[2], "")
	go all[0].run(a) // until the process ends: attackers leave without closing their connections
	<-ctx.Done()
	json.NewEncoder(os.Stdout).Encode(Report{a.answers.String(), a.done.String()})
	return true
}
