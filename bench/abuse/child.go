package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// The attackers are a process of their own, so that good clients do not wait for their turn among them. It has a low
// priority: on machines of their own, attackers would take no processor away from the server but by what they send.

// childWord is the argument that makes this program the attackers' process.
const childWord = "attack"

// report is what the attackers tell when they are through.
type report struct{ Refused, Done string }

// send runs the attackers' process.
func send(name, addr string, length time.Duration) report {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command("nice", "-n", "10", self, childWord, name, addr, length.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	var r report
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	late := time.AfterFunc(length+4*patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	if err = cmd.Wait(); err == nil {
		err = json.Unmarshal(out.Bytes(), &r)
	}
	if err != nil {
		log.Fatalf("%s: %v", cmd, err)
	}
	return r
}

// isChild runs the attack that the arguments name, if they do.
func isChild(args []string) bool {
	if len(args) != 4 || args[0] != childWord {
		return false
	}
	length, err := time.ParseDuration(args[3])
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	a := &attacker{visitor: newVisitor(args[2], badAddress), ctx: ctx}
	go choose(args[1])[0].run(a)
	<-ctx.Done()
	json.NewEncoder(os.Stdout).Encode(report{a.answers.String(), a.done.String()})
	return true
}
