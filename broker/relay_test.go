package broker

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// relay stands between a Broker and its servers, and loses or delays messages that the Broker sends. When it cuts the Broker
// off, the connection to the server stays, so that delayed messages can still arrive, as from a server that stops or over a
// network that is slow.
type relay struct {
	running sync.WaitGroup

	mu      sync.Mutex
	clients []net.Conn
	servers []net.Conn
	rule    func(message string) what
	delayed []delayed
}

// what a relay does with a message.
type what int

const (
	pass what = iota
	lose
	delay
)

type delayed struct {
	to   net.Conn
	data []byte
}

func startRelay(t *testing.T) *relay {
	r := &relay{}
	r.set(nil)
	t.Cleanup(func() {
		r.cut()
		r.mu.Lock()
		for _, s := range r.servers {
			s.Close()
		}
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

// listen returns the address at which the relay forwards to a server's URL.
func (r *relay) listen(t *testing.T, url string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r.running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				client.Close()
				continue
			}
			r.mu.Lock()
			r.clients, r.servers = append(r.clients, client), append(r.servers, server)
			r.mu.Unlock()
			r.running.Go(func() { r.send(server, client) })
			r.running.Go(func() {
				io.Copy(client, server)
				client.Close()
				io.Copy(io.Discard, server) // the server may still answer what was delayed
			})
		}
	})
	return l.Addr().String()
}

// send forwards what a client sends. A message has a line that ends with its size, the message itself, and a line end.
func (r *relay) send(server, client net.Conn) {
	in := bufio.NewReader(client)
	for {
		frame, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		action := pass
		if fields := bytes.Fields(frame); bytes.HasSuffix(fields[0], []byte("PUB")) {
			size, err := strconv.Atoi(string(fields[len(fields)-1]))
			if err != nil {
				return
			}
			message := make([]byte, size+2)
			if _, err := io.ReadFull(in, message); err != nil {
				return
			}
			frame = append(frame, message...)
			_, text, _ := strings.Cut(string(message[:size]), "\r\n\r\n") // after the header
			action = r.judge(server, frame, text)
		}
		if action == pass {
			server.Write(frame)
		}
	}
}

func (r *relay) judge(server net.Conn, frame []byte, text string) what {
	r.mu.Lock()
	defer r.mu.Unlock()
	action := r.rule(text)
	if action == delay {
		r.delayed = append(r.delayed, delayed{server, frame})
	}
	return action
}

// set changes what happens with the given messages; all others pass.
func (r *relay) set(rules map[string]what) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rule = func(message string) what { return rules[message] }
}

// await waits until n messages are delayed.
func (r *relay) await(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " messages are delayed"), func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.delayed) >= n })
}

// release forwards the first n of the delayed messages over the connections on which they were sent.
func (r *relay) release(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.delayed[:n] {
		d.to.Write(d.data)
	}
	r.delayed = r.delayed[n:]
}

// cut ends the connections of the clients. They may connect again.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.Close()
	}
	r.clients = nil
}
