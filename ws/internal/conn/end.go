package conn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"echows/ws/internal/wire"
)

// Close begins the closing handshake (RFC 6455 section 7.1.2) and returns at once. What was sent before goes
// out first, and nothing is sent after. The connection ends when the peer has answered, or has not within
// CloseTimeout.
func (c *Conn) Close(code wire.CloseCode, reason string) {
	c.close(&wire.CloseError{Code: code, Reason: reason}, false)
}

// close is Close; with discard what waits to be sent is given up.
func (c *Conn) close(why *wire.CloseError, discard bool) { c.out.seal(why, discard) }

// Drop ends the connection without a closing handshake. Closed gets why, unless another end came first.
func (c *Conn) Drop(why *wire.CloseError) {
	c.setEnd(why)
	c.out.fail(ErrClosed)
}

// left is called when a write failed since the peer has left; the outbox is locked. It wakes the reader, which finds out how:
// a close frame may be unread.
func (c *Conn) left() {
	c.setGone()
	c.wake()
}

// broken is called once, when nothing can be written any more; the outbox is locked. It wakes the reader.
func (c *Conn) broken(err error) {
	c.setEnd(&wire.CloseError{Code: wire.Abnormal, Reason: err.Error()}) // unless it is known why
	c.out.kill(c.engine.running.Go)
	c.setGone()
	c.wake()
}

var (
	// errPeerClosed ends reading after the peer's close frame: "after receiving a Close frame … discard
	// any further data received" (RFC 6455 section 1.4).
	errPeerClosed = errors.New("ws: the peer closed")
	// errPark ends reading for a while; see park.go.
	errPark = errors.New("ws: park")
	// errExit is why reading ended when a callback called runtime.Goexit.
	errExit = &wire.CloseError{Code: wire.InternalError, Reason: "internal error"}
)

// live is a goroutine of the connection: start, and then reading, until it ends or the connection parks.
func (c *Conn) live(start func() *wire.CloseError) {
	var err error = errExit
	defer func() { // also where a callback ends this goroutine
		if err == errPark {
			c.park()
			return
		}
		c.finish(err)
	}()
	if start != nil {
		if why := start(); why != nil {
			c.callbackFailed(why)
		}
	}
	err = c.read()
}

// callbackFailed closes the connection with what a callback returned. If it failed when the peer had left, most often
// because of that, the connection ends as the peer left: with its close frame, if one is unread, or without. In either case
// its end is there to be read.
func (c *Conn) callbackFailed(why *wire.CloseError) {
	if why.Code == wire.InternalError && c.out.isGone() {
		c.deaf = true
		return
	}
	c.close(why, false)
}

// finish ends the connection after reading ended with err.
func (c *Conn) finish(err error) {
	defer c.engine.running.Done() // Open's
	defer c.handler.Freed()
	defer c.out.fail(ErrClosed)
	var rule *wire.CloseError
	switch {
	case err == errPeerClosed:
	case errors.As(err, &rule):
		c.close(rule, false)
		c.setEnd(rule) // if it could not be sent
	default:
		c.Drop(lost(err))
	}
	c.out.hurry()
	c.out.settle() // the close frame is written, or the connection is gone
	c.phase.Store(phaseDone)
	c.dropRead()
	// A server closes first: it stops sending, and a client waits for that (RFC 6455 section 7.1.1).
	lingers := c.out.side == wire.Client || c.out.closeWrite() || err != errPeerClosed
	c.engine.remove(c)
	c.setGone()
	c.mu.Lock()
	end := c.end
	c.mu.Unlock()
	c.handler.Closed(end.Code, end.Reason)
	if lingers {
		c.linger()
	}
}

// lost describes an end without a close frame.
func lost(err error) *wire.CloseError {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &wire.CloseError{Code: wire.Abnormal, Reason: "the peer left without a close frame"}
	}
	return &wire.CloseError{Code: wire.Abnormal, Reason: fmt.Sprintf("connection lost: %v", err)}
}

// lingerTime is how long what a closed peer still sends is read, and ignored.
const lingerTime = time.Second

// lingerBytes is how much of it is read as fast as it comes.
const lingerBytes = 1 << 20

// linger reads on for a moment: data left unread would make TCP reset the connection, which could
// cost the peer our close frame (RFC 6455 section 7.1.1). A peer that sends on and on has to wait.
func (c *Conn) linger() {
	ch := smallChunks.Get().(*chunk)
	defer ch.give()
	until := time.Now().Add(lingerTime)
	for n := 0; time.Now().Before(until); {
		if c.out.SetReadDeadline(until) != nil {
			return
		}
		got, err := c.out.Read(ch.buf)
		// The sweep's last wish to park may have come after the deadline: then once more.
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if n += got; n > lingerBytes {
			time.Sleep(latePause)
		}
	}
}
