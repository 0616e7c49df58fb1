package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a running server: one process, or two nodes that share their clients, and what is between them.
type process struct {
	name   string
	nodes  []node
	broker *exec.Cmd // nil, or what carries events from node to node
	temp   string
	turn   atomic.Uint64
}

type node struct {
	addr string
	cmd  *exec.Cmd
}

// brokerURL is the variable of the environment that tells a node where the broker is.
const brokerURL = "ECHOWS_BENCH_BROKER"

func start(name string) *process {
	temp, err := os.MkdirTemp("", "echows-bench-") // what a server writes goes with it
	if err != nil {
		log.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	p, kind := &process{name: name, temp: temp}, servers[name]
	words := kind.command
	if words == nil {
		words = []string{self, "serve", name}
	}
	env, nodes := append(os.Environ(), "TMPDIR="+temp), 1
	if kind.broker != nil {
		var url string
		p.broker, url = kind.broker(temp)
		env, nodes = append(env, brokerURL+"="+url), 2
	}
	for range nodes {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = env
		cmd.Stderr = os.Stderr
		p.nodes = append(p.nodes, node{run(cmd, cmd.StdoutPipe, ""), cmd})
	}
	return p
}

// run starts a program that ends with this one, and returns the first line with that text in it that it
// writes to one of its outputs.
func run(cmd *exec.Cmd, output func() (io.ReadCloser, error), text string) string {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := output()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		log.Fatalf("%s: %v", cmd, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			go io.Copy(io.Discard, out)
			return lines.Text()
		}
	}
	log.Fatalf("%s ends, and does not say %q", cmd, text)
	return ""
}

func (p *process) stop() {
	for _, n := range p.nodes {
		end(n.cmd)
	}
	if p.broker != nil {
		end(p.broker)
	}
	os.RemoveAll(p.temp)
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// addr is where the next client is to connect: to the nodes in turn.
func (p *process) addr() string { return p.nodes[(p.turn.Add(1)-1)%uint64(len(p.nodes))].addr }

// cpu is the CPU time that the nodes have taken, in their own code and in the kernel's.
func (p *process) cpu() time.Duration {
	ticks := 0
	for _, n := range p.nodes {
		_, rest, _ := strings.Cut(n.proc("stat"), ") ")
		fields := strings.Fields(rest)
		for _, field := range fields[11:13] { // utime, stime; see proc(5)
			ticks += number(field)
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a hundred ticks a second
}

// resident is the nodes' resident memory in bytes, five seconds after the last message.
func (p *process) resident() float64 {
	time.Sleep(5 * time.Second)
	kb := 0
	for _, n := range p.nodes {
		_, rest, _ := strings.Cut(n.proc("status"), "VmRSS:")
		kb += number(strings.Fields(rest)[0])
	}
	return float64(kb) * 1024
}

// proc is what the system says of a process.
func (n node) proc(file string) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", n.cmd.Process.Pid, file))
	if err != nil {
		log.Fatal(err)
	}
	return string(b)
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		log.Fatal(err)
	}
	return n
}
