package ws_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// gates is a listener whose connections stop before each write, once that is asked for.
type gates struct {
	net.Listener
	conns chan *gate
}

func (l gates) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &gate{Conn: c, writes: make(chan []byte), pass: make(chan struct{})}
	l.conns <- g
	return g, nil
}

type gate struct {
	net.Conn
	writes chan []byte   // each write, before it happens
	pass   chan struct{} // lets it happen

	mu       sync.Mutex
	shut     bool
	deadline time.Time // for writing, the last one set
}

func (g *gate) close() { g.mu.Lock(); g.shut = true; g.mu.Unlock() }

// open lets all writes happen from now on, the one that waits too.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
	close(g.pass)
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		select {
		case g.writes <- p:
			<-g.pass
		case <-g.pass:
		}
	}
	return g.Conn.Write(p)
}

func (g *gate) SetWriteDeadline(d time.Time) error {
	g.mu.Lock()
	g.deadline = d
	g.mu.Unlock()
	return g.Conn.SetWriteDeadline(d)
}

// gated serves one connection with a gate.
func gated(t *testing.T, cfg ws.Config) (*peer, *ws.Socket, *gate) {
	t.Helper()
	conns, sockets := make(chan *gate, 1), make(chan *ws.Socket, 1)
	_, addr := serveOn(t, cfg, func(l net.Listener) net.Listener { return gates{l, conns} }, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(s.Send)
			sockets <- s
			return nil
		})
	})
	p := dial(t, addr, "/")
	return p, wait(t, sockets), wait(t, conns)
}

// A sender writes what was queued when it began, but not what others queue in the meantime.
func TestNoSenderWritesForOthers(t *testing.T) {
	p, s, g := gated(t, ws.Config{})
	g.close()
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- s.SendText("first") }()
	wait(t, g.writes) // under way, and stopped
	go func() { second <- s.SendText("second") }()
	if err := wait(t, second); err != nil { // queued
		t.Error(err)
	}
	g.pass <- struct{}{}
	if err := wait(t, first); err != nil { // though the second is not written
		t.Error(err)
	}
	if got := wait(t, g.writes); !strings.HasSuffix(string(got), "second") {
		t.Errorf("then %q was written", got)
	}
	g.open()
	p.expect("text first", "text second")
}

// TrySend and SendContext do not wait for a peer that does not read.
func TestSendingWithoutWaiting(t *testing.T) {
	p, s, g := gated(t, ws.Config{SendBuffer: 10})
	g.close()
	go s.SendText("in hand")
	wait(t, g.writes)
	small := ws.Message{Opcode: ws.Text, Data: []byte("small")}
	if err := s.TrySend(small); err != nil {
		t.Errorf("with nine bytes waiting of ten: %v", err)
	}
	if err := s.TrySend(small); err != ws.ErrFull {
		t.Errorf("with sixteen: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() { sent <- s.SendContext(ctx, small) }()
	cancel()
	if err := wait(t, sent); err != context.Canceled {
		t.Errorf("SendContext: %v", err)
	}
	if n := s.Buffered(); n != 16 {
		t.Errorf("%d bytes wait", n)
	}
	g.open()
	p.expect("text in hand", "text small")
}

// A slow write leaves no deadline behind, which would fail a later one.
func TestNoDeadlineIsLeft(t *testing.T) {
	p, s, g := gated(t, ws.Config{})
	if err := s.SendText("Hello"); err != nil {
		t.Error(err)
	}
	p.expect("text Hello")
	eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.deadline.IsZero()
	})
}
