package ws_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// answering is a listener whose connections call back right before and right after they write the 101.
type answering struct {
	net.Listener
	before, after func()
}

type answeringConn struct {
	net.Conn
	l answering
}

func (l answering) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &answeringConn{c, l}, err
}

func (c *answeringConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 101")) {
		return c.Conn.Write(p)
	}
	c.l.before()
	defer c.l.after()
	return c.Conn.Write(p)
}

func (c *answeringConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func text(s string) ws.Message { return ws.Message{Opcode: ws.Text, Data: []byte(s)} }

// welcome is a Handler whose client can tell what came before its welcome, and what after.
func welcome(s *ws.Socket, _ echo.Context) error {
	s.OnMessage(s.Send)
	return s.SendText("welcome")
}

// expectBetween expects the welcome, then what else was sent, and nothing more.
func (p *peer) expectBetween(want ...string) {
	p.t.Helper()
	p.expect("text welcome")
	p.send(whole(opText, "that was all"))
	p.expect(append(want, "text that was all")...)
}

// Whoever has the 101 gets every later broadcast, though its Handler has not begun.
func TestNoBroadcastIsMissedAfterTheHandshake(t *testing.T) {
	var route *ws.Route
	news := func() {
		route.Broadcast(text("news"))
		route.BroadcastIf(text("for some"), func(*ws.Socket) bool { return true })
		if n := route.Len(); n != 1 {
			t.Errorf("the route has %d sockets", n)
		}
	}
	t.Run("from a connection's Write", func(t *testing.T) {
		wrap := func(l net.Listener) net.Listener { return answering{l, func() {}, news} }
		_, addr := serveOn(t, ws.Config{}, wrap, func(e *echo.Echo, app *ws.App) { route = app.WS("/", welcome) })
		dial(t, addr, "/").expectBetween("text news", "text for some")
	})
	t.Run("from middleware", func(t *testing.T) {
		_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
			route = app.WS("/", welcome, func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error { defer news(); return next(c) }
			})
		})
		dial(t, addr, "/").expectBetween("text news", "text for some")
	})
}

const sendBuffer = 64 << 10

// sendBufferFull is a message as large as the send buffer.
func sendBufferFull(t *testing.T) *ws.Prepared {
	t.Helper()
	p, err := ws.Prepare(ws.Message{Opcode: ws.Binary, Data: make([]byte, sendBuffer)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A socket can be found before its client has the 101. What is then done with it waits for that.
func TestTheAnswerComesFirst(t *testing.T) {
	large := sendBufferFull(t)
	for name, c := range map[string]struct {
		do   func(s *ws.Socket)
		want []string
	}{
		"sending":            {func(s *ws.Socket) { s.SendText("early"); s.Ping(nil) }, []string{"text early", "ping", "text welcome"}},
		"sending much":       {func(s *ws.Socket) { s.SendText(strings.Repeat("x", 20<<10)) }, []string{"text " + strings.Repeat("x", 20<<10), "text welcome"}},
		"offering":           {func(s *ws.Socket) { s.Offer(large) }, []string{"binary " + string(make([]byte, sendBuffer)), "text welcome"}},
		"offering again":     {func(s *ws.Socket) { s.Offer(large); s.Offer(large) }, []string{"binary " + string(make([]byte, sendBuffer)), "binary " + string(make([]byte, sendBuffer)), "text welcome"}},
		"offering far more":  {func(s *ws.Socket) { offer(s, large, 10) }, []string{"close 1013 the peer reads too slowly"}},
		"flushing":           {func(s *ws.Socket) { s.TrySend(text("tried")); s.Flush() }, []string{"text tried", "text welcome"}},
		"closing":            {func(s *ws.Socket) { s.Close(4001, "no") }, []string{"close 4001 no"}},
		"closing the route":  {func(s *ws.Socket) { s.Route().Close(4002, "no") }, []string{"close 4002 no"}},
		"broadcasting":       {func(s *ws.Socket) { s.Broadcast(text("news")) }, []string{"text welcome", "text news"}},
		"broadcasting a lot": {func(s *ws.Socket) { broadcast(s.Route(), sendBuffer, 2) }, []string{"close 1013 too much was broadcast before the connection was ready"}},
	} {
		t.Run(name, func(t *testing.T) {
			var route *ws.Route
			found := 0
			before := func() {
				for s := range route.Sockets() {
					found++
					ws.Tick(s) // a moment later, which is no reason to think that the peer does not read
					c.do(s)
				}
			}
			wrap := func(l net.Listener) net.Listener { return answering{l, before, func() {}} }
			_, addr := serveOn(t, ws.Config{}, wrap, func(e *echo.Echo, app *ws.App) {
				route = app.WSWithConfig("/", welcome, ws.RouteConfig{SendBuffer: sendBuffer, MaxMessage: sendBuffer})
			})
			dial(t, addr, "/").expect(c.want...)
			if found != 1 {
				t.Errorf("%d sockets were found", found)
			}
		})
	}
}

// The same holds before the socket has joined its route.
func TestTheAnswerComesFirstBeforeJoining(t *testing.T) {
	large := sendBufferFull(t)
	for name, c := range map[string]struct {
		do   func(s *ws.Socket)
		want []string
	}{
		"sending":  {func(s *ws.Socket) { s.SendText("early") }, []string{"text early", "text welcome"}},
		"offering": {func(s *ws.Socket) { offer(s, large, 2) }, []string{"binary " + string(make([]byte, sendBuffer)), "binary " + string(make([]byte, sendBuffer)), "text welcome"}},
		"closing":  {func(s *ws.Socket) { s.Close(4001, "no") }, []string{"close 4001 no"}},
	} {
		t.Run(name, func(t *testing.T) {
			var route *ws.Route
			app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
				route = app.WSWithConfig("/", welcome, ws.RouteConfig{SendBuffer: sendBuffer, MaxMessage: sendBuffer})
			})
			dial(t, addr, "/").expect("text welcome")
			old := make(map[*ws.Socket]bool)
			for s := range app.Sockets() {
				old[s] = true
				ws.Tick(s) // the App is no longer new
				ws.Tick(s)
			}
			release := route.Hold()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan struct{})
			go func() {
				defer close(opened)
				defer release()
				if !comes(func() bool { return app.Len() == 2 }) {
					t.Error("the socket does not open")
				}
				for s := range app.Sockets() {
					if !old[s] {
						c.do(s)
					}
				}
			}()
			shake(t, conn, "/").expect(c.want...)
			<-opened
		})
	}
}

