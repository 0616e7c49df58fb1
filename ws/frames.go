package ws

import (
	"bufio"
	"io"
	"sync"

	"golang.org/x/net/websocket"
)

// frame is what we use of x/net's frame reader, whose own name is not exported.
type frame interface{ HeaderReader() io.Reader }

// The compiler's word that x/net still has what we build on.
var _ = func(c *websocket.Conn) (frame, error) { return c.NewFrameReader() }

// chunkSize is how much one read takes off a connection, in bytes, where no larger payload is awaited.
const chunkSize = 4096

// frames reads frames through x/net from whatever connection it is lent to. It is where the memory
// of reading is, so a socket holds one only while there are bytes to read.
//
// A header that lies whole in the buffer is read there. x/net reads those whose bytes have to be waited
// for; it makes six objects for each, which is a quarter of the cost of a small message among many (see
// bench/README.md). Payloads are ours as well, since x/net unmasks byte by byte.
type frames struct {
	*bufio.Reader                       // over frames.Read
	next          func() (frame, error) // x/net's NewFrameReader on it
	head          [maxHeader]byte

	// Where the bytes come from; cleared by release.
	early  []byte  // read before, handed out first
	trying bool    // take from fd what is there, without waiting
	fd     uintptr // valid while trying
	socket *Socket // otherwise: wait for this one's bytes
}

var framesPool = sync.Pool{New: func() any { return newFrames() }}

func newFrames() *frames {
	f := new(frames)
	f.Reader = bufio.NewReaderSize(f, chunkSize)
	// x/net makes frame readers only for a connection that shook hands, so one does, in memory. The
	// method value holds on to nothing but our bufio.Reader.
	rw := bufio.NewReadWriter(f.Reader, bufio.NewWriter(io.Discard))
	conn := handshake(nil, rw, exampleKey, "", nil)
	next := conn.NewFrameReader
	f.next = func() (frame, error) { return next() }
	return f
}

// exampleKey is the Sec-WebSocket-Key of RFC 6455's own example (section 1.3).
const exampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// Read is the bufio.Reader's source.
func (f *frames) Read(p []byte) (int, error) {
	switch {
	case len(f.early) > 0:
		n := copy(p, f.early)
		f.early = f.early[n:]
		return n, nil
	case f.trying:
		return readNow(f.fd, p)
	}
	return f.socket.waitRead(p)
}

// header waits for the next frame's header and leaves its payload to be read.
func (f *frames) header() (header, error) {
	b, _ := f.Peek(min(f.Buffered(), maxHeader))
	if n := headerLength(b); n <= len(b) {
		h := parseHeader(b[:n])
		_, err := f.Discard(n)
		return h, err
	}
	return f.waitHeader()
}

func (f *frames) waitHeader() (header, error) {
	// x/net clears the highest bit of a 64-bit length, which "MUST be 0" (RFC 6455 section 5.2): look first.
	b, err := f.Peek(2)
	if err == nil && b[1]&0x7f == 127 {
		if b, err = f.Peek(3); err == nil && b[2]&0x80 != 0 {
			return header{}, errLength
		}
	}
	if err != nil {
		return header{}, err
	}
	x, err := f.next()
	if err != nil {
		return header{}, err
	}
	n, err := io.ReadFull(x.HeaderReader(), f.head[:])
	if err != nil && err != io.ErrUnexpectedEOF {
		return header{}, err
	}
	return parseHeader(f.head[:n]), nil
}

// more reports whether bytes are there that can be read without waiting.
func (f *frames) more() bool { return f.Buffered() > 0 || len(f.early) > 0 }

// release gives f back once nothing is buffered, or the connection is over.
func (f *frames) release() {
	f.early, f.trying, f.socket = nil, false, nil
	f.Reset(f)
	framesPool.Put(f)
}
