package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var titles = map[string]string{
	"small":     "One 64-byte message in flight on each of 50 connections, echoed",
	"pipelined": "Sixteen 64-byte messages in flight on each of 50 connections, echoed",
	"large":     "One 64 KiB message in flight on each of 8 connections, echoed",
	"broadcast": "A stream of 128-byte messages to 1,000 members, up to 64 in flight",
	"memory":    "10,000 idle connections, each of which has echoed one message",
}

var loads = map[string]func(*process, time.Duration) result{
	"small":     func(p *process, d time.Duration) result { return echoes(p, d, 50, 64, 1) },
	"pipelined": func(p *process, d time.Duration) result { return echoes(p, d, 50, 64, 16) },
	"large":     func(p *process, d time.Duration) result { return echoes(p, d, 8, 64<<10, 1) },
	"broadcast": broadcast,
	"memory":    memory,
}

// client is one connection of the load.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	raw  bool // the server echoes bytes, not messages
}

func connect(p *process, path string, buffer int) *client {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		log.Fatal(err)
	}
	c := &client{conn, bufio.NewReaderSize(conn, buffer), servers[p.name].raw}
	if c.raw {
		return c
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		log.Fatalf("%s: handshake: %v %v", p.name, res, err)
	}
	return c
}

// frame is a client's binary frame.
func frame(size int) []byte {
	b := []byte{0x82}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i := range size {
		b = append(b, 'x'^key[i%4])
	}
	return b
}

// receive reads one frame, or as many bytes as were sent, and returns the payload's length.
func (c *client) receive(sent int) (int, error) {
	if c.raw {
		return c.r.Discard(sent)
	}
	for {
		head, err := c.r.Peek(2)
		if err != nil {
			return 0, err
		}
		opcode, n, skip := head[0]&0xf, int(head[1]), 2
		switch n {
		case 126:
			if head, err = c.r.Peek(4); err != nil {
				return 0, err
			}
			n, skip = int(binary.BigEndian.Uint16(head[2:])), 4
		case 127:
			if head, err = c.r.Peek(10); err != nil {
				return 0, err
			}
			n, skip = int(binary.BigEndian.Uint64(head[2:])), 10
		}
		if _, err := c.r.Discard(skip + n); err != nil {
			return 0, err
		}
		switch opcode {
		case 1, 2:
			return n, nil
		case 8:
			return 0, io.EOF
		}
	}
}

// echoes keeps some messages in flight on each connection.
func echoes(p *process, length time.Duration, connections, size, inFlight int) result {
	one := frame(size)
	var batch []byte
	for range inFlight {
		batch = append(batch, one...)
	}
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = connect(p, "/echo", 64<<10)
	}
	var stop atomic.Bool
	var messages atomic.Int64
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for !stop.Load() {
				if _, err := c.conn.Write(batch); err != nil {
					log.Fatalf("%s: %v", p.name, err)
				}
				for range inFlight {
					n, err := c.receive(len(one))
					if err != nil || !c.raw && n != size {
						log.Fatalf("%s: got %d bytes back, %v", p.name, n, err)
					}
				}
				messages.Add(int64(inFlight))
			}
		})
	}
	r := measure(p, length, &messages)
	stop.Store(true)
	all.Wait()
	for _, c := range clients {
		c.conn.Close()
	}
	return r
}

// measure warms up, and then takes CPU time and messages over the length.
func measure(p *process, length time.Duration, messages *atomic.Int64) result {
	time.Sleep(length / 4)
	cpu, done, begin := p.cpu(), messages.Load(), time.Now()
	time.Sleep(length)
	used, n := p.cpu()-cpu, float64(messages.Load()-done)
	return result{cost: float64(used) / n, rate: n / time.Since(begin).Seconds()}
}

// broadcast lets one member send, as far ahead of what all got as the window is wide.
func broadcast(p *process, length time.Duration) result {
	const members, size, window = 1000, 128, 64
	clients := make([]*client, members)
	for i := range clients {
		clients[i] = connect(p, "/broadcast", 8<<10)
	}
	var deliveries atomic.Int64
	var stop atomic.Bool
	complete, stopped := make(chan struct{}, 1), make(chan struct{})
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for {
				n, err := c.receive(0)
				if err != nil {
					if !stop.Load() {
						log.Fatalf("%s: a member was lost: %v", p.name, err)
					}
					return
				}
				k := int64((n + 1) / (size + 1)) // gorilla's hub joins messages with newlines
				if now := deliveries.Add(k); now/members != (now-k)/members {
					select {
					case complete <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	one := frame(size)
	all.Go(func() {
		for sent := int64(0); !stop.Load(); sent++ {
			for sent-deliveries.Load()/members >= window && !stop.Load() {
				select {
				case <-complete:
				case <-stopped:
				}
			}
			if _, err := clients[0].conn.Write(one); err != nil {
				return
			}
		}
	})
	r := measure(p, length, &deliveries)
	stop.Store(true)
	close(stopped)
	for _, c := range clients {
		c.conn.Close()
	}
	all.Wait()
	return r
}

// memory is what an idle connection costs.
func memory(p *process, _ time.Duration) result {
	const connections = 10_000 // files open at once, here and in the server: ulimit -n
	warm := connect(p, "/echo", 16)
	defer warm.conn.Close()
	before := p.resident()
	one := frame(64)
	for range connections {
		c := connect(p, "/echo", 4096)
		if _, err := c.conn.Write(one); err != nil {
			log.Fatal(err)
		}
		if _, err := c.receive(len(one)); err != nil {
			log.Fatalf("%s: %v", p.name, err)
		}
		c.r = nil
		defer c.conn.Close()
	}
	return result{cost: (p.resident() - before) / connections}
}
