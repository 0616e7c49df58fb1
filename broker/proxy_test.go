package broker

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// proxy stands between a Broker and its server, and can fail as a network does.
type proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	cond   *sync.Cond
	conns  []net.Conn
	refuse bool // new connections are
	frozen bool // nothing passes
}

func startProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: strings.TrimPrefix(to, "nats://")}
	p.cond = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.thaw()
		p.cut()
		l.Close()
		p.running.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
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

// freeze lets nothing pass, until thaw: what is sent waits.
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
