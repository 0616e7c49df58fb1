package engineio

import (
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// pendingPoll is a GET that waits. Its answer is sent at most once.
type pendingPoll struct{ answer chan answer }

// answer is a GET's body, or that it is a bad request.
type answer struct {
	body []byte
	bad  bool
}

// openPolling begins a session with a GET.
func (s *Server) openPolling(c echo.Context) error {
	address := ws.AddressOf(c)
	if err := s.app.Admit(address); err != nil {
		return err
	}
	session, err := s.newSession(keep(c.Request()), nil)
	if err != nil {
		s.app.Dismiss(address)
		return err
	}
	session.OnClose(func(string) { s.app.Dismiss(address) })
	return respond(c, appendPacket(nil, session.handshake("websocket")))
}

// keep is what a session keeps of a request.
func keep(r *http.Request) *http.Request {
	kept := r.Clone(noContext)
	kept.Body = http.NoBody
	return kept
}

func respond(c echo.Context, body []byte) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/plain; charset=UTF-8", body)
}

// poll answers a GET with the packets that wait, or with the next.
func (s *Session) poll(c echo.Context) error {
	s.mu.Lock()
	switch {
	case s.ended && s.queue != nil: // the last of it
		body := encodePayload(s.queue)
		s.queue = nil
		s.timer.Stop()
		s.server.remove(s)
		s.mu.Unlock()
		return respond(c, body)
	case s.ended || s.transport != polling:
		s.mu.Unlock()
		return errRequest.answer(c)
	case s.pending != nil:
		s.endLocked(TransportError, errors.New("two GETs at once"))
		s.mu.Unlock()
		return errRequest.answer(c)
	}
	mine := &pendingPoll{make(chan answer, 1)}
	s.pending = mine
	if len(s.queue) > 0 {
		s.answerLocked()
	}
	s.mu.Unlock()
	select {
	case a := <-mine.answer:
		if a.bad {
			return errRequest.answer(c)
		}
		return respond(c, a.body)
	case <-c.Request().Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == mine {
		s.pending = nil
	}
	s.endLocked(TransportError, errors.New("the client gave up a GET")) // and whatever that was to bring
	return nil
}

// answerLocked gives the GET that waits, if one does, all that is queued.
func (s *Session) answerLocked() {
	if s.pending == nil || s.transport != polling {
		return
	}
	s.pending.answer <- answer{body: encodePayload(s.queue)}
	s.pending, s.queue, s.queued = nil, nil, 0
}

// post takes the packets of a POST.
func (s *Session) post(c echo.Context) error {
	s.mu.Lock()
	switch {
	case s.ended || s.transport != polling:
		s.mu.Unlock()
		return errRequest.answer(c)
	case s.posting:
		s.endLocked(TransportError, errors.New("two POSTs at once"))
		s.mu.Unlock()
		return errRequest.answer(c)
	}
	s.posting = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.posting = false
	}()
	if c.Request().Header.Get(echo.HeaderContentType) == echo.MIMEOctetStream {
		s.end(TransportError, errors.New("a POST of bytes"))
		return errRequest.answer(c)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, int64(s.server.config.MaxPayload)))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return c.NoContent(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		s.end(TransportError, err)
		return errRequest.answer(c)
	}
	if !s.receiveAll(body) {
		return errRequest.answer(c)
	}
	return c.Blob(http.StatusOK, "text/html", []byte("ok"))
}

// receiveAll handles the packets of a payload, and reports whether all were packets.
func (s *Session) receiveAll(body []byte) bool {
	packets, err := decodePayload(body)
	s.dispatching.Lock()
	defer s.dispatching.Unlock()
	for _, p := range packets {
		if !s.receive(p) {
			return true
		}
	}
	if err != nil {
		s.end(ParseError, err)
	}
	return err == nil
}
