package ws_test

import (
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// A socket that has rested reads on as before, from whole frames and from parts, and can end.
func TestASocketRestsAndReadsOn(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
		sockets <- s
		return echoBack(s, c)
	})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	p := dial(t, addr, "/")
	s := wait(t, sockets)
	message := whole(opText, "Hello")
	for cut := range len(message) {
		ws.Tick(s)
		eventually(t, s.Rests)
		p.send(message[:cut])
		ws.Tick(s)
		p.send(message[cut:] + message)
		p.expect("text Hello", "text Hello")
		p.send(message) // wide awake again
		p.expect("text Hello")
	}
	ws.Tick(s)
	eventually(t, s.Rests)
	p.send(closing(4000, "rested"))
	p.expect("close 4000 rested", "end")
	if got := wait(t, ended); got != (ending{4000, "rested"}) {
		t.Errorf("got %v", got)
	}

	p = dial(t, addr, "/")
	s = wait(t, sockets)
	ws.Tick(s)
	eventually(t, s.Rests)
	p.conn.Close()
	if got := wait(t, ended); got.code != ws.CloseAbnormal {
		t.Errorf("got %v", got)
	}
}
