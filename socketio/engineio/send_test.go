package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// rows answers each message with 3,000 messages of 1 kB, and then echoes it.
func rows(one *engineio.Session, m ws.Message) error {
	echo := text(string(m.Data)) // m is valid only until rows returns
	for i := range 3000 {
		if err := one.Send(text(fmt.Sprintf("%04d%0996d", i, i))); err != nil {
			return err
		}
	}
	return one.Send(echo)
}

// isRows reports whether the packets are those that rows sends.
func isRows(packets []string, echo string) bool {
	for i, p := range packets[:len(packets)-1] {
		if p != fmt.Sprintf("4%04d%0996d", i, i) {
			return false
		}
	}
	return len(packets) == 3001 && packets[3000] == echo
}

// fetch polls until it receives the packet.
func (s *server) fetch(sid, until string) (packets []string) {
	s.t.Helper()
	for len(packets) == 0 || packets[len(packets)-1] != until {
		status, body := s.poll(sid)
		if status != 200 {
			s.t.Fatalf("GET: %d %s, after %d packets", status, body, len(packets))
		}
		packets = append(packets, strings.Split(body, "\x1e")...)
	}
	return packets
}

// A callback may send more than MaxQueue, both to a client that polls during its POST and to a client that polls only after
// its POST was answered.
func TestALotForAPoller(t *testing.T) {
	s := start(t, engineio.Config{MaxQueue: 100_000})
	s.onMessage = rows
	sid := s.open()
	if status, body := s.post(sid, "4first"); status != 200 || body != "ok" {
		t.Fatalf("POST: %d %s", status, body)
	}
	if got := s.fetch(sid, "4first"); !isRows(got, "4first") {
		t.Errorf("got %d packets: %.99q", len(got), got)
	}
	posted := make(chan int)
	go func() {
		status, _ := s.post(sid, "4second")
		posted <- status
	}()
	if got := s.fetch(sid, "4second"); !isRows(got, "4second") {
		t.Errorf("got %d packets: %.99q", len(got), got)
	}
	if status := <-posted; status != 200 {
		t.Errorf("POST: %d", status)
	}
}

// A client that is about to upgrade polls only after its POSTs were answered. Their packets are handled in order, and before
// packets on the WebSocket.
func TestAnUpgradeWhileACallbackWaits(t *testing.T) {
	s := start(t, engineio.Config{MaxQueue: 100_000})
	s.onMessage = rows
	sid := s.open()
	for _, body := range []string{"4first", "4second"} { // the callback for the first is still running
		if status, answer := s.post(sid, body); status != 200 || answer != "ok" {
			t.Fatalf("POST: %d %s", status, answer)
		}
	}
	conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	websocket.Message.Send(conn, "5")
	websocket.Message.Send(conn, "4third")
	for _, echo := range []string{"4first", "4second", "4third"} {
		var got []string
		for range 3001 {
			var one string
			if err := websocket.Message.Receive(conn, &one); err != nil {
				t.Fatal(err)
			}
			got = append(got, one)
		}
		if !isRows(got, echo) {
			t.Errorf("%s: got %d packets: %.99q", echo, len(got), got)
		}
	}
	if n := s.engine.Stats(); n.Upgraded != 1 || n.Polling != 0 || n.OpenedPolling != 1 || n.Opened != 1 {
		t.Errorf("the numbers are %+v", n)
	}
}

// POSTs answered before they were handled hold at most MaxPayload bytes.
func TestPostsThatWait(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 1000, MaxPayload: 10_000}, func(t *testing.T, s *server) {
		var calls, atOnce, most atomic.Int32
		s.onMessage = func(one *engineio.Session, m ws.Message) error {
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
			calls.Add(1)
			for range 10 {
				if err := one.Send(text(strings.Repeat("x", 900))); err != nil {
					return err
				}
			}
			return nil
		}
		ctx := t.Context()
		sid := s.openCall(ctx)
		for range 2 {
			calls.Store(0)
			var answered atomic.Int32
			for range 3 {
				go func() {
					s.call(ctx, "POST", "&sid="+sid, "4")
					answered.Add(1)
				}()
				synctest.Wait()
			}
			if n := answered.Load(); n != 2 { // each counts as 4 KiB more
				t.Errorf("%d POSTs were answered", n)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d were handled", n)
			}
			got := 0
			for got < 30 {
				got += len(strings.Split(s.call(ctx, "GET", "&sid="+sid, ""), "\x1e"))
			}
			synctest.Wait()
			if answered.Load() != 3 || calls.Load() != 3 || most.Load() != 1 {
				t.Errorf("%d answered, %d handled, %d at a time", answered.Load(), calls.Load(), most.Load())
			}
		}
	})
}

