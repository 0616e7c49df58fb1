package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a running server: one process, or nodes that share the clients, and what connects them.
type process struct {
	name  string
	nodes []node
	taken int         // how many of the first nodes clients connect to; 0 for all
	among []*exec.Cmd // what carries events from node to node, if anything
	temp  string
	turn  atomic.Uint64
}

type node struct {
	addr string
	cmd  *exec.Cmd
}

// brokerURL is the environment variable that tells a node where the broker is.
const brokerURL = "ECHOWS_BENCH_BROKER"

func start(name string) *process {
	temp, err := os.MkdirTemp("", "echows-bench-") // removed with what a server writes
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
		p.among, url = kind.broker(temp)
		env, nodes = append(env, brokerURL+"="+url), cmp.Or(kind.nodes, 2)
	}
	for range nodes {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = env
		cmd.Stderr = os.Stderr
		n := node{run(cmd, cmd.StdoutPipe, ""), cmd}
		p.nodes = append(p.nodes, n)
		if kind.sort == sortNodes {
			n.await() // the first creates what they share
		}
	}
	return p
}

// run starts a program that ends with this one, and returns the first line that contains text on one of
// its outputs.
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
	log.Fatalf("%s ended without saying %q", cmd, text)
	return ""
}

func (p *process) stop() {
	for _, n := range p.nodes {
		end(n.cmd)
	}
	for _, cmd := range p.among {
		end(cmd)
	}
	os.RemoveAll(p.temp)
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// addr returns where the next client connects: to the nodes in turn.
func (p *process) addr() string {
	return p.nodes[(p.turn.Add(1)-1)%uint64(cmp.Or(p.taken, len(p.nodes)))].addr
}

// cpu returns the CPU time that the nodes have taken, in their own code and in the kernel.
func (p *process) cpu() (all time.Duration) {
	for _, n := range p.nodes {
		all += n.cpu()
	}
	return all
}

func (n node) cpu() time.Duration {
	ticks := 0
	_, rest, _ := strings.Cut(n.proc("stat"), ") ")
	fields := strings.Fields(rest)
	for _, field := range fields[11:13] { // utime, stime; see proc(5)
		ticks += number(field)
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a hundred ticks a second
}

// bytes returns how much a node has read and written, including its sockets.
func (n node) bytes() (all int) {
	for _, line := range strings.Split(n.proc("io"), "\n") {
		if name, value, _ := strings.Cut(line, ": "); name == "rchar" || name == "wchar" {
			all += number(value)
		}
	}
	return all
}

// await waits for a node to answer: it listens before it can.
func (n node) await() {
	res, err := http.Get("http://" + n.addr)
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
}

// resident returns the nodes' resident memory in bytes, five seconds after the last message.
func (p *process) resident() float64 {
	time.Sleep(5 * time.Second)
	kb := 0
	for _, n := range p.nodes {
		_, rest, _ := strings.Cut(n.proc("status"), "VmRSS:")
		kb += number(strings.Fields(rest)[0])
	}
	return float64(kb) * 1024
}

// proc reads a file of the process in /proc.
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
