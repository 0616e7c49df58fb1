package ws_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// drain reads a peer until its connection ends.
func drain(p *peer) {
	p.conn.SetDeadline(time.Time{})
	io.Copy(io.Discard, p.r)
}

// Only the bytes that already wait count, never the size of the next message.
func TestALargeMessageAfterASmallOne(t *testing.T) {
	large := strings.Repeat("y", 900<<10)
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			for _, text := range []string{"x", large, "z", large} {
				p, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte(text)})
				if err != nil {
					return err
				}
				s.Offer(p)
			}
			return s.Ping(nil)
		})
	})
	dial(t, addr, "/").expect("text x", "text "+large, "text z", "text "+large, "ping")
}

// Two members send as fast as they can, one small messages and one of a megabyte. All read, and none is closed.
func TestFloodsCloseNoReader(t *testing.T) {
	const members, small, large = 20, 3000, 10
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/all", func(s *ws.Socket, c echo.Context) error { s.OnMessage(s.Broadcast); return nil })
	})
	var peers []*peer
	for range members {
		p := dial(t, addr, "/all")
		p.conn.SetDeadline(time.Now().Add(2 * time.Minute))
		peers = append(peers, p)
	}
	var all sync.WaitGroup
	for _, p := range peers {
		all.Go(func() {
			for n := range small + large {
				if got := p.next(); !strings.HasPrefix(got, "binary ") {
					t.Errorf("message %d: got %.40q", n, got)
					return
				}
			}
		})
	}
	all.Go(func() {
		for range small {
			if _, err := io.WriteString(peers[0].conn, whole(opBinary, strings.Repeat("s", 64))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	all.Go(func() {
		message := whole(opBinary, strings.Repeat("l", 1<<20))
		for range large {
			if _, err := io.WriteString(peers[1].conn, message); err != nil {
				t.Error(err)
				return
			}
		}
	})
	all.Wait()
	if n := app.Stats().Dropped; n != 0 {
		t.Errorf("%d were dropped", n)
	}
}

// A member that does not read is closed, though who broadcasts waits for those who do; and it counts once.
func TestABroadcasterDoesNotWaitForDeafPeers(t *testing.T) {
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error { s.OnMessage(s.Broadcast); return nil })
	app, addr := serve(t, ws.Config{SendBuffer: 64 << 10, CloseTimeout: 100 * time.Millisecond, WriteTimeout: time.Hour},
		func(e *echo.Echo, app *ws.App) { app.WS("/all", handler) })
	deaf := dial(t, addr, "/all")
	deaf.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	reads := dial(t, addr, "/all")
	sends := dial(t, addr, "/all")
	eventually(t, func() bool { return app.Len() == 3 })
	go drain(sends)
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		sends.conn.SetDeadline(time.Time{})
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(sends.conn, whole(opBinary, strings.Repeat("x", 32<<10))); err != nil {
				return
			}
		}
	})
	all.Go(func() { drain(reads) })
	if got := wait(t, ended); got.code != ws.CloseTryAgainLater {
		t.Errorf("got %v", got)
	}
	close(stop)
	if n := app.Stats().Dropped; n != 1 {
		t.Errorf("%d were counted as dropped", n)
	}
	reads.conn.Close()
	sends.conn.Close()
	all.Wait()
}

// Broadcasts from others while a Handler runs come after what the Handler sends, and are not lost.
func TestTheWelcomeComesFirst(t *testing.T) {
	var route *ws.Route
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		route = app.WS("/", func(s *ws.Socket, c echo.Context) error {
			if err := route.Broadcast(ws.Message{Opcode: ws.Text, Data: []byte("news")}); err != nil {
				return err
			}
			return s.SendText(fmt.Sprint("welcome, one of ", route.Len()))
		})
	})
	dial(t, addr, "/").expect("text welcome, one of 1", "text news")
}

func TestBroadcastToSome(t *testing.T) {
	sockets := make(chan *ws.Socket, 3)
	var route *ws.Route
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		route = app.WS("/", func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
	})
	var peers []*peer
	var all []*ws.Socket
	for range 3 {
		peers = append(peers, dial(t, addr, "/"))
		all = append(all, wait(t, sockets))
	}
	say := func(text string) ws.Message { return ws.Message{Opcode: ws.Text, Data: []byte(text)} }
	route.Broadcast(say("not to 0 and 2"), all[0], all[2])
	route.BroadcastIf(say("to 2"), func(s *ws.Socket) bool { return s == all[2] })
	if route.BroadcastIf(say("\xff"), func(*ws.Socket) bool { return true }) == nil || route.Close(1005, "") == nil {
		t.Error("nonsense was taken")
	}
	if err := route.Close(4001, "the room closes"); err != nil {
		t.Error(err)
	}
	peers[0].expect("close 4001 the room closes")
	peers[1].expect("text not to 0 and 2", "close 4001 the room closes")
	peers[2].expect("text to 2", "close 4001 the room closes")
	for _, p := range peers {
		p.send(closing(4001, ""))
		p.expect("end")
	}
	eventually(t, func() bool { return app.Len() == 0 })
}

// Several broadcast at once: all members see the same order.
func TestOneOrderForAll(t *testing.T) {
	const members, senders, messages = 5, 4, 300
	var route *ws.Route
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		route = app.WS("/", func(s *ws.Socket, c echo.Context) error { return nil })
	})
	var peers []*peer
	for range members {
		peers = append(peers, dial(t, addr, "/"))
	}
	var all sync.WaitGroup
	got := make([][]string, members)
	for i, p := range peers {
		all.Go(func() {
			for range senders * messages {
				got[i] = append(got[i], p.next())
			}
		})
	}
	for i := range senders {
		all.Go(func() {
			for n := range messages {
				route.Broadcast(ws.Message{Opcode: ws.Text, Data: fmt.Appendf(nil, "%d from %d", n, i)})
			}
		})
	}
	all.Wait()
	for _, other := range got[1:] {
		if !slices.Equal(other, got[0]) {
			t.Fatal("two members saw different orders")
		}
	}
}
