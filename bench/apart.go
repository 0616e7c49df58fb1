package main

import (
	"fmt"
	"log"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// apart lets the nodes run on the first processor only, and the rest, with this program, on the others; together frees this
// program. Nodes that share processors with each other and with all clients slow each other down, as those on machines of
// their own do not.
func (p *process) apart() (together func()) {
	var all, first, others unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &all); err != nil {
		log.Fatal(err)
	}
	for cpu := range 1024 {
		switch {
		case !all.IsSet(cpu):
		case first.Count() == 0:
			first.Set(cpu)
		default:
			others.Set(cpu)
		}
	}
	if others.Count() == 0 {
		log.Fatal("this load needs two processors")
	}
	for _, n := range p.nodes {
		runOn(n.cmd.Process.Pid, &first)
	}
	for _, cmd := range p.among {
		runOn(cmd.Process.Pid, &others)
	}
	runOn(os.Getpid(), &others)
	return func() { runOn(os.Getpid(), &all) }
}

// runOn lets the threads of a process, and those that they start, run on some processors only.
func runOn(pid int, cpus *unix.CPUSet) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		log.Fatal(err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		if err := unix.SchedSetaffinity(id, cpus); err != nil && err != unix.ESRCH { // a thread that has ended
			log.Fatal(err)
		}
	}
}
