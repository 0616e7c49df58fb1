package engineio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio/engineio"
	"echows/ws"
)

// postUnfinished begins a POST, and returns a writer for its body.
func (s *server) postUnfinished(sid string) (*io.PipeWriter, <-chan int) {
	body, in := io.Pipe()
	status := make(chan int, 1)
	go func() {
		req, err := http.NewRequest("POST", s.url+"?EIO=4&transport=polling&sid="+sid, body)
		if err != nil {
			panic(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	return in, status
}

// The POSTs of all sessions count together, from their arrival until they have been handled. Small POSTs are always accepted.
func TestPostsOfManySessions(t *testing.T) {
	s := start(t, engineio.Config{MaxBuffered: 4 * 200_000})
	begun, goOn := make(chan struct{}), make(chan struct{})
	s.onMessage = func(_ *engineio.Session, m ws.Message) error {
		if string(m.Data) == "wait" {
			close(begun)
			<-goOn
		}
		return nil
	}
	large := strings.Repeat("x", 60_000)
	handled, unfinished, late, small := s.open(), s.open(), s.open(), s.open()
	first := make(chan int)
	go func() {
		status, _ := s.post(handled, "4wait\x1e4"+large)
		first <- status
	}()
	<-begun
	in, second := s.postUnfinished(unfinished)
	io.WriteString(in, "4"+large+large)
	eventually(t, func() bool { return s.engine.Stats().Buffered > 150_000 })

	if status, _ := s.post(late, "4"+large+large); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	}
	s.expectEnd(engineio.TransportError)
	if status, _ := s.post(small, "4"+large[:10_000]); status != 200 {
		t.Errorf("a small one: %d", status)
	}
	close(goOn)
	in.Close()
	if a, b := <-first, <-second; a != 200 || b != 200 {
		t.Errorf("those that came before: %d, %d", a, b)
	}
	for range 200 { // an answered POST no longer counts
		if status, _ := s.post(small, "4"+large+large); status != 200 {
			t.Fatalf("afterwards: %d", status)
		}
	}
	s.expectNothingBuffered()
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// A POST whose Content-Length exceeds the budget is refused before it is read.
func TestAPostWithoutRoomIsNotRead(t *testing.T) {
	bubble(t, engineio.Config{MaxBuffered: 4 * 50_000}, func(t *testing.T, s *server) {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/engine.io/?EIO=4&transport=polling&sid="+s.openCall(t.Context()), unread{t})
		req.ContentLength = 50_000 + 16<<10 + 1
		res := httptest.NewRecorder()
		s.echo.ServeHTTP(res, req)
		if n := s.engine.Stats().NoAddressMemory; res.Code != http.StatusServiceUnavailable || n != 1 {
			t.Errorf("%d, counted %d times", res.Code, n)
		}
		s.expectEnd(engineio.TransportError)
		s.expectNothingBuffered()
	})
}

func (s *server) expectNothingBuffered() {
	s.t.Helper()
	eventually(s.t, func() bool { return s.engine.Stats().Buffered == 0 })
}

// If all sessions together hold too much, Send waits for sessions with long queues until their clients have fetched them.
func TestQueuesOfManySessions(t *testing.T) {
	bubble(t, engineio.Config{MaxBuffered: 4 * 100_000}, func(t *testing.T, s *server) {
		greedy := s.openCall(t.Context())
		one := s.only()
		chunk := prepare(t, text(strings.Repeat("x", 20_000-64)))
		for range 5 {
			one.Offer(chunk)
		}
		if n := s.engine.Stats().Buffered; n != 5*20_000-16<<10 {
			t.Errorf("%d bytes are held", n)
		}
		one.Offer(chunk) // from here on, the budget is full
		sent := make(chan error, 1)
		go func() { sent <- one.SendPrepared(chunk) }()
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("Send did not wait")
		}
		if got := s.call(t.Context(), "GET", "&sid="+greedy, ""); len(got) != 6*(20_000-64+2)-1 {
			t.Errorf("got %d bytes", len(got))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		s.call(t.Context(), "GET", "&sid="+greedy, "")
		s.expectNothingBuffered()

		for range 6 {
			one.Offer(chunk)
		}
		time.Sleep(5 * time.Second)
		one.Offer(chunk)
		s.expectEnd(engineio.TransportError) // it does not poll
		s.expectNothingBuffered()
	})
}

// A session that waits or ends because of a full budget is counted once: under its address if that has used up its share, and
// under all sessions otherwise.
func TestFullBudgetsAreCounted(t *testing.T) {
	chunk := func(t *testing.T) *ws.Prepared { return prepare(t, text(strings.Repeat("x", 20_000-64))) }
	stats := func(t *testing.T, s *server, all, address uint64) {
		t.Helper()
		if n := s.engine.Stats(); n.NoMemory != all || n.NoAddressMemory != address {
			t.Errorf("all: %d, want %d; an address: %d, want %d", n.NoMemory, all, n.NoAddressMemory, address)
		}
	}
	send := func(one *engineio.Session, f *ws.Prepared) {
		go one.SendPrepared(f)
		synctest.Wait()
	}
	const part = 40_000
	t.Run("an address", func(t *testing.T) {
		var log lines
		bubble(t, engineio.Config{MaxBuffered: 4 * part, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, s *server) {
			sid := s.openCall(t.Context())
			for range 3 {
				s.only().Offer(chunk(t))
			}
			stats(t, s, 0, 0)
			send(s.only(), chunk(t))
			stats(t, s, 0, 1)
			if got := s.call(t.Context(), "POST", "&sid="+sid, "4"+strings.Repeat("x", 30_000)); got == "ok" {
				t.Error("a POST finds room")
			}
			stats(t, s, 0, 2)
			if got := log.take(); !strings.Contains(got, "the sessions of this address have reached") {
				t.Errorf("logged %q", got)
			}
		})
	})
	t.Run("an address, by two who wait for each other", func(t *testing.T) {
		bubble(t, engineio.Config{MaxBuffered: 4 * part}, func(t *testing.T, s *server) {
			sid := s.openCall(t.Context())
			long := prepare(t, text(strings.Repeat("x", part+17_000)))
			s.only().Offer(long)
			send(s.only(), long)
			send(s.only(), long)
			s.call(t.Context(), "GET", "&sid="+sid, "")
			synctest.Wait()
			stats(t, s, 0, 2)
		})
	})
	t.Run("all", func(t *testing.T) {
		bubble(t, engineio.Config{MaxBuffered: 400_000}, func(t *testing.T, s *server) {
			s.openCall(t.Context())
			s.only().Send(text(strings.Repeat("x", 500_000)))
			s.address = "192.0.2.2:1"
			sid := s.openCall(t.Context())
			s.mu.Lock()
			one := s.sessions[sid]
			s.mu.Unlock()
			one.Offer(chunk(t))
			stats(t, s, 0, 0)
			send(one, chunk(t))
			stats(t, s, 1, 0)
			for range 4 {
				one.Offer(chunk(t))
			}
			s.expectEnd(engineio.TransportError) // because four times the limit is queued
			stats(t, s, 2, 0)
		})
	})
	t.Run("of one that does not poll", func(t *testing.T) {
		bubble(t, engineio.Config{MaxBuffered: 4 * part}, func(t *testing.T, s *server) {
			s.openCall(t.Context())
			s.only().Offer(prepare(t, text(strings.Repeat("x", part+17_000))))
			time.Sleep(5 * time.Second)
			s.only().Offer(chunk(t))
			s.expectEnd(engineio.TransportError)
			stats(t, s, 0, 1)
		})
	})
	t.Run("nothing", func(t *testing.T) { // only MaxQueue
		bubble(t, engineio.Config{MaxQueue: 10_000, MaxBuffered: 1}, func(t *testing.T, s *server) {
			s.openCall(t.Context())
			one := s.only()
			one.Offer(chunk(t))
			send(one, chunk(t))
			time.Sleep(5 * time.Second)
			one.Offer(chunk(t))
			s.expectEnd(engineio.TransportError)
			stats(t, s, 0, 0)
		})
	})
}

// A client that does not read an answer counts as too slow; a client that leaves during an answer does not.
func TestAnswersThatAreNotRead(t *testing.T) {
	for name, c := range map[string]struct {
		leave bool
		time  time.Duration // for reading an answer
		slow  uint64
	}{"it stays": {false, time.Second / 5, 1}, "it leaves": {true, patience, 0}} {
		t.Run(name, func(t *testing.T) {
			var log lines
			s := start(t, engineio.Config{PollTimeout: c.time, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			sid := s.open()
			s.only().Send(text(strings.Repeat("x", 16<<20))) // more than the kernel buffers
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.base(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", sid)
			if c.leave {
				io.ReadFull(conn, make([]byte, 100))
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
			s.expectEnd(engineio.TransportError)
			if n := s.engine.Stats(); n.SlowPolling != c.slow || n.SlowClosed != c.slow {
				t.Errorf("%+v", n)
			}
			if said := strings.Contains(log.take(), "does not read a response"); said == c.leave {
				t.Errorf("it is said in the log: %v", said)
			}
			s.expectNothingBuffered()
		})
	}
}

// When a session ends, all bytes that it holds are returned to the budget.
func TestEndsGiveBack(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *server, string){
		"a packet that closes":  func(t *testing.T, s *server, sid string) { s.call(t.Context(), "POST", "&sid="+sid, "1") },
		"a callback that fails": func(t *testing.T, s *server, sid string) { s.call(t.Context(), "POST", "&sid="+sid, "4fail") },
		"Close":                 func(_ *testing.T, s *server, _ string) { s.only().Close() },
		"silence":               func(*testing.T, *server, string) { time.Sleep(time.Minute) }, // the bubble's time
		"shutdown":              func(_ *testing.T, s *server, _ string) { s.engine.Close() },
		"a callback that fails, then a GET": func(t *testing.T, s *server, sid string) {
			s.call(t.Context(), "POST", "&sid="+sid, "4fail")
			s.call(t.Context(), "GET", "&sid="+sid, "")
		},
		"a GET that is given up": func(t *testing.T, s *server, sid string) {
			ctx, cancel := context.WithCancel(t.Context())
			s.call(t.Context(), "GET", "&sid="+sid, "")
			go func() { synctest.Wait(); cancel() }()
			s.call(ctx, "GET", "&sid="+sid, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
				sid := s.openCall(t.Context())
				s.only().Send(text(strings.Repeat("x", 50_000)))
				if n := s.engine.Stats().Buffered; n < 30_000 {
					t.Errorf("%d bytes are held", n)
				}
				end(t, s, sid)
				time.Sleep(6 * time.Second) // past the time to fetch the last packets
				if n := s.engine.Stats().Buffered; n != 0 {
					t.Errorf("%d bytes are held for ever", n)
				}
			})
		})
	}
}

// A client that reads an answer slowly, but in time, counts as polling.
func TestASlowReaderIsInTime(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 100_000, PollTimeout: 5 * time.Second}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		one := s.only()
		one.Send(text(strings.Repeat("x", 640<<10)))
		client, end := net.Pipe()
		defer client.Close()
		server := &http.Server{Handler: s.echo}
		listener := single{make(chan net.Conn, 1), make(chan struct{})}
		listener.conns <- end
		go server.Serve(listener)
		defer server.Close()
		near := &pipe{Conn: client, wait: 4 * time.Second, each: 64 << 10} // 40 s in total
		go fmt.Fprintf(client, "GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", sid)
		time.Sleep(time.Second)
		one.Send(text(strings.Repeat("x", 200_000))) // fills the queue
		go one.Send(text("waits"))
		res, err := http.ReadResponse(bufio.NewReader(near), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 640<<10+1 {
			t.Errorf("%d bytes, %v", n, err)
		}
		if len(s.ended) > 0 {
			t.Errorf("it ended with %s", <-s.ended)
		}
		one.Close()
	})
}

// An answer that comes at the moment at which its GET is given up is given back.
func TestAnAnswerThatComesTooLate(t *testing.T) {
	bubble(t, engineio.Config{MaxBuffered: 1 << 30}, func(t *testing.T, s *server) {
		f := prepare(t, text(strings.Repeat("x", 50_000)))
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			sid := s.openCall(t.Context())
			go s.call(ctx, "GET", "&sid="+sid, "")
			synctest.Wait()
			s.mu.Lock()
			one := s.sessions[sid]
			s.mu.Unlock()
			go cancel()
			one.Offer(f)
			synctest.Wait()
			one.Close()
		}
		time.Sleep(6 * time.Second)
		if n := s.engine.Stats().Buffered; n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	})
}
