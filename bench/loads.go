package main

import (
	"bufio"
	"bytes"
	be "encoding/binary"
	"errors"
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
	"small":       "One 64-byte message in flight on each of 50 connections, echoed",
	"pipelined":   "Sixteen 64-byte messages in flight on each of 50 connections, echoed",
	"large":       "One 64 KiB message in flight on each of 8 connections, echoed",
	"large20":     "One 64 KiB message in flight on each of 20 connections, echoed",
	"broadcast":   "A stream of 128-byte messages to 1,000 members, up to 64 in flight",
	"broadcast10": "A stream of 128-byte messages to 1,000 members, up to ten in flight",

	"memory":          idle,
	"memory-ping":     idle + thenPinged,
	"memory-tls":      idle + ", over TLS",
	"memory-tls-ping": idle + thenPinged + ", over TLS",

	"deflate":           "One 1 KiB JSON text, compressed, in flight on each of 50 connections, echoed",
	"deflate-broadcast": "A stream of 1 KiB JSON texts, compressed, to 1,000 members, up to 64 in flight",

	"events":           "One event with 64 bytes of text in flight on each of 50 Socket.IO connections, sent back",
	"events16":         "Sixteen events with 64 bytes of text in flight on each of 50 Socket.IO connections, sent back",
	"events-broadcast": "A stream of events with 128 bytes of text to 1,000 Socket.IO sockets, up to 64 in flight",
	"events-memory":    "10,000 idle Socket.IO connections, each in one namespace",

	"recovery":           "One event with 64 bytes of text in flight on each of 50 Socket.IO connections, sent back" + recoverable,
	"recovery16":         "Sixteen events with 64 bytes of text in flight on each of 50 Socket.IO connections, sent back" + recoverable,
	"recovery-broadcast": "A stream of events with 128 bytes of text to 1,000 Socket.IO sockets, up to 64 in flight" + recoverable,

	"events-broadcast-two": "A stream of events with 128 bytes of text to 1,000 Socket.IO sockets of two nodes, up to 64 in flight",

	"events-apart-200":      "200 events a second with 128 bytes of text to 1,000 Socket.IO sockets; the server has a processor of its own",
	"events-apart-200-two":  "200 events a second with 128 bytes of text to 1,000 Socket.IO sockets of two nodes, which have a processor of their own",
	"events-apart-1000":     "1,000 events a second with 128 bytes of text to 1,000 Socket.IO sockets; the server has a processor of its own",
	"events-apart-1000-two": "1,000 events a second with 128 bytes of text to 1,000 Socket.IO sockets of two nodes, which have a processor of their own",
	"events-apart":          "A stream of events with 128 bytes of text to 1,000 Socket.IO sockets, up to 64 in flight; the server has a processor of its own",
	"events-apart-two":      "A stream of events with 128 bytes of text to 1,000 Socket.IO sockets of two nodes, which have a processor of their own, up to 64 in flight",

	"chat-100":  "Posts to a room of 100 members: one at a time, and 50 at once",
	"chat-1000": "Posts to a room of 1,000 members, one at a time",

	"nodes-100":   "Posts to a room of 100 members, on all nodes of a cluster in turn: one at a time, 50 at once, and 200 a second",
	"nodes-quiet": "10,000 rooms with one member each, all quiet; the members answer pings",
	"nodes-idle":  "A node that has nobody in a room: while nothing is posted there, and while 200 messages a second reach 100 members on two other nodes",
}

const (
	idle        = "10,000 idle connections, each of which has echoed one message"
	thenPinged  = ", and was pinged by echows, or pinged another server (tcp: sent one more message)"
	recoverable = ", with recovery"
)

