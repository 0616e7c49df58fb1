package engineio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"echows/internal/share"
)

var (
	errTwoPOSTs = errors.New("two POSTs at once")
	errBytes    = errors.New("a POST with a binary body")

	errBuffered        = errors.New("all sessions together have reached their limit of buffered bytes")
	errAddressBuffered = errors.New("the sessions of this address have reached their limit of buffered bytes")
)

// noRoom counts that a budget is full, and returns the error that says which.
func (s *Server) noRoom(why share.Refusal) error {
	s.counters.noRoom(why)
	if why == share.Address {
		return errAddressBuffered
	}
	return errBuffered
}

// posting is a POST that is being read or handled.
type posting struct {
	size  int           // of its body, in bytes
	held  holding       // of the body; released by its last user
	early chan struct{} // closed to answer the POST before it is handled

	giveUp func() // while the body is read: ends that
}

// giveUpLocked ends the reading of a body whose session has ended: it counts toward limits for as long as it takes.
func (p *posting) giveUpLocked() {
	if p.giveUp != nil {
		p.giveUp()
	}
}

// post handles a POST, and answers it.
func (s *Session) post(c echo.Context) error {
	mine := &posting{early: make(chan struct{}), held: holding{budget: s.server.buffered, address: s.holding.address}}
	mine.giveUp = func() { http.NewResponseController(c.Response()).SetReadDeadline(time.Now()) } // if there are deadlines here
	s.mu.Lock()
	switch {
	case s.ended || s.transport != polling:
		s.mu.Unlock()
		return errRequest.answer(c)
	case s.posting != nil:
		s.endLocked(TransportError, errTwoPOSTs)
		s.mu.Unlock()
		return errRequest.answer(c)
	}
	s.posting = mine
	s.mu.Unlock()
	defer s.answered(mine)
	if c.Request().Header.Get(echo.HeaderContentType) == echo.MIMEOctetStream {
		s.end(TransportError, errBytes)
		return errRequest.answer(c)
	}
	body, err := s.readBody(c, &mine.held)
	s.mu.Lock()
	mine.giveUp = nil
	s.mu.Unlock()
	if err != nil {
		mine.held.release()
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		s.server.counters.tooLong.Add(1)
		return c.NoContent(http.StatusRequestEntityTooLarge)
	}
	switch {
	case errors.Is(err, errBuffered), errors.Is(err, errAddressBuffered):
		s.end(TransportError, err)
		return c.NoContent(http.StatusServiceUnavailable)
	case err != nil: // the rest of the body did not arrive
		s.end(TransportError, fmt.Errorf("%w: %w", errLeft, err))
	}
	if err != nil || !s.handlePost(mine, body) {
		return errRequest.answer(c)
	}
	return c.Blob(http.StatusOK, "text/html", []byte("ok"))
}

// firstRead is how many bytes are allocated for a body before any of it has arrived.
const firstRead = 4 << 10

// readBody reads a POST's body, and counts its bytes in held as it grows.
func (s *Session) readBody(c echo.Context, held *holding) ([]byte, error) {
	req, most := c.Request(), s.server.config.MaxPayload
	r := heard{http.MaxBytesReader(c.Response(), req.Body, int64(most)), s}
	if req.ContentLength >= 0 {
		most = int(min(req.ContentLength, int64(most)))
		if why := held.ask(most); why != share.None { // before reading any of it
			return nil, s.server.noRoom(why)
		}
	}
	most++ // room to read the EOF
	body := make([]byte, 0, min(firstRead, most))
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		s.server.counters.receivedBytes.Add(uint64(n))
		switch {
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			size := min(2*cap(body), most)
			if why := held.grow(size); why != share.None {
				return nil, s.server.noRoom(why)
			}
			body = append(make([]byte, 0, size), body...)
		}
	}
}

// heard is a request body of which each read counts as a sign of life.
type heard struct {
	io.Reader
	session *Session
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	h.session.hear()
	return n, err
}

// answered allows the next POST.
func (s *Session) answered(one *posting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posting == one {
		s.posting = nil
	}
}

// handlePost starts a goroutine that handles the packets of a POST after those of earlier POSTs. It returns when they have been
// handled, or earlier if answerPostLocked says so. It returns false if the session does not take the POST or the body is
// invalid.
func (s *Session) handlePost(one *posting, body []byte) (ok bool) {
	s.mu.Lock()
	if s.ended || s.transport != polling { // while the body was read
		s.mu.Unlock()
		one.held.release()
		return false
	}
	s.server.running.Add(1) // the session is still running, so Shutdown still waits
	before, mine := s.handled, make(chan struct{})
	s.handled = mine
	s.handling++
	one.size = len(body) + postOverhead
	if s.room != nil {
		s.answerPostLocked()
	}
	s.mu.Unlock()
	result := make(chan bool, 1)
	go func() {
		defer s.server.running.Done()
		ok := false
		defer func() { // even if a callback ends this goroutine
			s.postHandled(one, mine)
			result <- ok // last, so that a client that has its answer finds room for the next POST
		}()
		if before != nil {
			<-before
		}
		begin := time.Now()
		ok = s.receiveAll(body)
		s.server.handling.Observe(time.Since(begin).Seconds())
	}()
	select {
	case ok := <-result:
		return ok
	case <-one.early:
		return true
	}
}

// postHandled ends the handling of a POST. The client's silence counts from now on, since it does not count during callbacks.
func (s *Session) postHandled(one *posting, mine chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(mine)
	one.held.release()
	if s.handled == mine {
		s.handled = nil
	}
	s.handling--
	if one.isEarly() {
		s.parked -= one.size
	}
	one.size = 0 // it can no longer be answered early
	s.hearLocked()
}

// postOverhead is about how many bytes of memory a POST takes, besides its body, while it is handled.
const postOverhead = 4 << 10

// answerPostLocked answers the current POST before it has been handled, because a sender waits for the client to fetch its
// queue: some clients poll only after their POST has been answered, and all clients that are about to upgrade do. POSTs
// answered early may hold MaxPayload bytes in total, but one is always allowed, and one more during an upgrade.
func (s *Session) answerPostLocked() {
	one := s.posting
	if one == nil || one.size == 0 || one.isEarly() {
		return
	}
	most := s.server.config.MaxPayload
	if more := s.probe != nil && s.parked <= most+postOverhead; s.parked > 0 && s.parked+one.size > most && !more {
		return
	}
	s.parked += one.size
	close(one.early)
}

func (p *posting) isEarly() bool {
	select {
	case <-p.early:
		return true
	default:
		return false
	}
}

// receiveAll handles the packets of a payload. It returns false if the payload is invalid.
func (s *Session) receiveAll(body []byte) bool {
	for p, err := range decodePayload(body, s.server.config.MaxPackets) {
		if errors.Is(err, errManyPackets) || errors.Is(err, errIdlePackets) {
			s.server.counters.manyPackets.Add(1)
		}
		if err != nil {
			s.end(ParseError, err)
			return false
		}
		if !s.receive(p) {
			return true
		}
	}
	return true
}
