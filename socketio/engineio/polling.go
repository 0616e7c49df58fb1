package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// pendingPoll is a waiting GET. It gets at most one answer.
type pendingPoll struct{ answer chan answer }

// answer is the body of an answer to a GET, with its holding, or says that the GET is a bad request.
type answer struct {
	body []byte
	held holding
	bad  bool
}

var (
	errTwoGETs = errors.New("two GETs at once")
	errLostGET = fmt.Errorf("%w: it canceled a GET", errLeft)
)

// openPolling begins a session with a GET.
func (s *Server) openPolling(c echo.Context) error {
	kept, err := ws.KeepRequest(c)
	if err != nil {
		return s.refuseWith(c, err)
	}
	address := ws.AddressOf(c)
	if err := s.app.Admit(address); err != nil {
		return s.refuseWith(c, err)
	}
	session := &Session{realIP: c.RealIP(), poller: &poller{kept: kept, polled: time.Now(), admitted: true}}
	if err := s.begin(session, address); err != nil {
		s.app.Dismiss(address)
		return s.refuseWith(c, err)
	}
	session.OnClose(func(string) { session.dismiss() })
	setAnswerHeader(c)
	answer := appendPacket(nil, session.handshake())
	s.counters.sentBytes.Add(uint64(len(answer)))
	return c.Blob(http.StatusOK, contentType, answer)
}

// dismiss makes the session no longer count as a connection of its own.
func (s *Session) dismiss() {
	s.mu.Lock()
	admitted := s.admitted
	s.admitted = false
	s.mu.Unlock()
	if admitted {
		s.server.app.Dismiss(s.holding.address)
	}
}

const contentType = "text/plain; charset=UTF-8"

func setAnswerHeader(c echo.Context) { c.Response().Header().Set("Cache-Control", "no-store") }

// poll answers a GET with the queued packets or, if there are none, waits for the next.
func (s *Session) poll(c echo.Context) error {
	s.mu.Lock()
	switch {
	case s.ended && s.hasLastLocked():
		packets, held := s.takeLastLocked()
		s.mu.Unlock()
		return s.write(c, answer{body: encodePayload(packets), held: held})
	case s.ended || s.transport != polling:
		s.mu.Unlock()
		return errRequest.answer(c)
	case s.pending != nil:
		s.endLocked(TransportError, errTwoGETs)
		s.mu.Unlock()
		return errRequest.answer(c)
	}
	mine := &pendingPoll{make(chan answer, 1)}
	s.pending, s.polled = mine, time.Now()
	if len(s.queue) > 0 {
		s.answerLocked()
	}
	s.mu.Unlock()
	select {
	case a := <-mine.answer:
		if a.bad {
			return errRequest.answer(c)
		}
		if err := s.write(c, a); err != nil {
			s.endUnread(err) // the packets in the answer are lost
		}
		return nil
	case <-c.Request().Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == mine {
		s.pending = nil
	}
	select {
	case a := <-mine.answer: // the answer came too late
		if a.bad { // the session is on its WebSocket: nothing is lost
			return nil
		}
		a.held.release()
	default:
	}
	s.endLocked(TransportError, errLostGET) // and the packets in its answer, if any
	return nil
}

// endUnread ends the session because an answer could not be written.
func (s *Session) endUnread(err error) {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		s.end(TransportError, fmt.Errorf("%w: %w", errLeft, err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endSlowLocked(errNoReads)
}

// answerLocked answers the waiting GET, if there is one, with the whole queue.
func (s *Session) answerLocked() {
	if s.pending == nil {
		return
	}
	packets, held := s.takeLocked()
	s.pending.answer <- answer{body: encodePayload(packets), held: held}
	s.pending = nil
}

// answerChunk is how many bytes of an answer a client has to read within PollTimeout.
const answerChunk = 64 << 10

// write writes the answer to a GET. A client that is reading an answer counts as polling.
func (s *Session) write(c echo.Context, a answer) error {
	defer a.held.release()
	body := a.body
	setAnswerHeader(c)
	res := c.Response()
	res.Header().Set(echo.HeaderContentType, contentType)
	res.Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	res.WriteHeader(http.StatusOK)
	deadline := http.NewResponseController(res)
	for len(body) > 0 {
		deadline.SetWriteDeadline(time.Now().Add(s.server.config.PollTimeout)) // an error means that there are no deadlines here
		n, err := res.Write(body[:min(len(body), answerChunk)])
		s.server.counters.sentBytes.Add(uint64(n))
		if err != nil {
			return err
		}
		body = body[n:]
		s.mu.Lock()
		s.polled = time.Now()
		s.mu.Unlock()
	}
	return nil
}