var loads = map[string]func(*process, time.Duration) result{
	"small":       func(p *process, d time.Duration) result { return echoes(p, d, 50, 64, 1) },
	"pipelined":   func(p *process, d time.Duration) result { return echoes(p, d, 50, 64, 16) },
	"large":       func(p *process, d time.Duration) result { return echoes(p, d, 8, 64<<10, 1) },
	"large20":     func(p *process, d time.Duration) result { return echoes(p, d, 20, 64<<10, 1) },
	"broadcast":   func(p *process, d time.Duration) result { return broadcast(p, d, 64) },
	"broadcast10": func(p *process, d time.Duration) result { return broadcast(p, d, 10) },

	"memory":          func(p *process, _ time.Duration) result { return memory(p, nil) },
	"memory-ping":     func(p *process, _ time.Duration) result { return memory(p, pingAll) },
	"memory-tls":      func(p *process, _ time.Duration) result { return memory(p, nil) },
	"memory-tls-ping": func(p *process, _ time.Duration) result { return memory(p, pingAll) },

	"deflate":           deflateEchoes,
	"deflate-broadcast": deflateBroadcast,

	"events":           func(p *process, d time.Duration) result { return events(p, d, 1) },
	"events16":         func(p *process, d time.Duration) result { return events(p, d, 16) },
	"events-broadcast": eventBroadcast,
	"events-memory":    func(p *process, _ time.Duration) result { return eventMemory(p) },

	"recovery":           func(p *process, d time.Duration) result { return events(p, d, 1) },
	"recovery16":         func(p *process, d time.Duration) result { return events(p, d, 16) },
	"recovery-broadcast": eventBroadcast,

	"events-broadcast-two": eventBroadcast,

	"events-apart-200":      func(p *process, d time.Duration) result { return eventsApart(p, d, 200) },
	"events-apart-200-two":  func(p *process, d time.Duration) result { return eventsApart(p, d, 200) },
	"events-apart-1000":     func(p *process, d time.Duration) result { return eventsApart(p, d, 1000) },
	"events-apart-1000-two": func(p *process, d time.Duration) result { return eventsApart(p, d, 1000) },
	"events-apart":          func(p *process, d time.Duration) result { return eventsApart(p, d, 0) },
	"events-apart-two":      func(p *process, d time.Duration) result { return eventsApart(p, d, 0) },

	"chat-100":  func(p *process, d time.Duration) result { return posts(p, d, 100, 50) },
	"chat-1000": func(p *process, d time.Duration) result { return posts(p, d, 1000, 0) },

	"nodes-100":   nodePosts,
	"nodes-idle":  idleNode,
	"nodes-quiet": quietRooms,
}

// client is one connection of the load.
type client struct {
	conn  net.Conn
	r     *bufio.Reader
	raw   bool   // the server echoes bytes, not messages
	whole []byte // the last compressed message, joined
	seen  bool   // one of them inflated, and it was right
}

func connect(p *process, path string, buffer int) *client {
	kind := servers[p.name]
	conn, err := dial(p.addr(), kind.sort == sortTLS)
	if err != nil {
		log.Fatal(err)
	}
	c := &client{conn: conn, r: bufio.NewReaderSize(conn, buffer), raw: kind.raw}
	if c.raw {
		return c
	}
	extensions := ""
	if kind.sort == sortDeflate {
		extensions = offer
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, extensions)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		log.Fatalf("%s: handshake: %v %v", p.name, res, err)
	}
	if answer := res.Header.Get("Sec-WebSocket-Extensions"); extensions != "" && !accepted(answer) {
		log.Fatalf("%s: handshake: the compression was not accepted: %q", p.name, answer)
	}
	return c
}

// The first byte of a frame.
const (
	final   = 0x80 // in a message's last or only frame: FIN
	packed  = 0x40 // in a compressed message's first: RSV1
	text    = final | 1
	binary  = final | 2
	closing = final | 8
	ping    = final | 9
	pong    = final | 10
)

