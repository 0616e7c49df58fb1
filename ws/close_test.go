package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// ending is what OnClose got.
type ending struct {
	code   ws.CloseCode
	reason string
}

// endings makes a handler tell a channel how each socket ended.
func endings(h ws.Handler) (ws.Handler, <-chan ending) {
	c := make(chan ending, 100)
	return func(s *ws.Socket, e echo.Context) error {
		s.OnClose(func(code ws.CloseCode, reason string) { c <- ending{code, reason} })
		return h(s, e)
	}, c
}

func TestThePeersCloseReachesOnClose(t *testing.T) {
	handler, ended := endings(echoBack)
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/echo", handler) })
	for _, c := range []struct {
		name  string
		bytes string
		want  ending
	}{
		{"a code and a reason", closing(4001, "later"), ending{4001, "later"}},
		{"no code", whole(opClose, ""), ending{ws.CloseNoStatus, ""}},
		{"a broken rule", whole(11, ""), ending{ws.CloseProtocolError, "reserved opcode"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial(t, addr, "/echo").send(c.bytes)
			if got := wait(t, ended); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	p := dial(t, addr, "/echo")
	p.conn.Close()
	if got := wait(t, ended); got.code != ws.CloseAbnormal {
		t.Errorf("a peer that just went gives %v", got)
	}
	eventually(t, func() bool { return app.Len() == 0 })
}

func TestCloseFromTheServer(t *testing.T) {
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			s.SendText("before")
			if err := s.Close(ws.CloseNormal, "enough"); err != nil {
				return err
			}
			if err := s.SendText("after"); !errors.Is(err, ws.ErrClosed) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("sending after Close gives %v", err)
			}
			return s.Close(ws.CloseGoingAway, "a second time")
		})
		return nil
	})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	p := dial(t, addr, "/")
	p.send(whole(opText, "go"))
	p.expect("text before", "close 1000 enough")
	p.send(whole(opText, "ignored"), whole(opPing, "not answered"), closing(1000, "enough"))
	p.expect("end")
	if got := wait(t, ended); got != (ending{1000, "enough"}) {
		t.Errorf("got %v", got)
	}
}

func TestCodesThatMayNotBeSent(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/:code", func(s *ws.Socket, c echo.Context) error {
			var code ws.CloseCode
			fmt.Sscan(s.Param("code"), &code)
			if err := s.Close(code, strings.Repeat("é", 100)); err == nil {
				t.Errorf("Close(%d) is no error", code)
			}
			return nil
		})
	})
	for _, code := range []string{"0", "999", "1004", "1005", "1006", "1015", "2999", "5000"} {
		p := dial(t, addr, "/"+code)
		p.expect("close 1011 " + strings.Repeat("é", 61))
		p.send(closing(1011, ""))
		p.expect("end")
	}
}

func TestPanicsAndErrorsHarmNobodyElse(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, &logged}, nil))
	ids := make(chan string, 10)
	_, addr := serve(t, ws.Config{Logger: log}, func(e *echo.Echo, app *ws.App) {
		app.WS("/echo", echoBack)
		app.WS("/handler", func(s *ws.Socket, c echo.Context) error { panic("in the handler") })
		app.WS("/refuse", func(s *ws.Socket, c echo.Context) error {
			return fmt.Errorf("no room: %w", &ws.CloseError{Code: 4004, Reason: "no such room"})
		})
		app.WS("/message", func(s *ws.Socket, c echo.Context) error {
			ids <- s.ID()
			s.OnMessage(func(m ws.Message) error {
				switch m.Text() {
				case "panic":
					m.Data[len(m.Data)] = 0
				case "error":
					return errors.New("secret detail")
				}
				return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: "no"}
			})
			s.OnPong(func(data []byte) { panic(string(data)) })
			s.OnClose(func(ws.CloseCode, string) { panic("in OnClose") })
			return nil
		})
	})
	other := dial(t, addr, "/echo")
	for _, c := range []struct{ path, send, want string }{
		{"/handler", "", "close 1011 internal error"},
		{"/refuse", "", "close 4004 no such room"},
		{"/message", whole(opText, "panic"), "close 1011 internal error"},
		{"/message", whole(opText, "error"), "close 1011 internal error"},
		{"/message", whole(opText, "x"), "close 1008 no"},
		{"/message", whole(opPong, "pong"), "close 1011 internal error"},
	} {
		p := dial(t, addr, c.path)
		p.send(c.send)
		p.expect(c.want)
		p.send(closing(1000, ""))
		p.expect("end")
	}
	other.send(whole(opText, "unharmed"))
	other.expect("text unharmed")
	id := wait(t, ids)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"id=" + id, "index out of range", "close_test.go", "secret detail", "in OnClose"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}