// Send waits for a client that does not poll, for PollTimeout, counted from its last GET.
func TestAPollerThatStops(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 10_000, PollTimeout: 7 * time.Second}, func(t *testing.T, s *server) {
		ctx := t.Context()
		sid := s.openCall(ctx)
		one := s.only()
		var failed error
		sent, waited := 0, time.Duration(0)
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for failed == nil {
				begin := time.Now()
				if failed = one.Send(text(strings.Repeat("x", 936))); failed == nil { // counts as 1000 bytes
					sent++
				}
				waited = time.Since(begin)
			}
		}()
		time.Sleep(6 * time.Second)
		if got := len(strings.Split(s.call(ctx, "GET", "&sid="+sid, ""), "\x1e")); got != 10 {
			t.Errorf("a GET got %d", got)
		}
		<-sending
		if !errors.Is(failed, engineio.ErrClosed) || sent != 20 || waited != 7*time.Second {
			t.Errorf("%d were sent, then %v after %v", sent, failed, waited)
		}
		s.expectEnd(engineio.TransportError)
		if n := s.engine.Stats(); n.SlowClosed != 1 || n.SlowPolling != 1 {
			t.Errorf("the numbers are %+v", n)
		}
	})
}

// Offer never waits. A client that polls may have four times MaxQueue queued, a client that does not poll only MaxQueue.
func TestOffersToAPoller(t *testing.T) {
	kilo := text(strings.Repeat("x", 936)) // counts as 1000 bytes
	for name, c := range map[string]struct {
		pause time.Duration
		want  int
	}{"who polls": {4999 * time.Millisecond, 40}, "who does not": {5 * time.Second, 10}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engineio.Config{MaxQueue: 10_000}, func(t *testing.T, s *server) {
				sid := s.openCall(t.Context())
				one := s.only()
				time.Sleep(time.Minute / 2)
				if got := s.call(t.Context(), "GET", "&sid="+sid, ""); got != "2" {
					t.Errorf("GET: %q", got)
				}
				time.Sleep(c.pause)
				taken := -1
				for ; len(s.ended) == 0 && taken < 100; taken++ {
					one.Offer(prepare(t, kilo))
					synctest.Wait()
				}
				if taken != c.want {
					t.Errorf("%d were taken", taken)
				}
				s.expectEnd(engineio.TransportError)
				if n := s.engine.Stats().SlowClosed; n != 1 {
					t.Errorf("%d were slow", n)
				}
			})
		})
	}
}

// A client counts as polling when it gets an answer, even if its GET had waited for a long time.
func TestOffersRightAfterAnAnswer(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 10_000}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		one, kilo := s.only(), prepare(t, text(strings.Repeat("x", 1000)))
		got := make(chan string)
		go func() { got <- s.call(t.Context(), "GET", "&sid="+sid, "") }()
		time.Sleep(10 * time.Second)
		for range 20 {
			one.Offer(kilo)
		}
		if first, rest := <-got, s.call(t.Context(), "GET", "&sid="+sid, ""); len(first) != 1001 || len(rest) != 19*1002-1 {
			t.Errorf("got %d and %d bytes", len(first), len(rest))
		}
	})
}

// While the queue is flushed to the WebSocket, senders wait, and a POST that is still arriving is refused.
func TestGoingOver(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		one := s.only()
		one.Send(text("first"))
		body, in := io.Pipe()
		posted := make(chan int)
		go func() {
			res := httptest.NewRecorder()
			s.echo.ServeHTTP(res, httptest.NewRequest("POST", "/engine.io/?EIO=4&transport=polling&sid="+sid, body))
			posted <- res.Code
		}()
		_, conn := s.pipes("&sid=" + sid)
		websocket.Message.Send(conn, "2probe")
		expect(t, conn, "3probe")
		websocket.Message.Send(conn, "5")
		synctest.Wait() // nobody reads the flushed packets
		sent := make(chan error, 1)
		go func() { sent <- one.Send(text("second")) }()
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("Send did not wait")
		}
		expect(t, conn, "4first", "4second")
		if err := <-sent; err != nil {
			t.Error(err)
		}
		io.WriteString(in, "4late")
		in.Close()
		if status := <-posted; status != http.StatusBadRequest {
			t.Errorf("POST: %d", status)
		}
		websocket.Message.Send(conn, "4third")
		expect(t, conn, "4third")
	})
}

// On a WebSocket, the socket's own limits end the session of a client that does not read.
func TestOffersToAWebSocket(t *testing.T) {
	bubbleOn(t, ws.Config{SendBuffer: 1000}, engineio.Config{}, func(t *testing.T, s *server) {
		s.pipe()
		one, kilo := s.only(), prepare(t, text(strings.Repeat("x", 1000)))
		one.Offer(kilo)
		time.Sleep(2 * time.Second)
		one.Offer(kilo)
		s.expectEnd(engineio.TransportError)
		if n := s.engine.Stats(); n.SlowClosed != 1 || n.SlowPolling != 0 {
			t.Errorf("the numbers are %+v", n)
		}
	})
}

