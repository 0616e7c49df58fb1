package engineio_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// broken is a response writer whose writes fail.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

// When an answer cannot be written, its packets are lost, so the session ends.
func TestAnAnswerThatIsLost(t *testing.T) {
	s := newServer(t, engineio.Config{})
	defer s.engine.Close()
	sid := s.openCall(t.Context())
	s.only().Send(text("lost"))
	s.echo.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling&sid="+sid, nil))
	s.expectEnd(engineio.TransportError)
}

// All OnClose functions are called, no matter what one of them does.
func TestCallbacksThatFail(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	one := s.only()
	one.OnClose(func(string) { panic("first") })
	one.OnClose(func(string) { runtime.Goexit() })
	last := make(chan string, 1)
	one.OnClose(func(reason string) { last <- reason })
	s.post(sid, "1")
	if got := <-last; got != engineio.TransportClose {
		t.Errorf("ended with %q", got)
	}
	one.OnClose(func(string) { panic("late") })
}

// An OnMessage callback that panics, or exits its goroutine, affects only its own session.
func TestMessagesThatFail(t *testing.T) {
	s := start(t, engineio.Config{})
	s.onMessage = func(one *engineio.Session, m ws.Message) error {
		switch string(m.Data) {
		case "panic":
			panic("on purpose")
		case "exit":
			runtime.Goexit()
		}
		return one.Send(m)
	}
	sid := s.open()
	if status, body := s.post(sid, "4panic"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	s.expectEnd(engineio.ForcedClose)
	sid = s.open()
	s.post(sid, "4exit")
	s.expectEcho(sid)
}

// A panic in the function given to New ends the session, which then no longer counts for its address.
func TestNewThatFails(t *testing.T) {
	e := newServerOn(t, ws.Config{MaxAddressSockets: 1}, engineio.Config{})
	engineio.New(e.app, "/fails/", engineio.Config{Logger: e.quiet()}, func(*engineio.Session) { panic("on purpose") })
	e.start()
	url := e.url
	e.url = e.base() + "/fails/"
	sid := e.open()
	e.expectPoll(sid, 200, "1")
	e.url = url
	eventually(t, func() bool { // its place becomes free a moment later
		status, _, _ := e.request("GET", "EIO=4&transport=polling", "")
		return status == 200
	})
}

// An incomplete upgrade ends with its session.
func TestAProbeAtTheEnd(t *testing.T) {
	s := start(t, engineio.Config{UpgradeTimeout: time.Hour})
	sid := s.open()
	conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	s.only().Close()
	expectClosed(t, conn)
	s.expectEnd(engineio.ForcedClose)
}

// Messages after the end are not handled, even of one request.
func TestNoMessagesAfterTheEnd(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		var calls atomic.Int32
		s.onMessage = func(one *engineio.Session, m ws.Message) error { calls.Add(1); one.Close(); return nil }
		s.call(t.Context(), "POST", "&sid="+s.openCall(t.Context()), "4a\x1e4b")
		if n := calls.Load(); n != 1 {
			t.Errorf("%d messages were handled", n)
		}
	})
}

// What is offered after the end is neither sent nor kept.
func TestOfferAfterTheEnd(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		s.only().Close()
		s.only().Offer(prepare(t, text(strings.Repeat("x", 50_000))))
		if got := s.call(t.Context(), "GET", "&sid="+sid, ""); got != "1" {
			t.Errorf("GET: %.20q", got)
		}
		s.only().Offer(prepare(t, text(strings.Repeat("x", 50_000))))
		if n := s.engine.Stats().Buffered; n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	})
}

// A POST whose session ends before it is complete is refused.
func TestAPOSTThatEndsTooLate(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	in, status := s.postUnfinished(sid)
	io.WriteString(in, "4a")
	eventually(t, func() bool { return s.engine.Stats().ReceivedBytes > 0 })
	s.only().Close()
	in.Close()
	if got := <-status; got != 400 {
		t.Errorf("POST: %d", got)
	}
}
