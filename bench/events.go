package main

import (
	"bytes"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	zishang "github.com/zishang520/socket.io/servers/socket/v3"

	"echows/socketio"
	"echows/ws"
)

// Socket.IO, over WebSockets only. Each server sends the event "echo" back to its emitter, and emits
// "broadcast" to all; both have one argument, a string. Settings are the defaults.

func oursIO(cfg socketio.Config) func(net.Listener) error {
	return func(l net.Listener) error {
		e := echo.New()
		cfg.Logger = slog.New(slog.DiscardHandler)
		io := socketio.New(ws.New(e, ws.Config{Logger: cfg.Logger}), cfg)
		io.OnConnect(func(s *socketio.Socket) error {
			socketio.On(s, "echo", func(_ socketio.Event, text string) error { return s.Emit("echo", text) })
			socketio.On(s, "broadcast", func(_ socketio.Event, text string) error { return io.Emit("broadcast", text) })
			return nil
		})
		return http.Serve(l, e)
	}
}

func withZishang(l net.Listener) error {
	io := zishang.NewServer(nil, nil)
	io.On("connection", func(clients ...any) {
		s := clients[0].(*zishang.Socket)
		s.On("echo", func(args ...any) { s.Emit("echo", args...) })
		s.On("broadcast", func(args ...any) { io.Emit("broadcast", args...) })
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(nil))
	return http.Serve(l, mux)
}

// enter connects clients to the namespace "/". All receive their open packet before the first sends CONNECT:
// zishang sends that packet before it listens, and would lose an immediate answer.
func enter(p *process, connections, buffer int) []*client {
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = connect(p, "/socket.io/?EIO=4&transport=websocket", buffer)
		clients[i].await(p, "0{")
	}
	time.Sleep(100 * time.Millisecond)
	for _, c := range clients {
		if _, err := c.conn.Write(frame(text, []byte("40"))); err != nil {
			log.Fatalf("%s: %v", p.name, err)
		}
		c.await(p, `40{"sid":`)
	}
	return clients
}

// await reads a packet that begins as it should.
func (c *client) await(p *process, begin string) {
	if b, err := c.packet(); err != nil || !bytes.HasPrefix(b, []byte(begin)) {
		log.Fatalf("%s: got %q instead of %s…, %v", p.name, b, begin, err)
	}
}

// packet reads one packet, and answers Engine.IO's pings before it.
func (c *client) packet() ([]byte, error) {
	for {
		b, err := c.message()
		if err != nil || string(b) != "2" {
			return b, err
		}
		if _, err := c.conn.Write(frame(text, []byte("3"))); err != nil {
			return nil, err
		}
	}
}

// event reads a packet, which must be the expected one. With recovery, the server adds an argument: a string.
func (c *client) event(expected []byte, recovery bool) error {
	b, err := c.packet()
	if err != nil {
		return err
	}
	same := bytes.Equal(b, expected)
	if recovery {
		rest, ok := bytes.CutPrefix(b, expected[:len(expected)-1])
		same = ok && len(rest) > len(`,""]`) && bytes.HasPrefix(rest, []byte(`,"`)) && bytes.IndexByte(rest[2:], '"') == len(rest)-4
	}
	if !same {
		return fmt.Errorf("got %q instead of %q", b, expected)
	}
	return nil
}

// eventPacket returns an event with size bytes of text.
func eventPacket(name string, size int) []byte {
	return fmt.Appendf(nil, `42["%s","%s"]`, name, some(size))
}

// events keeps some events in flight on each connection.
func events(p *process, length time.Duration, inFlight int) result {
	one, recovery := eventPacket("echo", 64), servers[p.name].sort == sortRecovery
	clients := enter(p, 50, 64<<10)
	return exchange(p, length, clients, frame(text, one), inFlight, func(c *client) error { return c.event(one, recovery) })
}

func eventBroadcast(p *process, length time.Duration) result {
	one, recovery := eventPacket("broadcast", said), servers[p.name].sort == sortRecovery
	clients := enter(p, audience, 8<<10)
	return stream(p, length, clients, frame(text, one), 64, func(c *client) (int, error) { return 1, c.event(one, recovery) })
}

// eventsApart is like eventBroadcast with a processor for the nodes alone, and with at most rate events a second, unless that
// is 0. So two nodes have the same to do as one, and the same to do it with.
func eventsApart(p *process, length time.Duration, rate int) result {
	one := eventPacket("broadcast", said)
	clients := enter(p, audience, 8<<10)
	defer p.apart()()
	return streamAt(p, length, clients, frame(text, one), 64, rate, func(c *client) (int, error) { return 1, c.event(one, false) })
}

// eventMemory measures the memory of an idle client. In the end each must still be connected.
func eventMemory(p *process) result {
	const connections = 10_000 // files open at once, here and in the server: ulimit -n
	one := eventPacket("echo", 64)
	warm := enter(p, 1, 512)
	before := p.resident()
	clients := enter(p, connections, 512)
	after := p.resident()
	for _, c := range append(clients, warm...) {
		_, err := c.conn.Write(frame(text, one))
		if err == nil {
			err = c.event(one, false)
		}
		if err != nil {
			log.Fatalf("%s: a client was lost: %v", p.name, err)
		}
		c.conn.Close()
	}
	return result{cost: (after - before) / connections}
}
