package engineio_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

func TestPings(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		ctx := t.Context()
		sid := s.openCall(ctx)
		begin := time.Now()
		for i := range 5 {
			if got := s.call(ctx, "GET", "&sid="+sid, ""); got != "2" {
				t.Fatalf("GET: %q", got)
			}
			if got, want := time.Since(begin), time.Duration(i+1)*25*time.Second; got != want {
				t.Errorf("ping %d after %v, want %v", i, got, want)
			}
			s.call(ctx, "POST", "&sid="+sid, "3")
		}
		last := time.Now()
		if got := s.call(ctx, "GET", "&sid="+sid, ""); got != "2" {
			t.Errorf("GET: %q", got)
		}
		if got := <-s.ended; got != engineio.PingTimeout || time.Since(last) != 45*time.Second {
			t.Errorf("ended with %q after %v", got, time.Since(last))
		}
		if n := s.engine.Stats(); n.Silent != 1 || n.SilentPolling != 1 || n.Polling != 0 || n.OpenedPolling != 1 {
			t.Errorf("the numbers are %+v", n)
		}
	})
}

// A client that never answers pings counts as alive as long as it sends anything.
func TestSignsOfLife(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		ctx := t.Context()
		for _, method := range []string{"GET", "POST"} {
			sid := s.openCall(ctx)
			for range 10 {
				time.Sleep(44 * time.Second)
				s.call(ctx, method, "&sid="+sid, "4x")
			}
			last := time.Now()
			if got := <-s.ended; got != engineio.PingTimeout || time.Since(last) != 45*time.Second {
				t.Errorf("%s: ended with %q after %v", method, got, time.Since(last))
			}
		}
	})
}

// Each part of a body is a sign of life, too.
func TestABodyThatComesSlowly(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		body, in := io.Pipe()
		go func() {
			for _, part := range []string{"4", "s", "l", "o", "w"} {
				time.Sleep(40 * time.Second)
				io.WriteString(in, part)
			}
			in.Close()
		}()
		res := httptest.NewRecorder()
		s.echo.ServeHTTP(res, httptest.NewRequest("POST", "/engine.io/?EIO=4&transport=polling&sid="+sid, body))
		if res.Code != http.StatusOK {
			t.Errorf("POST: %d %s", res.Code, res.Body)
		}
	})
}

// A request after the timeout, but before the timer, is too late.
func TestALateRequest(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		late := make(chan string)
		time.AfterFunc(45*time.Second, func() { late <- s.call(t.Context(), "GET", "&sid="+sid, "") })
		if got := <-late; got != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("GET: %q", got)
		}
		s.expectEnd(engineio.PingTimeout)
	})
}

// At most one ping is queued for a client that does not poll.
func TestPingsDoNotGather(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		ctx := t.Context()
		sid := s.openCall(ctx)
		for range 10 {
			time.Sleep(30 * time.Second)
			s.call(ctx, "POST", "&sid="+sid, "3")
		}
		if got := s.call(ctx, "GET", "&sid="+sid, ""); got != "2" {
			t.Errorf("GET: %q", got)
		}
	})
}

// The time of a slow callback does not count as the client's silence.
func TestASlowCallback(t *testing.T) {
	slow := func(one *engineio.Session, m ws.Message) error {
		time.Sleep(599 * time.Second) // the bubble's time
		return one.Send(m)
	}
	t.Run("polling", func(t *testing.T) {
		bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
			s.onMessage = slow
			ctx := t.Context()
			sid := s.openCall(ctx)
			if got := s.call(ctx, "POST", "&sid="+sid, "4done"); got != "ok" {
				t.Errorf("POST: %q", got)
			}
			time.Sleep(44 * time.Second) // silence starts over
			if got := s.call(ctx, "GET", "&sid="+sid, ""); got != "2\x1e4done" {
				t.Errorf("GET: %q", got)
			}
		})
	})
	t.Run("websocket", func(t *testing.T) {
		bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
			s.onMessage = slow
			conn := s.pipe()
			websocket.Message.Send(conn, "4done")
			for range 599 / 25 {
				expect(t, conn, "2")
			}
			expect(t, conn, "4done")
			last := time.Now()
			conn.SetDeadline(time.Time{})
			go expectClosed(t, conn)
			if got := <-s.ended; got != engineio.PingTimeout || time.Since(last) < 45*time.Second || time.Since(last) > 46*time.Second {
				t.Errorf("ended with %q after %v", got, time.Since(last))
			}
		})
	})
}

