package conn

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// errWouldBlock says that there is nothing to read, or no room to write, without waiting.
var errWouldBlock = errors.New("ws: the connection would block")

// transport is the network connection below a Conn.
type transport struct {
	net.Conn
	// raw is for reading and writing without waiting; nil where that cannot be done: TLS, a pipe, a
	// connection that wraps another, a system that is not a unix.
	raw syscall.RawConn
	// under is the descriptor to wait with: raw's, or the one below TLS; nil where nothing tells that there is
	// something to read.
	under syscall.RawConn
}

func newTransport(c net.Conn) transport {
	t := transport{Conn: c}
	if !canTry {
		return t
	}
	t.raw = rawConn(c)
	t.under = t.raw
	if c, ok := c.(*tls.Conn); ok {
		t.under = rawConn(c.NetConn())
	}
	return t
}

// rawConn is for exactly these connections: what wraps them may count or change the bytes.
func rawConn(c net.Conn) (raw syscall.RawConn) {
	switch c := c.(type) {
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	case *net.UnixConn:
		raw, _ = c.SyscallConn()
	}
	return raw
}

// innermost follows NetConn, which TLS connections and others have, to the connection below all others.
func (t transport) innermost() net.Conn {
	c := t.Conn
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// isGone reports whether the peer has closed its end, as far as the system can tell without reading.
func (t transport) isGone() (gone bool) {
	raw := t.under
	if raw == nil {
		c, ok := t.innermost().(syscall.Conn)
		if !ok {
			return false
		}
		var err error
		if raw, err = c.SyscallConn(); err != nil {
			return false
		}
	}
	err := raw.Control(func(fd uintptr) { gone = hungUp(fd) })
	return gone || err != nil
}

// tryWrite writes what fits of two slices, which follow one another, without waiting.
func (t transport) tryWrite(first, second []byte) (int, error) {
	if t.raw == nil {
		return 0, errWouldBlock
	}
	w := tryWrites.Get().(*tryWrite)
	w.parts = [2][]byte{first, second}
	err := t.raw.Write(w.do)
	n := w.n
	if err == nil {
		err = w.err
	}
	w.parts, w.n, w.err = [2][]byte{}, 0, nil
	tryWrites.Put(w)
	return n, err
}

// tryWrite is one such write; pooled, because a function passed to a RawConn would be allocated anew.
type tryWrite struct {
	parts [2][]byte
	n     int
	err   error
	do    func(fd uintptr) (done bool)
}

var tryWrites = sync.Pool{New: func() any {
	w := new(tryWrite)
	w.do = func(fd uintptr) bool {
		for w.err == nil && len(w.parts[0])+len(w.parts[1]) > 0 {
			var n int
			n, w.err = writeNow(fd, &w.parts)
			w.n += n
			k := min(n, len(w.parts[0]))
			w.parts[0], w.parts[1] = w.parts[0][k:], w.parts[1][n-k:]
		}
		return true
	}
	return w
}}

// kill closes the connection at once. Where that might wait, such as for the goodbye of TLS inside a
// connection that wraps it, it happens in a goroutine that spawn starts.
func (t transport) kill(spawn func(func())) {
	inner := t.innermost()
	inner.Close()
	if inner == t.Conn {
		return
	}
	spawn(func() { t.Close() })
}

// closeWrite tells the peer that nothing more comes, where the connection can.
func (t transport) closeWrite() bool {
	c, ok := t.Conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// longAgo as a deadline ends a wait at once.
var longAgo = time.Unix(1, 0)
