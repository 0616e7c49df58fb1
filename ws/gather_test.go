package ws_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"echows/ws"
)

// counting is a listener whose connections count their writes.
type counting struct {
	net.Listener
	writes *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.writes}, err
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestRepliesToMessagesOfOneReadLeaveInOneWrite(t *testing.T) {
	var writes atomic.Int64
	_, addr := serveOn(t, ws.Config{}, func(l net.Listener) net.Listener { return counting{l, &writes} }, echoRoute)
	p := dial(t, addr, "/echo")
	before := writes.Load()
	p.send(strings.Repeat(whole(opText, "Hello"), 16))
	for range 16 {
		p.expect("text Hello")
	}
	// One, and another for each millisecond that a busy machine may have made of it.
	if n := writes.Load() - before; n >= 8 {
		t.Errorf("%d writes", n)
	}
}