// forgiving is a listener whose connections have no deadlines for writing before expire is called, and only ones that are
// over after that. So no write fails before the test has seen what it waits for.
type forgiving struct {
	net.Listener
	conns chan *forgivingConn
}

func (l forgiving) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f := &forgivingConn{Conn: c}
	l.conns <- f
	return f, nil
}

type forgivingConn struct {
	net.Conn

	mu      sync.Mutex
	limited bool // the Conn has set a deadline
	expired bool
}

func (c *forgivingConn) SetWriteDeadline(d time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limited = !d.IsZero(); c.limited && !c.expired {
		d = time.Time{}
	} else if c.limited {
		d = time.Unix(1, 0)
	}
	return c.Conn.SetWriteDeadline(d)
}

// expire ends the time of the write under way, if that has a deadline, and of all later ones.
func (c *forgivingConn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired = true; c.limited {
		c.Conn.SetWriteDeadline(time.Unix(1, 0))
	}
}

// A peer that does not read fills the connection; Close comes back at once, and the socket ends
// when the write under way has had its time.
func TestCloseBehindAStuckWrite(t *testing.T) {
	stuck := make(chan *ws.Socket, 1)
	const senders = 8
	sending := make(chan error, senders)
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
		stuck <- s
		for range senders {
			go func() {
				var err error
				for err == nil {
					err = s.SendBinary(make([]byte, 64<<10))
				}
				sending <- err
			}()
		}
		return nil
	})
	conns := make(chan *forgivingConn, 1)
	_, addr := serveOn(t, ws.Config{WriteTimeout: 2 * time.Second, CloseTimeout: 100 * time.Millisecond},
		func(l net.Listener) net.Listener { return forgiving{l, conns} }, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	dial(t, addr, "/")
	s, conn := wait(t, stuck), wait(t, conns)
	eventually(t, func() bool { return s.Stuck() })
	s.Close(ws.CloseGoingAway, "enough")
	if n := len(ended); n > 0 {
		t.Error("Close does not wait for the write under way")
	}
	conn.expire()
	if got := wait(t, ended); got != (ending{ws.CloseGoingAway, "enough"}) {
		t.Errorf("got %v", got)
	}
	for range senders {
		wait(t, sending)
	}
}

func TestAPeerThatDoesNotReadIsDropped(t *testing.T) {
	failed := make(chan error, 1)
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			for {
				if err := s.SendBinary(make([]byte, 64<<10)); err != nil {
					failed <- err
					return err
				}
			}
		})
		return nil
	})
	_, addr := serve(t, ws.Config{WriteTimeout: 50 * time.Millisecond}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	dial(t, addr, "/").send(whole(opText, "go"))
	if err := wait(t, failed); err == nil {
		t.Error("sending without a reader is no error")
	}
	if got := wait(t, ended); got.code != ws.CloseAbnormal || !strings.Contains(got.reason, "timeout") {
		t.Errorf("got %v", got)
	}
}

func TestContextAndLateOnClose(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
	})
	p := dial(t, addr, "/")
	s := wait(t, sockets)
	ctx := s.Context()
	if ctx.Err() != nil {
		t.Fatal("the context of an open socket is over")
	}
	p.send(closing(4000, "x"))
	wait(t, ctx.Done())
	late := make(chan ending, 1)
	s.OnClose(func(code ws.CloseCode, reason string) { late <- ending{code, reason} })
	if got := wait(t, late); got != (ending{4000, "x"}) {
		t.Errorf("got %v", got)
	}
	if s.Context().Err() == nil {
		t.Error("the context of an ended socket is not over")
	}
}

func TestShutdown(t *testing.T) {
	handler, ended := endings(echoBack)
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/echo", handler) })
	var peers []*peer
	for range 20 {
		peers = append(peers, dial(t, addr, "/echo"))
	}
	down := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		down <- app.Shutdown(ctx)
	}()
	for _, p := range peers {
		p.expect("close 1012 service restart")
		if res, body := ask(t, addr, request("/echo")); res.StatusCode != 503 || !strings.Contains(body, "shutting down") {
			t.Errorf("a newcomer got %s %s", res.Status, body)
		}
		p.send(closing(1012, ""))
		p.expect("end")
		if got := wait(t, ended); got != (ending{ws.CloseServiceRestart, "service restart"}) {
			t.Errorf("got %v", got)
		}
	}
	if err := wait(t, down); err != nil {
		t.Error(err)
	}
	if app.Len() != 0 {
		t.Errorf("%d sockets are left", app.Len())
	}
}

func TestShutdownDropsSilentSockets(t *testing.T) {
	app, addr := serve(t, ws.Config{CloseTimeout: time.Hour}, echoRoute)
	p := dial(t, addr, "/echo")
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan error, 1)
	go func() { down <- app.Shutdown(ctx) }()
	p.expect("close 1012 service restart")
	cancel()
	if err := wait(t, down); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.expect("end")
}
