package cluster

import (
	"io"
	"log"
	"net"
	"sync"
)

// Proxy is the path from one program to another, and can fail like a network. Its methods may be called from any
// goroutine.
type Proxy struct {
	listener net.Listener
	to       []string // the first live one is used

	mu     sync.Mutex
	cond   *sync.Cond
	conns  map[net.Conn]bool
	refuse bool    // refuse new connections
	frozen [2]bool // nothing passes, by direction
}

// Direction is one of the two that bytes travel in.
type Direction int

const (
	There Direction = iota // from the client
	Back                   // to the client
)

// StartProxy starts a proxy to the first of some addresses that is alive.
func StartProxy(to ...string) *Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	p := &Proxy{listener: l, to: to, conns: map[net.Conn]bool{}}
	p.cond = sync.NewCond(&p.mu)
	go p.accept()
	return p
}

// URL returns the proxy's URL, for clients of NATS.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Close lets everything that waits pass, and accepts no more connections.
func (p *Proxy) Close() {
	p.Thaw()
	p.listener.Close()
}

// Conns returns how many connections pass through the proxy.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}

func (p *Proxy) accept() {
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
			p.conns[from], p.conns[to] = true, true
			go p.copy(to, from, There)
			go p.copy(from, to, Back)
		}
		p.mu.Unlock()
	}
}

func (p *Proxy) dial() net.Conn {
	for _, addr := range p.to {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn
		}
	}
	return nil
}

func (p *Proxy) copy(to, from net.Conn, d Direction) {
	defer p.forget(to, from)
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.frozen[d] {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if _, err := to.Write(part[:n]); err != nil && err != io.ErrClosedPipe {
			return
		}
	}
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

// Cut ends the connections and refuses new ones, until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

// Mend undoes Cut.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}

// Freeze silently lets nothing pass in some directions, both if none is given, until Thaw: what is sent waits.
func (p *Proxy) Freeze(directions ...Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(directions) == 0 {
		directions = []Direction{There, Back}
	}
	for _, d := range directions {
		p.frozen[d] = true
	}
}

// Thaw undoes Freeze.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = [2]bool{}
	p.cond.Broadcast()
}
