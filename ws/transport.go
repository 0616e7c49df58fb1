package ws

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// errWouldBlock says that there is nothing to read, or no room to write, without waiting.
var errWouldBlock = errors.New("ws: the connection would block")

// transport is the connection below a socket, taken over from net/http.
type transport struct {
	net.Conn
	raw syscall.RawConn // nil where one cannot ask without waiting: TLS, a pipe, not a unix
}

func newTransport(c net.Conn) transport {
	t := transport{Conn: c}
	switch c := c.(type) { // exactly these: what wraps them may count or change the bytes
	case *net.TCPConn:
		t.raw, _ = c.SyscallConn()
	case *net.UnixConn:
		t.raw, _ = c.SyscallConn()
	}
	if !canTry {
		t.raw = nil
	}
	return t
}

// tryWrite writes what fits without waiting.
func (t transport) tryWrite(p []byte) (int, error) {
	if t.raw == nil {
		return 0, errWouldBlock
	}
	w := tryWrites.Get().(*tryWrite)
	w.p = p
	err := t.raw.Write(w.do)
	n := w.n
	if err == nil {
		err = w.err
	}
	w.p, w.n, w.err = nil, 0, nil
	tryWrites.Put(w)
	return n, err
}

// tryWrite is one such write; pooled, because a function passed to a RawConn would be allocated anew.
type tryWrite struct {
	p   []byte
	n   int
	err error
	do  func(fd uintptr) (done bool)
}

var tryWrites = sync.Pool{New: func() any {
	w := new(tryWrite)
	w.do = func(fd uintptr) bool {
		for w.n < len(w.p) && w.err == nil {
			var n int
			n, w.err = writeNow(fd, w.p[w.n:])
			w.n += n
		}
		return true
	}
	return w
}}

// writeChunk is how many bytes a peer has the timeout to make room for: more than an outbox holds by
// default, so that only what is larger than that has longer.
const writeChunk = 256 << 10

// waitWrite writes all of p, waiting up to timeout for the peer to make room for each chunk. It comes
// after tryWrite, since the deadline it sets costs as much as a small write.
func (t transport) waitWrite(p []byte, timeout time.Duration) error {
	for len(p) > 0 {
		if err := t.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		n, err := t.Write(p[:min(len(p), writeChunk)])
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return t.SetWriteDeadline(time.Time{}) // an old deadline would fail the next try
}

// drop ends the connection at once: not even TLS gets to say goodbye, which could take seconds.
func (t transport) drop() {
	if c, ok := t.Conn.(interface{ NetConn() net.Conn }); ok {
		c.NetConn().Close()
	}
	t.Close()
}

// closeWrite tells the peer that nothing more comes, where the connection can.
func (t transport) closeWrite() bool {
	c, ok := t.Conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}
