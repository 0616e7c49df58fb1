package ws_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// Both sides close at once, in whatever order that comes to.
func TestSimultaneousClose(t *testing.T) {
	sockets := make(chan *ws.Socket)
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	for range 300 {
		p := dial(t, addr, "/")
		s := wait(t, sockets)
		go s.Close(4001, "server")
		p.send(closing(4002, "client"))
		got := p.next()
		if got != "close 4001 server" && got != "close 4002 client" {
			t.Fatalf("got %q", got)
		}
		p.expect("end")
		if end := wait(t, ended); got != fmt.Sprintf("close %d %s", end.code, end.reason) {
			t.Fatalf("the peer got %q, OnClose %v", got, end)
		}
	}
}

// Sockets are closed from outside while the App shuts down, and they end by themselves.
func TestCloseDuringShutdown(t *testing.T) {
	for range 30 {
		sockets := make(chan *ws.Socket, 10)
		app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
			app.WS("/", func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
		})
		for range cap(sockets) {
			p := dial(t, addr, "/")
			s := wait(t, sockets)
			go s.Close(4001, "")
			go func() {
				p.conn.Write([]byte(closing(4002, "")))
				p.conn.(*net.TCPConn).CloseWrite()
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := app.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

// A callback may append to what it got: the bytes behind it are the next frame's.
func TestAppendingToAMessage(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnPong(func(data []byte) { s.SendText("pong " + string(append(data, "!!!"...))) })
			s.OnMessage(func(m ws.Message) error {
				return s.Send(ws.Message{Opcode: ws.Text, Data: append(m.Data, " - said you"...)})
			})
			return nil
		})
	})
	p := dial(t, addr, "/")
	p.send(whole(opText, "one") + whole(opPong, "p") + whole(opText, "two"))
	p.expect("text one - said you", "text pong p!!!", "text two - said you")
}

// A message in the smallest fragments costs no more than a few times its size.
func TestTinyFragments(t *testing.T) {
	const fragments = 1 << 15
	_, addr := serve(t, ws.Config{}, echoRoute)
	p := dial(t, addr, "/echo")
	sent := part(opBinary, "") + strings.Repeat(part(opContinuation, "x"), fragments) + whole(opContinuation, "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.send(sent)
	p.expect("binary " + strings.Repeat("x", fragments))
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 64 {
		t.Errorf("it took %d MiB", mib)
	}
}

// A callback that works for a connection learns that it is gone.
func TestContextOfADroppedConnection(t *testing.T) {
	running := make(chan struct{})
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				close(running)
				<-c.Request().Context().Done()
				return nil
			})
			return nil
		})
	})
	dial(t, addr, "/").send(whole(opText, "go"))
	wait(t, running)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Shutdown(ctx); err == nil {
		t.Error("no error, though a callback was still running")
	}
	eventually(t, func() bool { return app.Len() == 0 })
}

// Messages sent before Close arrive, however slowly they are read; the time to answer begins after them.
func TestASlowReaderGetsAllBeforeTheClose(t *testing.T) {
	const messages = 200
	sends := func(s *ws.Socket, c echo.Context) error {
		p, err := ws.Prepare(ws.Message{Opcode: ws.Binary, Data: make([]byte, 64<<10)})
		if err != nil {
			return err
		}
		for range messages {
			s.Offer(p)
		}
		return s.Close(ws.CloseNormal, "")
	}
	bubble(t, ws.Config{CloseTimeout: time.Millisecond, SendBuffer: 64 << 20}, sends, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		for range messages {
			time.Sleep(50 * time.Millisecond) // the bubble's time, and longer than CloseTimeout
			if got := p.next(); len(got) != len("binary ")+64<<10 {
				t.Fatalf("got %.50q", got)
			}
		}
		p.expect("close 1000")
	})
}

// An error before the upgrade is answered once, also by error handlers that look at nothing.
func TestErrorsAreAnsweredOnce(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		e.HTTPErrorHandler = func(err error, c echo.Context) { c.String(403, "once") }
		echoRoute(e, app)
	})
	if res, body := ask(t, addr, request("/echo", "Origin: https://foe.example")); res.StatusCode != 403 || body != "once" {
		t.Errorf("got %s %q", res.Status, body)
	}
}

// hesitant is a listener whose connections sometimes read nothing, without an error.
type hesitant struct{ net.Listener }

func (h hesitant) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return &hesitantConn{Conn: c}, err
}

type hesitantConn struct {
	net.Conn
	reads int
}

func (c *hesitantConn) Read(p []byte) (int, error) {
	if c.reads++; c.reads%2 == 0 {
		return 0, nil
	}
	return c.Conn.Read(p)
}

func TestReadsOfNothing(t *testing.T) {
	_, addr := serveOn(t, ws.Config{}, func(l net.Listener) net.Listener { return hesitant{l} }, echoRoute)
	p := dial(t, addr, "/echo")
	for range 3 {
		p.send(whole(opText, "Hello"))
		p.expect("text Hello")
	}
}

func TestNonsenseInConfig(t *testing.T) {
	for _, cfg := range []ws.Config{{MaxMessage: -1}, {PingInterval: -1}, {MaxBuffered: 4<<20 - 1}, {MaxBuffered: 400, MaxMessage: 101}, {Origins: []string{"example.com"}}, {Origins: []string{"https://example.com/path"}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", cfg)
				}
			}()
			ws.New(echo.New(), cfg)
		}()
	}
	app := ws.New(echo.New(), ws.Config{MaxBuffered: 400, MaxMessage: 100})
	for _, cfg := range []ws.RouteConfig{{MaxMessage: -1}, {MaxMessage: 101}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", cfg)
				}
			}()
			app.WSWithConfig("/", echoBack, cfg)
		}()
	}
}