// On a WebSocket, too, any byte is a sign of life, and only Engine.IO's pings are sent.
func TestSignsOfLifeOnAWebSocket(t *testing.T) {
	bubbleOn(t, ws.Config{MessageTimeout: time.Hour}, engineio.Config{}, func(t *testing.T, s *server) {
		near, conn := s.pipes("")
		go func() {
			message := "\x81\x85\x00\x00\x00\x00" + "4slow"
			for i := range message {
				time.Sleep(40 * time.Second)
				io.WriteString(near, message[i:i+1])
			}
		}()
		br := bufio.NewReader(near)
		expectFrame := func(want string) { // any frame, so also ws's own pings
			t.Helper()
			got := make([]byte, 2+len(want))
			if _, err := io.ReadFull(br, got); err != nil || string(got[2:]) != want {
				t.Fatalf("got %q %v, want %q", got, err, want)
			}
		}
		var hello string
		websocket.Message.Receive(conn, &hello)
		for range 11 * 40 / 25 {
			expectFrame("2")
		}
		expectFrame("4slow")
	})
}

// The session of a client that reads slowly does not end because of a ping, or because a ping has not reached the client yet.
func TestAClientThatReadsSlowly(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		near, conn := s.pipes("")
		var hello string
		websocket.Message.Receive(conn, &hello)
		one := s.only()
		large := strings.Repeat("x", 8<<20)
		sent := make(chan error, 1)
		go func() { sent <- one.Send(text(large)) }()
		near.wait, near.each = 4*time.Second, 64<<10 // 8 minutes in total
		expect(t, conn, "4"+large)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		near.each = 0
		last := time.Now()
		expect(t, conn, "2")
		if wait := time.Since(last); wait > time.Second {
			t.Errorf("the ping that was skipped came after %v", wait)
		}
		websocket.Message.Send(conn, "4still here")
		got := "2"
		for got == "2" { // pings among the last of the data
			websocket.Message.Receive(conn, &got)
		}
		if got != "4still here" {
			t.Errorf("got %q", got)
		}
	})
}

// A ping for which there was no room is sent soon after there is.
func TestASkippedPing(t *testing.T) {
	bubbleOn(t, ws.Config{SendBuffer: 1000}, engineio.Config{}, func(t *testing.T, s *server) {
		conn := s.pipe()
		begin := time.Now()
		time.Sleep(24 * time.Second)
		s.only().Offer(prepare(t, text(strings.Repeat("x", 2000))))
		time.Sleep(3 * time.Second)
		expect(t, conn, "4"+strings.Repeat("x", 2000), "2")
		if after := time.Since(begin); after < 27*time.Second || after > 28*time.Second {
			t.Errorf("after %v", after)
		}
	})
}

// pipe is a client's end of a connection in memory. It can read slowly: each bytes per wait, of the bubble's time.
type pipe struct {
	net.Conn
	wait time.Duration
	each int
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if p.each > 0 {
		time.Sleep(time.Duration(n) * p.wait / time.Duration(p.each))
	}
	return n, err
}

// pipes connects a WebSocket in memory: in a bubble, the fake clock stops while a goroutine waits for a real connection.
func (s *server) pipes(query string) (*pipe, *websocket.Conn) {
	s.t.Helper()
	client, end := net.Pipe()
	server := &http.Server{Handler: s.echo}
	listener := single{make(chan net.Conn, 1), make(chan struct{})}
	listener.conns <- end
	go server.Serve(listener)
	near := &pipe{Conn: client}
	config, err := websocket.NewConfig("ws://example.com/engine.io/?EIO=4&transport=websocket"+query, "http://example.com")
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := websocket.NewClient(config, near)
	if err != nil {
		s.t.Fatal(err)
	}
	server.Close()
	s.t.Cleanup(func() { client.Close() })
	return near, conn
}

// pipe connects a WebSocket in memory, and receives the open packet.
func (s *server) pipe() *websocket.Conn {
	s.t.Helper()
	_, conn := s.pipes("")
	var hello string
	if err := websocket.Message.Receive(conn, &hello); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// single is a listener that accepts one connection.
type single struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l single) Close() error   { close(l.closed); return nil }
func (l single) Addr() net.Addr { return &net.TCPAddr{} }

// only returns the only session. It waits for it, since the client may get its answer before onSession is called.
func (s *server) only() (one *engineio.Session) {
	s.t.Helper()
	eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, one = range s.sessions {
		}
		return one != nil
	})
	return one
}
