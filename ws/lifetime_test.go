package ws_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// A callback learns that its peer has gone, though nobody reads meanwhile, and though bytes are unread.
func TestContextEndsWithThePeer(t *testing.T) {
	running := make(chan struct{}, 1)
	done := make(chan error, 1)
	for name, wrap := range map[string]func(net.Listener) net.Listener{"plain": nil, "wrapped": func(l net.Listener) net.Listener { return outside{l} }} {
		t.Run(name, func(t *testing.T) {
			_, addr := serveOn(t, ws.Config{}, wrap, func(e *echo.Echo, app *ws.App) {
				app.WS("/", func(s *ws.Socket, c echo.Context) error {
					s.OnMessage(func(m ws.Message) error {
						running <- struct{}{}
						<-s.Done()
						done <- s.Context().Err()
						return nil
					})
					return nil
				})
			})
			p := dial(t, addr, "/")
			p.send(whole(opText, "go"))
			wait(t, running)
			p.send(whole(opText, "unread"))
			p.conn.Close()
			if err := wait(t, done); err == nil {
				t.Error("the context is not over")
			}
		})
	}
}

// outside is a listener whose connections wrap others, and say so.
type outside struct{ net.Listener }

type outsideConn struct{ net.Conn }

func (l outside) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return outsideConn{c}, err
}

func (c outsideConn) NetConn() net.Conn { return c.Conn }

// A callback that ends its goroutine, as t.FailNow does, ends its socket.
func TestGoexit(t *testing.T) {
	for _, where := range []string{"handler", "message", "pong", "close"} {
		t.Run(where, func(t *testing.T) {
			exit := func(here string) {
				if here == where {
					runtime.Goexit()
				}
			}
			after := make(chan struct{}, 1)
			handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
				s.OnMessage(func(ws.Message) error { exit("message"); return nil })
				s.OnPong(func([]byte) { exit("pong") })
				s.OnClose(func(ws.CloseCode, string) { exit("close") })
				s.OnClose(func(ws.CloseCode, string) { after <- struct{}{} })
				exit("handler")
				return nil
			})
			app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
			p := dial(t, addr, "/")
			if where == "close" {
				p.send(closing(1000, ""))
				p.expect("close 1000")
			} else {
				p.send(whole(opText, "x") + whole(opPong, ""))
				p.expect("close 1011 internal error")
			}
			wait(t, ended)
			if where != "handler" {
				wait(t, after)
			}
			p.expect("end")
			eventually(t, func() bool { return app.Len() == 0 })
		})
	}
}

// OnClose's functions run in the order they were added, also one that is added while others run.
func TestOnCloseInOrder(t *testing.T) {
	order := make(chan string, 3)
	sockets := make(chan *ws.Socket, 1)
	first, added := make(chan struct{}), make(chan struct{})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnClose(func(ws.CloseCode, string) { close(first); <-added; order <- "first" })
			s.OnClose(func(ws.CloseCode, string) { order <- "second" })
			sockets <- s
			return nil
		})
	})
	p := dial(t, addr, "/")
	s := wait(t, sockets)
	p.conn.Close()
	wait(t, first)
	s.OnClose(func(ws.CloseCode, string) { order <- "third"; panic("is caught") })
	close(added)
	for _, want := range []string{"first", "second", "third"} {
		if got := wait(t, order); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	<-s.Done()
	eventually(t, func() bool {
		late := make(chan struct{}, 1)
		s.OnClose(func(ws.CloseCode, string) { late <- struct{}{}; panic("is caught, too") })
		return len(late) == 1
	})
}

// Values set by middleware that runs before the App's own are in the Handler's context.
func TestValuesOfEarlierMiddleware(t *testing.T) {
	got := make(chan any, 1)
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, _ *ws.App) {
		e.Pre(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error { c.Set("user", "ana"); return next(c) }
		})
		second := ws.New(e, ws.Config{})
		second.WS("/second", func(s *ws.Socket, c echo.Context) error {
			got <- c.Get("user")
			return s.Close(ws.CloseNormal, "")
		})
		t.Cleanup(func() { second.Shutdown(t.Context()) })
	})
	dial(t, addr, "/second").expect("close 1000")
	if user := wait(t, got); user != "ana" {
		t.Errorf("got %v", user)
	}
}

// A peer that broke a rule, and sends on, gets its close frame all the same: also where the connection cannot close
// one direction only.
func TestTheCloseFrameIsNotLostToAReset(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{"plain": nil, "wrapped": func(l net.Listener) net.Listener { return outside{l} }} {
		t.Run(name, func(t *testing.T) {
			_, addr := serveOn(t, ws.Config{MaxMessage: 1000}, wrap, echoRoute)
			for range 3 {
				p := dial(t, addr, "/echo")
				written := make(chan struct{})
				go func() {
					p.conn.Write([]byte(whole(opBinary, strings.Repeat("x", 1<<20))))
					close(written)
				}()
				wait(t, written)
				p.expect("close 1009 message is too long")
				if _, err := p.conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "reset") {
					t.Errorf("then %v", err)
				}
			}
		})
	}
}

// A connection whose handshake cannot be written is closed, and its place is free again.
func TestAHandshakeThatFails(t *testing.T) {
	closed := make(chan struct{}, 10)
	app, addr := serveOn(t, ws.Config{MaxSockets: 1}, func(l net.Listener) net.Listener { return mute{l, closed} }, echoRoute)
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(request("/echo")))
		wait(t, closed)
		conn.Close()
		eventually(t, func() bool { return app.Admit("another") == nil }) // its place is free again
		app.Dismiss("another")
	}
}

// mute is a listener whose connections cannot write.
type mute struct {
	net.Listener
	closed chan struct{}
}

type muteConn struct {
	net.Conn
	closed chan struct{}
}

func (l mute) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return muteConn{c, l.closed}, err
}

func (c muteConn) Write([]byte) (int, error) { return 0, errors.New("mute") }

func (c muteConn) Close() error {
	select {
	case c.closed <- struct{}{}:
	default:
	}
	return c.Conn.Close()
}

// A connection that is being upgraded while Shutdown looks for sockets is closed, too.
func TestAnUpgradeDuringShutdown(t *testing.T) {
	down := make(chan error, 1)
	var app *ws.App
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, a *ws.App) {
		echoRoute(e, a)
		a.WS("/", func(s *ws.Socket, c echo.Context) error { return nil }, func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				c.Response().Writer = slowHijack{c.Response().Writer, func() {
					go func() { down <- app.Shutdown(t.Context()) }()
					if !comes(a.IsClosing) {
						t.Error("it does not close")
					}
				}}
				return next(c)
			}
		})
	})
	p := dial(t, addr, "/")
	p.expect("close 1012 service restart")
	p.send(closing(1012, ""))
	if err := wait(t, down); err != nil {
		t.Error(err)
	}
}

// slowHijack does something before the connection is taken over.
type slowHijack struct {
	http.ResponseWriter
	before func()
}

func (h slowHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.before()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// A deadline that the connection had as an HTTP connection does not outlast the upgrade.
func TestADeadlineOfTheRequest(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", echoBack, func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				c.Response().Writer = lateHijack{c.Response().Writer}
				return next(c)
			}
		})
	})
	p := dial(t, addr, "/")
	p.send(whole(opText, "x"))
	p.expect("text x")
}

// lateHijack leaves a deadline on the connection that is over.
type lateHijack struct{ http.ResponseWriter }

func (h lateHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		conn.SetDeadline(time.Unix(1, 0))
	}
	return conn, rw, err
}
