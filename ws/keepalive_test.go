package ws_test

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// pipes is a listener in memory: time stands still in a synctest bubble only while nobody waits for
// a real socket.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipes) Close() error   { close(l.closed); return nil }
func (l pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l pipes) dial(t *testing.T, path string) *peer {
	client, server := net.Pipe()
	l.conns <- server
	p := shake(t, client, path)
	client.SetDeadline(time.Time{})
	return p
}

// bubble runs f with a server in memory and a clock of its own.
func bubble(t *testing.T, cfg ws.Config, h ws.Handler, f func(t *testing.T, app *ws.App, l pipes)) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Logger = slog.New(slog.DiscardHandler)
		e := echo.New()
		app := ws.New(e, cfg)
		app.WS("/", h)
		l := pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: e}
		done := make(chan error)
		go func() { done <- server.Serve(l) }()
		f(t, app, l)
		if err := app.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestPingsKeepAConnectionAlive(t *testing.T) {
	bubble(t, ws.Config{}, echoBack, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		start := time.Now()
		p.expect("ping")
		if first := time.Since(start); first < 12*time.Second || first > 26*time.Second {
			t.Errorf("the first ping came after %v", first)
		}
		for range 10 {
			p.send(whole(opPong, ""))
			last := time.Now()
			p.expect("ping")
			if gap := time.Since(last); gap < 24*time.Second || gap > 26*time.Second {
				t.Errorf("the next ping came after %v", gap)
			}
		}
		p.send(whole(opPong, ""))
		p.conn.Close()
	})
}

func TestASilentConnectionIsEnded(t *testing.T) {
	handler, ended := endings(echoBack)
	bubble(t, ws.Config{}, handler, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		p.send(whole(opText, "alive"))
		p.expect("text alive")
		last := time.Now()
		p.expect("ping", "ping", "end")
		if silent := time.Since(last); silent < 50*time.Second || silent > 52*time.Second {
			t.Errorf("it was ended after %v", silent)
		}
		if got := <-ended; got.code != ws.CloseAbnormal || !strings.Contains(got.reason, "no sign of life for 50s") {
			t.Errorf("got %v", got)
		}
		if app.Len() != 0 {
			t.Errorf("%d sockets are left", app.Len())
		}
	})
}

// Any frame is a sign of life, and so is a part of one that takes long.
func TestLifeWithoutPongs(t *testing.T) {
	bubble(t, ws.Config{MessageTimeout: time.Hour}, echoBack, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		go func() {
			for {
				if got := p.next(); got == "end" || strings.HasPrefix(got, "close") {
					return
				}
			}
		}()
		message := whole(opText, "slow")
		for range 4 {
			for i := range message {
				time.Sleep(40 * time.Second) // the bubble's time
				p.send(message[i : i+1])
			}
		}
		synctest.Wait()
		if app.Len() != 1 {
			t.Error("the connection was ended")
		}
		p.conn.Close()
	})
}

// A callback that takes long is not the peer's silence.
func TestABusySocketIsNotSilent(t *testing.T) {
	slow := func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			time.Sleep(10 * time.Minute) // the bubble's time
			return s.Send(m)
		})
		return nil
	}
	bubble(t, ws.Config{}, slow, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		p.send(whole(opText, "done"))
		for got := p.next(); got != "text done"; got = p.next() {
			if got != "ping" {
				t.Fatalf("got %q", got)
			}
		}
		p.conn.Close()
	})
}

func TestTheWaitForThePeersCloseIsBounded(t *testing.T) {
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error { return s.Close(ws.CloseGoingAway, "bye") })
	bubble(t, ws.Config{}, handler, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		start := time.Now()
		p.expect("close 1001 bye", "end")
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("it waited for %v", waited)
		}
		if got := <-ended; got != (ending{ws.CloseGoingAway, "bye"}) {
			t.Errorf("got %v", got)
		}
	})
}

// A route without pings leaves silence to its protocol, and can tell it how long it has lasted.
func TestARouteWithoutPings(t *testing.T) {
	bubble(t, ws.Config{}, echoBack, func(t *testing.T, app *ws.App, l pipes) {
		sockets := make(chan *ws.Socket, 1)
		app.WSWithConfig("/quiet", func(s *ws.Socket, c echo.Context) error {
			sockets <- s
			s.OnMessage(func(m ws.Message) error {
				time.Sleep(10 * time.Minute) // the bubble's time
				if silent := s.Silence(); silent != 0 {
					t.Errorf("in a callback the peer is silent for %v", silent)
				}
				return s.Send(m)
			})
			return nil
		}, ws.RouteConfig{NoPing: true})
		p := l.dial(t, "/quiet")
		s := <-sockets
		time.Sleep(time.Hour)
		if silent := s.Silence(); silent < time.Hour-time.Second || silent > time.Hour {
			t.Errorf("after an hour it is silent for %v", silent)
		}
		message := whole(opText, "still here")
		p.send(message[:5])
		time.Sleep(20 * time.Second)
		if silent := s.Silence(); silent < 19*time.Second || silent > 20*time.Second {
			t.Errorf("20 s after a part of a message it is silent for %v", silent)
		}
		p.send(message[5:])
		p.expect("text still here")
		p.conn.Close()
	})
}
