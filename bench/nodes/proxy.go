package main

import (
	"io"
	"log"
	"net"
	"sync"
)

// proxy is the way of one node to NATS, and can fail as a network does.
type proxy struct {
	listener net.Listener
	to       []string // the NATS servers; the first that is alive is taken

	mu     sync.Mutex
	cond   *sync.Cond
	conns  []net.Conn
	refuse bool // new connections are
	frozen bool // nothing passes
}

func startProxy(to []string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	p.cond = sync.NewCond(&p.mu)
	go p.accept()
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to := p.dial()
		p.mu.Lock()
		if p.refuse || to == nil {
			from.Close()
			if to != nil {
				to.Close()
			}
		} else {
			p.conns = append(p.conns, from, to)
			go p.copy(to, from)
			go p.copy(from, to)
		}
		p.mu.Unlock()
	}
}

func (p *proxy) dial() net.Conn {
	for _, addr := range p.to {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn
		}
	}
	return nil
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.frozen {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if _, err := to.Write(part[:n]); err != nil && err != io.ErrClosedPipe {
			return
		}
	}
}

// cut ends the connections and refuses new ones, until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}

// freeze lets nothing pass, and tells nobody, until thaw: what is sent waits.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = false
	p.cond.Broadcast()
}
