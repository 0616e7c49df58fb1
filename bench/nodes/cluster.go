package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	size     = 3                // nodes, and NATS servers
	patience = 30 * time.Second // for anything that has to happen
)

// cluster is the NATS servers and the nodes: each a process, each node with a proxy between it and NATS.
type cluster struct {
	temp    string
	nats    []*exec.Cmd
	clients []string // addresses of the NATS servers, for clients
	routes  []string // and for each other
	proxies []*proxy
	nodes   []*exec.Cmd
	addrs   []string // of the nodes
}

// programs are what is built before anything runs.
type programs struct{ nats, node string }

func build(temp string, race bool) programs {
	p := programs{filepath.Join(temp, "nats-server"), filepath.Join(temp, "node")}
	words := []string{"build", "-o", p.node}
	if race {
		words = append(words, "-race")
	}
	for _, cmd := range []*exec.Cmd{
		exec.Command("go", "build", "-C", "..", "-o", p.nats, "github.com/nats-io/nats-server/v2"),
		exec.Command("go", append(words, "./nodes/node")...),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			log.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return p
}

func startCluster(p programs) *cluster {
	temp, err := os.MkdirTemp("", "echows-nodes-")
	if err != nil {
		log.Fatal(err)
	}
	c := &cluster{temp: temp, clients: freeAddrs(), routes: freeAddrs(), addrs: freeAddrs(), nats: make([]*exec.Cmd, size), nodes: make([]*exec.Cmd, size)}
	for i := range size {
		c.startNATS(p, i)
	}
	for i := range size {
		c.proxies = append(c.proxies, startProxy(slices.Concat(c.clients[i:], c.clients[:i])))
		c.startNode(p, i)
	}
	return c
}

// freeAddrs are places that nobody listens on, and that no connection gets by chance before they are used: systems take
// the higher ports for that.
func freeAddrs() (all []string) {
	for len(all) < size {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

func (c *cluster) startNATS(p programs, i int) {
	_, port, _ := net.SplitHostPort(c.clients[i])
	var routes []string
	for _, addr := range c.routes {
		routes = append(routes, "nats://"+addr)
	}
	cmd := exec.Command(p.nats, "-a", "127.0.0.1", "-p", port, "--server_name", fmt.Sprint("s", i), "-js",
		"-sd", filepath.Join(c.temp, fmt.Sprint("nats", i)), "--cluster_name", "nodes", "--cluster", "nats://"+c.routes[i],
		"--routes", strings.Join(routes, ","), "--no_advertise") // or nodes would find a way around their proxies
	c.nats[i] = cmd
	run(cmd, cmd.StderrPipe, "Server is ready", nil)
}

// startNode starts a node; until there is a cluster of NATS servers, it ends at once, and is started again.
func (c *cluster) startNode(p programs, i int) {
	for end := time.Now().Add(patience); ; time.Sleep(300 * time.Millisecond) {
		cmd := exec.Command(p.node, c.proxies[i].url(), c.addrs[i])
		out, err := os.OpenFile(filepath.Join(c.temp, fmt.Sprint("node", i, ".log")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		cmd.Stderr = out
		c.nodes[i] = cmd
		ok := run(cmd, cmd.StdoutPipe, "ready", end)
		out.Close()
		if ok {
			return
		}
	}
}

// run starts a program that ends with this one, and waits for a line with that text on one of its outputs. With a
// time until which it may be tried again, it reports whether the line came.
func run(cmd *exec.Cmd, output func() (io.ReadCloser, error), text string, until any) bool {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := output()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		log.Fatalf("%s: %v", cmd, err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			go io.Copy(io.Discard, out)
			return true
		}
	}
	cmd.Wait()
	if end, again := until.(time.Time); !again || time.Now().After(end) {
		log.Fatalf("%s ends, and does not say %q", cmd, text)
	}
	return false
}

// kill ends a process as a crash does.
func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// terminate ends a node as a rolling restart does, and returns how long that took.
func terminate(cmd *exec.Cmd) time.Duration {
	begun := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { log.Printf("%s does not end", cmd); cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	return time.Since(begun)
}

// leader is the place of the NATS server that leads the journal's stream.
func (c *cluster) leader() int {
	conn, err := nats.Connect("nats://" + strings.Join(c.clients, ",nats://"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, time.Second) // a server that is about to start does not answer
		s, err := js.Stream(try, "SOCKETIO")
		cancel()
		if err == nil && s.CachedInfo().Cluster != nil && s.CachedInfo().Cluster.Leader != "" {
			return int(s.CachedInfo().Cluster.Leader[1] - '0')
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("the stream has no leader")
	return 0
}

func (c *cluster) urls() (all []string) {
	for _, addr := range c.addrs {
		all = append(all, "http://"+addr)
	}
	return all
}

func (c *cluster) stop() {
	for _, p := range c.proxies {
		p.thaw()
		p.listener.Close()
	}
	for _, cmd := range slices.Concat(c.nodes, c.nats) {
		kill(cmd)
	}
}
