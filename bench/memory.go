package main

import (
	"fmt"
	"log"
	"sync"
	"time"
)

// memory measures the memory of an idle connection. meanwhile, if any, runs before the wait.
func memory(p *process, meanwhile func(*process, []*client)) result {
	const connections = 10_000 // files open at once, here and in the server: ulimit -n
	warm := connect(p, "/echo", 512)
	warm.echo(p)
	before := p.resident()
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = connect(p, "/echo", 512)
		clients[i].echo(p)
	}
	if meanwhile != nil {
		meanwhile(p, clients)
	}
	after := p.resident()
	for _, c := range append(clients, warm) {
		c.conn.Close()
	}
	return result{cost: (after - before) / connections}
}

// small is the frame of a small message.
var small = frame(binary, some(64))

// echo sends one message and receives it.
func (c *client) echo(p *process) {
	_, err := c.conn.Write(small)
	if err == nil {
		_, err = c.receive(len(small))
	}
	if err != nil {
		log.Fatalf("%s: %v", p.name, err)
	}
}

// pingAll waits until each connection was pinged once: by the server, in its own time, or by the client
// if the server does not ping.
func pingAll(p *process, clients []*client) {
	var all sync.WaitGroup
	for _, c := range clients {
		switch {
		case servers[p.name].pings:
			all.Go(func() { c.pinged(p) })
		case c.raw:
			c.echo(p)
		default:
			c.ping(p)
		}
	}
	all.Wait()
}

// pinged waits for the server's ping and answers it.
func (c *client) pinged(p *process) {
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	first, n, err := c.anyHeader()
	if err == nil && first != ping {
		err = fmt.Errorf("got %#x instead of a ping", first)
	}
	if err == nil {
		err = c.answer(n)
	}
	if err != nil {
		log.Fatalf("%s: %v", p.name, err)
	}
}

// ping pings the server and waits for the answer.
func (c *client) ping(p *process) {
	_, err := c.conn.Write(frame(ping, nil))
	if err != nil {
		log.Fatalf("%s: %v", p.name, err)
	}
	if first, n, err := c.anyHeader(); err != nil || first != pong || n != 0 {
		log.Fatalf("%s: got %#x with %d bytes instead of a pong: %v", p.name, first, n, err)
	}
}
