package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"echows/bench/internal/cluster"
)

const (
	size     = cluster.Size     // nodes, and NATS servers
	patience = cluster.Patience // for anything that must happen
)

// nodes is the NATS servers and the nodes: each a process, each node with a proxy between it and NATS.
type nodes struct {
	temp    string
	nats    *cluster.NATS
	proxies []*cluster.Proxy
	cmds    []*exec.Cmd
	addrs   []string
}

// programs are what is built before anything runs.
type programs struct{ nats, node string }

func build(temp string, race bool) programs {
	p := programs{cluster.BuildNATS(temp, ".."), filepath.Join(temp, "node")}
	var flags []string
	if race {
		flags = append(flags, "-race")
	}
	cluster.Build(p.node, ".", "./nodes/node", flags...)
	return p
}

func startNodes(p programs) *nodes {
	temp, err := os.MkdirTemp("", "echows-nodes-")
	if err != nil {
		log.Fatal(err)
	}
	c := &nodes{temp: temp, nats: cluster.NewNATS(p.nats, temp, false), addrs: cluster.FreeAddrs(size), cmds: make([]*exec.Cmd, size)}
	for i := range size {
		c.nats.Start(i)
	}
	for i := range size {
		c.proxies = append(c.proxies, cluster.StartProxy(slices.Concat(c.nats.Addrs[i:], c.nats.Addrs[:i])...))
		c.startNode(p, i)
	}
	return c
}

// startNode starts a node, and restarts it as long as it exits because there is no NATS cluster yet.
func (c *nodes) startNode(p programs, i int) {
	for end := time.Now().Add(patience); ; time.Sleep(300 * time.Millisecond) {
		cmd := exec.Command(p.node, c.proxies[i].URL(), c.addrs[i])
		out, err := os.OpenFile(filepath.Join(c.temp, fmt.Sprint("node", i, ".log")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		cmd.Stderr = out
		c.cmds[i] = cmd
		ok := cluster.Run(cmd, cmd.StdoutPipe, "ready", end)
		out.Close()
		if ok {
			return
		}
	}
}

// leader returns the place of the NATS server that leads the journal's stream.
func (c *nodes) leader() int { return c.nats.Leader("SOCKETIO") }

func (c *nodes) urls() (all []string) {
	for _, addr := range c.addrs {
		all = append(all, "http://"+addr)
	}
	return all
}

func (c *nodes) stop() {
	for _, p := range c.proxies {
		p.Close()
	}
	for _, cmd := range c.cmds {
		cluster.Kill(cmd)
	}
	c.nats.Stop()
}