// Queued packets count with their overhead: small packets are not free.
func TestSmallPacketsForAPoller(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 64 << 10}, func(t *testing.T, s *server) {
		s.openCall(t.Context())
		one, ack := s.only(), prepare(t, text("3123[]"))
		late, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for ; one.WaitForRoom(late) == nil && n < 100_000; n++ {
			one.Offer(ack)
		}
		if n > 64<<10/64 {
			t.Errorf("%d wait", n)
		}
		one.Close()
	})
}

func TestWaitForRoom(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		bubble(t, engineio.Config{MaxQueue: 1000}, func(t *testing.T, s *server) {
			sid := s.openCall(t.Context())
			one := s.only()
			if err := one.WaitForRoom(t.Context()); err != nil {
				t.Error(err)
			}
			one.Send(text(strings.Repeat("x", 1000)))
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := one.WaitForRoom(soon); err != context.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			room := make(chan error, 1)
			go func() { room <- one.WaitForRoom(t.Context()) }()
			synctest.Wait()
			if len(room) > 0 {
				t.Error("it did not wait")
			}
			s.call(t.Context(), "GET", "&sid="+sid, "")
			if err := <-room; err != nil {
				t.Error(err)
			}
			one.Send(text(strings.Repeat("x", 1000)))
			go func() { room <- one.WaitForRoom(t.Context()) }()
			synctest.Wait()
			end := time.Now()
			one.Close()
			if err := <-room; !errors.Is(err, engineio.ErrClosed) || time.Since(end) > 0 {
				t.Errorf("got %v after %v", err, time.Since(end))
			}
		})
	})
	t.Run("websocket", func(t *testing.T) {
		bubbleOn(t, ws.Config{SendBuffer: 1000}, engineio.Config{}, func(t *testing.T, s *server) {
			conn := s.pipe()
			one := s.only()
			if err := one.WaitForRoom(t.Context()); err != nil {
				t.Error(err)
			}
			one.Offer(prepare(t, text(strings.Repeat("x", 1000))))
			soon, cancel := context.WithTimeout(t.Context(), 9*time.Second) // it also waits for a stalled peer
			defer cancel()
			if err := one.WaitForRoom(soon); err != context.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			go func() {
				var got string
				websocket.Message.Receive(conn, &got)
			}()
			if err := one.WaitForRoom(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			one.Offer(prepare(t, text(strings.Repeat("x", 1000))))
			if err := one.WaitForRoom(t.Context()); err == nil { // because of WriteTimeout
				t.Error("it had room")
			}
		})
	})
}

func TestTrySend(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
			sid := s.openCall(t.Context())
			one, volatile := s.only(), prepare(t, text("volatile"))
			if one.TrySend(volatile) {
				t.Error("it was sent to nobody")
			}
			got := make(chan string, 1)
			go func() { got <- s.call(t.Context(), "GET", "&sid="+sid, "") }()
			synctest.Wait()
			if !one.TrySend(volatile) || one.TrySend(volatile) {
				t.Error("a GET takes one")
			}
			if got := <-got; got != "4volatile" {
				t.Errorf("GET: %q", got)
			}
			one.Close()
			if one.TrySend(volatile) {
				t.Error("it was sent at the end")
			}
		})
	})
	t.Run("websocket", func(t *testing.T) {
		bubbleOn(t, ws.Config{SendBuffer: 1 << 20}, engineio.Config{}, func(t *testing.T, s *server) {
			conn := s.pipe()
			one, volatile := s.only(), prepare(t, text("volatile"))
			synctest.Wait()
			if !one.TrySend(volatile) {
				t.Error("it was not sent")
			}
			synctest.Wait()
			if one.TrySend(volatile) { // the peer has not read the first message
				t.Error("it was sent behind another")
			}
			expect(t, conn, "4volatile")
			synctest.Wait()
			if !one.TrySend(volatile) {
				t.Error("it was not sent")
			}
			expect(t, conn, "4volatile")
		})
	})
}

// Senders that wait return when the session ends, and continue on the WebSocket after an upgrade.
func TestManySendersToAPoller(t *testing.T) {
	s := start(t, engineio.Config{MaxQueue: 10_000})
	sid := s.open()
	one := s.only()
	var senders sync.WaitGroup
	var sent atomic.Int32
	for range 20 {
		senders.Go(func() {
			for one.SendTyped(append(engineio.AppendType(nil), strings.Repeat("x", 1000)...)) == nil {
				sent.Add(1)
			}
		})
	}
	for range 20 {
		if status, _ := s.poll(sid); status != 200 {
			t.Fatalf("GET: %d", status)
		}
	}
	conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	websocket.Message.Send(conn, "5")
	for range 1000 {
		expect(t, conn, "4"+strings.Repeat("x", 1000))
	}
	if one.Transport() != "websocket" {
		t.Error("it polls")
	}
	one.Close()
	go expectClosed(t, conn)
	senders.Wait()
	if sent.Load() < 1000 {
		t.Errorf("%d were sent", sent.Load())
	}
	s.expectEnd(engineio.ForcedClose)
}