func offer(s *ws.Socket, p *ws.Prepared, times int) {
	for range times {
		s.Offer(p)
	}
}

func broadcast(r *ws.Route, size, times int) {
	for range times {
		r.Broadcast(ws.Message{Opcode: ws.Binary, Data: make([]byte, size)})
	}
}

// A socket whose 101 cannot be written ends like any other; only its Handler does not run.
func TestASocketWhoseHandshakeFails(t *testing.T) {
	var route *ws.Route
	log := new(lines)
	ended := make(chan ending, 1)
	before := func() {
		for s := range route.Sockets() {
			s.OnClose(func(code ws.CloseCode, reason string) { ended <- ending{code, reason} })
			s.LocalAddr() // of a connection that is open
		}
	}
	wrap := func(l net.Listener) net.Listener { return severed{l, before} }
	app, addr := serveOn(t, ws.Config{Logger: log.logger()}, wrap, func(e *echo.Echo, app *ws.App) {
		route = app.WS("/", func(*ws.Socket, echo.Context) error { t.Error("the Handler runs"); return nil })
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, request("/"))
	if got := wait(t, ended); got.code != ws.CloseAbnormal || !strings.HasPrefix(got.reason, "ws: write: ") {
		t.Errorf("it ended with %v", got)
	}
	log.find(t, "socket closed", "code=1006")
	if n := log.count("socket opened"); n != 1 {
		t.Errorf("it was opened %d times", n)
	}
	if n := log.count("level=WARN") + log.count("level=ERROR"); n != 0 {
		t.Error(log)
	}
	if app.Len() != 0 || route.Len() != 0 {
		t.Errorf("%d sockets are left, %d of the route", app.Len(), route.Len())
	}
	expectMetrics(t, app, map[string]float64{
		`echows_connections_total{route="/",transport="websocket"}`: 1,
		`echows_closes_total{code="1006"}`:                          1,
	})
}

// severed is a listener whose connections lose their peers right before they write the 101.
type severed struct {
	net.Listener
	before func()
}

type severedConn struct {
	net.Conn
	before func()
}

func (l severed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &severedConn{c, l.before}, err
}

func (c *severedConn) Write(p []byte) (int, error) {
	c.before()
	c.Conn.Close()
	return c.Conn.Write(p)
}
