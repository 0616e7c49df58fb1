// Package proxytest is a TCP proxy for tests, which can fail like a network.
package proxytest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between clients and a server. Its methods may be called from any goroutine.
type Proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	cond   *sync.Cond
	conns  []net.Conn
	refuse bool // new connections
	frozen bool // nothing passes
}

// Start starts a proxy in front of the server at an address, until the test ends.
func Start(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, to: to}
	p.cond = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.Mend()
		p.Cut()
		l.Close()
		p.running.Wait()
	})
	return p
}

// Addr returns the proxy's own address.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to)
		p.mu.Lock()
		if p.refuse || err != nil {
			from.Close()
			if err == nil {
				to.Close()
			}
		} else {
			p.conns = append(p.conns, from, to)
			p.running.Go(func() { p.copy(to, from) })
			p.running.Go(func() { p.copy(from, to) })
		}
		p.mu.Unlock()
	}
}

// copy forwards what comes from one side, and its end.
func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		p.mu.Lock()
		for p.frozen {
			p.cond.Wait() // the end is not forwarded either
		}
		p.mu.Unlock()
		if _, failed := to.Write(part[:n]); err != nil || failed != nil {
			return
		}
	}
}

// Cut ends the connections and refuses new ones, until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// Freeze lets nothing pass, until Mend: what is sent waits, and no end notices.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// Mend accepts connections again, and lets everything pass.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.frozen = false, false
	p.cond.Broadcast()
}
