package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// departures are ways to leave, and the code that tells of each.
var departures = map[string]struct {
	leave func(p *peer)
	code  ws.CloseCode
}{
	"with 1001": {func(p *peer) { p.send(closing(1001, "")); p.conn.Close() }, ws.CloseGoingAway},
	"with 1001 after more": {func(p *peer) {
		p.send(whole(opText, "unread") + whole(opPing, "") + part(opText, "x") + closing(1001, ""))
		p.conn.Close()
	}, ws.CloseGoingAway},
	"with no code":            {func(p *peer) { p.send(whole(opClose, "")); p.conn.Close() }, ws.CloseNoStatus},
	"without a frame":         {func(p *peer) { p.conn.Close() }, ws.CloseAbnormal},
	"with a reset":            {func(p *peer) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() }, ws.CloseAbnormal},
	"with a broken rule":      {func(p *peer) { p.send(whole(3, "")); p.conn.Close() }, ws.CloseProtocolError},
	"within another message":  {func(p *peer) { p.send(part(opText, "half")); p.conn.Close() }, ws.CloseAbnormal},
	"within another's header": {func(p *peer) { p.send(whole(opText, "half")[:1]); p.conn.Close() }, ws.CloseAbnormal},
}

// untilGone lets the time go on until the App has noticed that the peer has left.
func untilGone(t *testing.T, s *ws.Socket) {
	eventually(t, func() bool { ws.Tick(s); return s.Context().Err() != nil })
}

// failures are what a callback or Handler may return because its client left meanwhile, or as it does so.
var failures = map[string]struct {
	fail func(t *testing.T, s *ws.Socket, c echo.Context) error
	real bool         // it is a fault of the program, which the log must tell
	code ws.CloseCode // if that differs from the departure's
}{
	"the socket's context": {fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		return fmt.Errorf("it failed: %w", s.Context().Err())
	}},
	"the request's context": {fail: func(t *testing.T, s *ws.Socket, c echo.Context) error {
		untilGone(t, s)
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		return context.Cause(ctx)
	}},
	"Send": {fail: func(_ *testing.T, s *ws.Socket, _ echo.Context) error {
		for {
			if err := s.SendBinary(make([]byte, 64<<10)); err != nil {
				return fmt.Errorf("it failed: %w", err)
			}
		}
	}},
	"Send, the second time": {fail: func(_ *testing.T, s *ws.Socket, _ echo.Context) error {
		for s.SendBinary(make([]byte, 1000)) == nil {
		}
		return s.SendText("again")
	}},
	"SendContext": {fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		for {
			if err := s.SendContext(s.Context(), ws.Message{Opcode: ws.Binary, Data: make([]byte, 64<<10)}); err != nil {
				return err
			}
			ws.Tick(s)
		}
	}},
	"WaitForRoom": {fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		for {
			if err := s.WaitForRoom(s.Context()); err != nil {
				return err
			}
			s.TrySend(text("more"))
		}
	}},
	"io.EOF of something else": {real: true, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		return fmt.Errorf("the database: %w", io.EOF)
	}},
	"a failure after Send's": {real: true, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		for s.SendBinary(make([]byte, 64<<10)) == nil {
		}
		return errors.New("the disk is full")
	}},
	"net.ErrClosed of something else": {real: true, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		return fmt.Errorf("the database: %w", net.ErrClosed)
	}},
	"a time that was over": {real: true, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		return context.DeadlineExceeded
	}},
	"a panic": {real: true, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		panic("at the disco")
	}},
	"a code of its own": {code: ws.ClosePolicyViolation, fail: func(t *testing.T, s *ws.Socket, _ echo.Context) error {
		untilGone(t, s)
		return &ws.CloseError{Code: ws.ClosePolicyViolation}
	}},
}

// A client that has left is reported as it left, in OnClose, in the log and in the metrics, whatever its callback or
// Handler then returns. That is a fault only if it has another cause.
func TestACallbackThatFailsSinceItsClientLeft(t *testing.T) {
	for how, departure := range departures {
		for what, failure := range failures {
			for _, where := range []string{"message", "handler"} {
				t.Run(fmt.Sprint(how, "/", what, "/", where), func(t *testing.T) {
					log := new(lines)
					running := make(chan struct{})
					calls := 0
					handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
						run := func() error {
							if calls++; calls == 1 {
								close(running)
							}
							return failure.fail(t, s, c)
						}
						s.OnMessage(func(m ws.Message) error { return run() })
						if where == "handler" {
							return run()
						}
						return nil
					})
					app, addr := serve(t, ws.Config{Logger: log.logger()}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
					p := dial(t, addr, "/")
					if where == "message" {
						p.send(whole(opText, "go"))
					}
					wait(t, running)
					departure.leave(p)
					code := departure.code
					if failure.code != 0 {
						code = failure.code
					}
					if got := wait(t, ended); got.code != code {
						t.Fatalf("OnClose got %v, want %d", got, code)
					}
					log.find(t, "level=INFO", "socket closed", fmt.Sprintf("code=%d", code))
					expectMetrics(t, app, map[string]float64{fmt.Sprintf(`echows_closes_total{code="%d"}`, code): 1, `echows_closes_total{code="1011"}`: 0})
					want := 0
					if failure.real {
						want = 1
					}
					if n := log.count("level=ERROR", " id="); n != want {
						t.Errorf("%d faults, want %d:\n%s", n, want, log)
					}
					if calls != 1 {
						t.Errorf("%d calls", calls)
					}
				})
			}
		}
	}
}

// A client that only stops sending still gets the answer to its close frame.
func TestTheAnswerToACloseThatACallbackMissed(t *testing.T) {
	running := make(chan struct{})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(ws.Message) error {
				close(running)
				untilGone(t, s)
				return s.Context().Err()
			})
			return nil
		})
	})
	p := dial(t, addr, "/")
	p.send(whole(opText, "go"))
	wait(t, running)
	p.send(whole(opText, "unread"), closing(1001, "bye"))
	p.conn.(*net.TCPConn).CloseWrite()
	p.expect("close 1001 bye", "end")
}
