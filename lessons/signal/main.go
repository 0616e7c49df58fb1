// Command signal sends a signal to the process that listens on a port: what serves, not go run, which started it.
//
//	go run ./lessons/signal kill :3000    # ends it at once, as a crash does (SIGKILL)
//	go run ./lessons/signal stop :3000    # freezes it: its connections stay open, and nothing answers (SIGSTOP)
//	go run ./lessons/signal cont :3000    # lets it go on (SIGCONT)
//	go run ./lessons/signal term :3000    # asks it to end (SIGTERM)
//
// On Windows there is only kill.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "signal:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: go run ./lessons/signal %s :PORT", strings.Join(slices.Sorted(maps.Keys(signals)), "|"))
	}
	signal, ok := signals[args[0]]
	if !ok {
		return fmt.Errorf("there is no %q, but %s", args[0], strings.Join(slices.Sorted(maps.Keys(signals)), ", "))
	}
	port, err := strconv.ParseUint(strings.TrimPrefix(args[1], ":"), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no port such as :3000", args[1])
	}
	pid, err := listener(uint16(port))
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(signal)
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	fmt.Printf("%s: process %d, which listens on port %d\n", args[0], pid, port)
	return nil
}
