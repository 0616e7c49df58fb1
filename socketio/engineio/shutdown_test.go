package engineio_test

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// Shutdown answers waiting GETs, and refuses new sessions.
func TestShutdownOfPollers(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		polled := make(chan string, 1)
		go func() { polled <- s.call(t.Context(), "GET", "&sid="+sid, "") }()
		synctest.Wait()
		if err := s.engine.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := <-polled; got != "1" {
			t.Errorf("GET: %q", got)
		}
		s.expectEnd(engineio.ShuttingDown)
		if got := s.call(t.Context(), "GET", "", ""); !strings.Contains(got, "no more sessions") {
			t.Errorf("a newcomer gets %q", got)
		}
	})
}

// Shutdown closes WebSockets with 1012, so that their clients come back, including the WebSocket of an incomplete upgrade.
func TestShutdownOfWebSockets(t *testing.T) {
	s := start(t, engineio.Config{UpgradeTimeout: time.Hour})
	conn := s.dial("EIO=4&transport=websocket")
	var hello string
	websocket.Message.Receive(conn, &hello)
	probe := s.dial("EIO=4&transport=websocket&sid=" + s.open())
	websocket.Message.Send(probe, "2probe")
	expect(t, probe, "3probe")
	if err := s.engine.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, one := range []*websocket.Conn{conn, probe} {
		code := make([]byte, 2)
		frame, err := one.NewFrameReader()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(frame, code); err != nil || binary.BigEndian.Uint16(code) != 1012 {
			t.Errorf("closed with %v, %v", code, err)
		}
		s.expectEnd(engineio.ShuttingDown)
	}
}

// Shutdown waits for callbacks until ctx ends; Close waits for five seconds.
func TestShutdownWaitsForCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, engineio.Config{})
		s.openCall(t.Context())
		s.only().OnClose(func(string) { time.Sleep(time.Minute) })
		begin := time.Now()
		soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := s.engine.Shutdown(soon); err != context.DeadlineExceeded || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		s.engine.Close()
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("Close returned after %v", took)
		}
		if err := s.engine.Shutdown(t.Context()); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		s.app.Shutdown(t.Context())
	})
}

// Shutdown also waits for the callbacks of messages, on both transports.
func TestShutdownWaitsForMessages(t *testing.T) {
	for name, send := range map[string]func(ctx context.Context, s *server){
		"polling":     func(ctx context.Context, s *server) { go s.call(ctx, "POST", "&sid="+s.openCall(ctx), "4x") },
		"a WebSocket": func(_ context.Context, s *server) { websocket.Message.Send(s.pipe(), "4x") },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, engineio.Config{})
			s.onMessage = func(*engineio.Session, ws.Message) error { time.Sleep(time.Minute); return nil }
			send(t.Context(), s)
			synctest.Wait()
			begin := time.Now()
			if err := s.engine.Shutdown(t.Context()); err != nil || time.Since(begin) != time.Minute {
				t.Errorf("%s: %v after %v", name, err, time.Since(begin))
			}
			s.app.Shutdown(t.Context())
		})
	}
}

// Shutdown spreads the ends of many sessions over time.
func TestShutdownIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, engineio.Config{})
		for range 350 {
			s.openCall(t.Context())
		}
		begin := time.Now()
		s.engine.Close()
		if took := time.Since(begin); took != 30*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		s.app.Shutdown(t.Context())
	})
}

// After Shutdown, WebSockets are refused like polling.
func TestNoWebSocketsAfterShutdown(t *testing.T) {
	s := start(t, engineio.Config{})
	s.engine.Shutdown(t.Context())
	expectClosed(t, s.dial("EIO=4&transport=websocket"))
	if len(s.sessions) != 0 {
		t.Error("a session began")
	}
}
