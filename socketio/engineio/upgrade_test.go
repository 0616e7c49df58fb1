package engineio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// A client that upgrades does not poll any more, and waits for the answer to its POST before it completes the upgrade: the
// answer does not wait for the callback.
func TestAPOSTDuringAnUpgrade(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		goOn := make(chan bool)
		s.onMessage = func(one *engineio.Session, m ws.Message) error { <-goOn; return one.Send(m) }
		sid := s.openCall(t.Context())
		posted := make(chan string, 1)
		go func() { posted <- s.call(t.Context(), "POST", "&sid="+sid, "4slow") }()
		synctest.Wait()
		conn := s.probe(t, sid)
		if got := s.call(t.Context(), "GET", "&sid="+sid, ""); got != "6" {
			t.Errorf("GET: %q", got)
		}
		if got := <-posted; got != "ok" {
			t.Errorf("POST: %q", got)
		}
		websocket.Message.Send(conn, "5")
		close(goOn)
		expect(t, conn, "4slow")
	})
}

// Nor does it wait if an earlier POST was answered early, and both together are longer than MaxPayload. A third one waits.
func TestPOSTsDuringAnUpgrade(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 1000, MaxPayload: 10_000}, func(t *testing.T, s *server) {
		s.onMessage = answerLong
		sid := s.openCall(t.Context())
		long := "4" + strings.Repeat("y", 9000)
		if got := s.call(t.Context(), "POST", "&sid="+sid, long); got != "ok" {
			t.Errorf("the first POST: %q", got)
		}
		posted := make(chan string, 1)
		go func() { posted <- s.call(t.Context(), "POST", "&sid="+sid, long) }()
		synctest.Wait()
		if len(posted) > 0 {
			t.Error("the second POST was answered before the upgrade")
		}
		conn := s.probe(t, sid)
		if got := <-posted; got != "ok" {
			t.Errorf("the second POST: %q", got)
		}
		go func() { posted <- s.call(t.Context(), "POST", "&sid="+sid, long) }()
		time.Sleep(time.Second)
		if len(posted) > 0 {
			t.Error("the third POST was answered")
		}
		websocket.Message.Send(conn, "5")
		for range 9 {
			var got string
			websocket.Message.Receive(conn, &got)
			if len(got) != 901 {
				t.Errorf("got %q", got)
			}
		}
		if got := <-posted; got != "ok" {
			t.Errorf("the third POST: %q", got)
		}
	})
}

// A client that has upgraded is one connection.
func TestAnUpgradedSessionCountsOnce(t *testing.T) {
	s := newServerOn(t, ws.Config{MaxAddressSockets: 3}, engineio.Config{}).start()
	for range 2 {
		conn := s.dial("EIO=4&transport=websocket&sid=" + s.open())
		websocket.Message.Send(conn, "2probe")
		expect(t, conn, "3probe")
		websocket.Message.Send(conn, "5")
		websocket.Message.Send(conn, "4x")
		expect(t, conn, "4x")
	}
	s.open()
	if status, _, _ := s.request("GET", "EIO=4&transport=polling", ""); status != http.StatusTooManyRequests {
		t.Errorf("a fourth: %d", status)
	}
	s.engine.Close()
	eventually(t, func() bool { return s.app.Stats().Sockets == 0 })
	for range 3 {
		if err := s.app.Admit("127.0.0.1"); err != nil {
			t.Error(err)
		}
	}
	if s.app.Admit("127.0.0.1") == nil {
		t.Error("a place was given back twice")
	}
}

// What is sent while the queue goes to the WebSocket arrives there, also before Close.
func TestCloseWhileTheQueueIsSent(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		one, conn := s.flushing(t)
		one.Offer(prepare(t, text("second")))
		one.Close()
		for _, want := range []string{"4first", "4second"} {
			expect(t, conn, want)
		}
		var got string
		if err := websocket.Message.Receive(conn, &got); err == nil {
			t.Errorf("got %q after the end", got)
		}
		s.expectEnd(engineio.ForcedClose)
		synctest.Wait()
		if n := s.engine.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		s.expectNothingBuffered()
	})
}

// flushing returns a session whose queue is being sent to its WebSocket, from which nobody has read it.
func (s *server) flushing(t *testing.T) (*engineio.Session, *websocket.Conn) {
	sid := s.openCall(t.Context())
	s.only().Send(text("first"))
	conn := s.probe(t, sid)
	websocket.Message.Send(conn, "5")
	synctest.Wait()
	return s.only(), conn
}

// A GET that is given up at the moment at which the upgrade completes loses nothing.
func TestAGETThatEndsWithTheUpgrade(t *testing.T) {
	for range 50 {
		bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
			sid := s.openCall(t.Context())
			conn := s.probe(t, sid)
			ctx, cancel := context.WithCancel(t.Context())
			go s.call(ctx, "GET", "&sid="+sid, "")
			synctest.Wait()
			go cancel()
			websocket.Message.Send(conn, "5")
			synctest.Wait()
			if len(s.ended) > 0 && s.engine.Stats().Upgraded == 1 {
				t.Fatalf("the session ended with %s", <-s.ended)
			}
		})
	}
}

// The body of a POST that never comes whole holds no memory once its session has ended.
func TestABodyThatStops(t *testing.T) {
	s := start(t, engineio.Config{MaxPayload: 200_000})
	conn := s.raw("POST", s.open(), 200_000)
	io.WriteString(conn, strings.Repeat("x", 199_990))
	eventually(t, func() bool { return s.engine.Stats().Buffered > 100_000 })
	s.only().Close()
	s.expectEnd(engineio.ForcedClose)
	s.expectNothingBuffered()
}

// A GET that says that it has a body is refused at once: its answer would wait for the body.
func TestAGETWithABody(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	s.only().Send(text(strings.Repeat("x", 200_000)))
	res, err := http.ReadResponse(bufio.NewReader(s.raw("GET", sid, 5)), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("answered with %s", res.Status)
	}
	if status, body := s.poll(sid); status != 200 || len(body) != 200_001 {
		t.Errorf("the next: %d with %d bytes", status, len(body))
	}
}

// raw sends the header of a request of a session, and returns the connection.
func (s *server) raw(method, sid string, length int) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.base(), "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "%s /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", method, sid, length)
	return conn
}
