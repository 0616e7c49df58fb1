package ws

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/labstack/echo/v4"
)

// run is the life of a socket's goroutine: the Handler, reading, and the end.
func (s *Socket) run(c echo.Context) {
	if err := s.guard(func() error { return s.route.handler(s, c) }); err != nil {
		s.fail(err)
	}
	s.live()
}

// live reads to the connection's end, unless the socket is to rest: then a new goroutine goes on.
func (s *Socket) live() {
	err := s.read()
	if err == errRest {
		s.rest()
		return
	}
	s.finish(err)
}

// fail closes the socket because a callback or the Handler returned an error or panicked.
func (s *Socket) fail(err error) {
	var panicked *panicError
	var code *CloseError
	switch {
	case errors.As(err, &panicked):
		s.app.log.Error("socket callback panicked", "id", s.ID(), "path", s.Path(), "panic", panicked.value, "stack", string(panicked.stack))
	case !s.out.isOpen(): // it failed because the socket closes
		return
	case errors.As(err, &code) && code.Code.mayBeSent():
		s.close(code, false)
		return
	default:
		s.app.log.Error("socket callback failed", "id", s.ID(), "path", s.Path(), "error", err)
	}
	s.close(errCallback, false) // details are for the log, not for the peer
}

var errCallback = &CloseError{CloseInternalError, "internal error"}

// close begins the closing handshake from our side, if nobody began it before, and returns at once.
// With drop the messages that still wait are given up.
func (s *Socket) close(why *CloseError, drop bool) {
	s.out.seal(why, drop)
}

// abort ends the connection without a closing handshake.
func (s *Socket) abort(why *CloseError) {
	s.setEnd(why)
	s.out.fail(ErrClosed)
}

// setEnd keeps the first reason that anyone gives.
func (s *Socket) setEnd(why *CloseError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = why
	}
}

// endContext tells who works for this connection that it is gone, callbacks that still run included.
func (s *Socket) endContext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.cancel != nil {
		s.cancel()
	}
}

// finish ends the connection after reading ended with err.
func (s *Socket) finish(err error) {
	var rule *CloseError
	switch {
	case err == errPeerClosed:
	case errors.As(err, &rule):
		s.close(rule, false)
	default:
		s.abort(lost(err))
	}
	s.out.settle() // the close frame is written, or the connection is gone
	lingers := s.out.closeWrite()

	s.app.remove(s)
	s.endContext()
	s.mu.Lock()
	s.ended = true
	end, callbacks := s.end, s.onClose
	s.onClose = nil
	s.mu.Unlock()

	for _, f := range callbacks {
		if err := s.guard(func() error { f(end.Code, end.Reason); return nil }); err != nil {
			s.fail(err)
		}
	}
	if lingers {
		s.linger()
	}
	s.out.fail(ErrClosed)
	s.app.log.Info("socket closed", "id", s.ID(), "remote", s.RemoteAddr(), "path", s.Path(),
		"code", int(end.Code), "reason", end.Reason, "seconds", time.Since(s.opened).Round(time.Millisecond).Seconds())
}

// lost describes an end without a close frame.
func lost(err error) *CloseError {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &CloseError{CloseAbnormal, "the peer left without a close frame"}
	}
	return &CloseError{CloseAbnormal, fmt.Sprintf("connection lost: %v", err)}
}

// lingerTime is how long what a closed peer still sends is read, and ignored.
const lingerTime = time.Second

// linger reads on for a moment: data left unread would make TCP reset the connection, which could
// cost the peer our close frame (RFC 6455 section 7.1.1).
func (s *Socket) linger() {
	if s.out.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		io.Copy(io.Discard, s.out.Conn)
	}
}