// frame returns a client's frame.
func frame(first byte, payload []byte) []byte {
	b, size := []byte{first}, len(payload)
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = be.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = be.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// some returns a payload.
func some(size int) []byte { return bytes.Repeat([]byte{'x'}, size) }

// receive reads one message, or as many bytes as were sent, and returns the payload's length.
func (c *client) receive(sent int) (int, error) {
	if c.raw {
		return c.r.Discard(sent)
	}
	for all := 0; ; {
		first, n, err := c.header()
		if err == nil {
			_, err = c.r.Discard(n)
		}
		if all += n; err != nil || first&final != 0 {
			return all, err
		}
	}
}

// message reads one message, which is valid until the next is read. None is long enough to be fragmented.
func (c *client) message() ([]byte, error) {
	first, n, err := c.header()
	if err == nil && first&final == 0 {
		err = errors.New("a fragmented message")
	}
	if err != nil {
		return nil, err
	}
	return c.payload(n)
}

func (c *client) payload(n int) ([]byte, error) {
	if n > c.r.Size() {
		b := make([]byte, n)
		_, err := io.ReadFull(c.r, b)
		return b, err
	}
	b, err := c.r.Peek(n)
	if err == nil {
		_, err = c.r.Discard(n)
	}
	return b, err
}

// header reads the header of a message, or of its next fragment, and answers pings before it. It
// returns the frame's first byte and the payload's length.
func (c *client) header() (first byte, n int, err error) {
	for {
		if first, n, err = c.anyHeader(); err != nil {
			return 0, 0, err
		}
		switch first {
		case ping:
			err = c.answer(n)
		case pong:
			_, err = c.r.Discard(n)
		case closing:
			err = io.EOF
		default:
			return first, n, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// anyHeader reads the header of a frame.
func (c *client) anyHeader() (first byte, n int, err error) {
	head, err := c.r.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	first, n, skip := head[0], int(head[1]), 2
	switch n {
	case 126:
		if head, err = c.r.Peek(4); err != nil {
			return 0, 0, err
		}
		n, skip = int(be.BigEndian.Uint16(head[2:])), 4
	case 127:
		if head, err = c.r.Peek(10); err != nil {
			return 0, 0, err
		}
		n, skip = int(be.BigEndian.Uint64(head[2:])), 10
	}
	_, err = c.r.Discard(skip)
	return first, n, err
}

// answer reads a ping's payload, and sends it back.
func (c *client) answer(n int) error {
	data, err := c.payload(n)
	if err == nil {
		_, err = c.conn.Write(frame(pong, data))
	}
	return err
}

// echoes keeps some messages in flight on each connection.
func echoes(p *process, length time.Duration, connections, size, inFlight int) result {
	one := frame(binary, some(size))
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = connect(p, "/echo", 64<<10)
	}
	return exchange(p, length, clients, one, inFlight, func(c *client) error {
		n, err := c.receive(len(one))
		if err == nil && !c.raw && n != size {
			err = fmt.Errorf("got %d bytes back", n)
		}
		return err
	})
}

// exchange makes each client send one inFlight times, and again when it has received as many answers.
func exchange(p *process, length time.Duration, clients []*client, one []byte, inFlight int, receive func(*client) error) result {
	batch := bytes.Repeat(one, inFlight)
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
					if err := receive(c); err != nil {
						log.Fatalf("%s: %v", p.name, err)
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

// measure warms up, and then counts CPU time and messages for length.
func measure(p *process, length time.Duration, messages *atomic.Int64) result {
	time.Sleep(length / 4)
	cpu, done, begin := p.cpu(), messages.Load(), time.Now()
	time.Sleep(length)
	used, n := p.cpu()-cpu, float64(messages.Load()-done)
	return result{cost: float64(used) / n, rate: n / time.Since(begin).Seconds()}
}

const (
	audience = 1000 // members of a broadcast
	said     = 128  // bytes of each message
)

func broadcast(p *process, length time.Duration, window int64) result {
	clients := make([]*client, audience)
	for i := range clients {
		clients[i] = connect(p, "/broadcast", 8<<10)
	}
	return stream(p, length, clients, frame(binary, some(said)), window, func(c *client) (int, error) {
		n, err := c.receive(0)
		return (n + 1) / (said + 1), err // gorilla's hub joins messages with newlines
	})
}

// stream makes the first client send one to all, at most window messages ahead of what they received.
// receive returns how many arrived.
func stream(p *process, length time.Duration, clients []*client, one []byte, window int64, receive func(*client) (int, error)) result {
	return streamAt(p, length, clients, one, window, 0, receive)
}

// streamAt is stream with a limit of messages a second; 0 for none.
func streamAt(p *process, length time.Duration, clients []*client, one []byte, window int64, rate int, receive func(*client) (int, error)) result {
	members := int64(len(clients))
	var deliveries atomic.Int64
	var stop atomic.Bool
	complete, stopped := make(chan struct{}, 1), make(chan struct{})
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for {
				n, err := receive(c)
				if err != nil {
					if !stop.Load() {
						log.Fatalf("%s: a member was lost: %v", p.name, err)
					}
					return
				}
				k := int64(n)
				if now := deliveries.Add(k); now/members != (now-k)/members {
					select {
					case complete <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	all.Go(func() {
		begin := time.Now()
		for sent := int64(0); !stop.Load(); sent++ {
			if rate > 0 {
				time.Sleep(time.Until(begin.Add(time.Duration(sent) * time.Second / time.Duration(rate))))
			}
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
