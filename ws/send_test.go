package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

func TestSendingManyWays(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.SendText("text")
			s.SendBinary([]byte("bytes"))
			s.SendJSON(map[string]int{"n": 1})
			for _, err := range []error{
				s.SendText("\xff"),
				s.SendJSON(func() {}),
				s.Send(ws.Message{Opcode: 8}),
				s.Route().Broadcast(ws.Message{Opcode: ws.Text, Data: []byte("\xff")}),
				s.Ping(make([]byte, 126)),
			} {
				if err == nil || !strings.HasPrefix(err.Error(), "ws: ") {
					t.Errorf("got %v", err)
				}
			}
			s.OnPong(func(data []byte) { s.SendText("pong " + string(data)) })
			s.OnMessage(func(m ws.Message) error {
				var v struct{ N int }
				if err := m.JSON(&v); err != nil {
					return s.SendText(err.Error())
				}
				return s.SendText(fmt.Sprint(v.N))
			})
			return s.Ping([]byte("hi"))
		})
	})
	p := dial(t, addr, "/")
	p.expect("text text", "binary bytes", `text {"n":1}`, "ping hi")
	p.send(whole(opPong, "hi"), whole(opText, `{"n":5}`), whole(opText, "{"))
	p.expect("text pong hi", "text 5", "text ws: message is not the JSON expected: unexpected end of JSON input")
}

func TestValuesOfASocket(t *testing.T) {
	name, other := ws.NewKey[string]("name"), ws.NewKey[string]("name")
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			_, before := name.Get(s)
			name.Set(s, "ana")
			got, ok := name.Get(s)
			_, mixed := other.Get(s)
			return s.SendText(fmt.Sprintf("%v %v %v %v", before, got, ok, mixed))
		})
	})
	dial(t, addr, "/").expect("text false ana true false")
}

// 64 goroutines send while the socket closes: frames stay whole, and every sender comes back.
func TestManySendersAndAClose(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
	})
	p := dial(t, addr, "/")
	s := wait(t, sockets)
	var senders sync.WaitGroup
	for i := range 64 {
		senders.Go(func() {
			message := strings.Repeat(string(rune('0'+i)), 10+i*20)
			for n := 0; s.SendText(message) == nil; n++ {
				if i == 63 && n == 50 {
					s.Close(4000, "enough")
				}
			}
		})
	}
	for {
		got := p.next()
		if got == "close 4000 enough" {
			break
		}
		text, ok := strings.CutPrefix(got, "text ")
		if !ok || strings.Trim(text, text[:1]) != "" || (len(text)-10)/20 != int(text[0]-'0') {
			t.Fatalf("a broken frame: %.100q", got)
		}
	}
	p.send(closing(4000, ""))
	p.expect("end")
	senders.Wait()
}

// Replies may gather while more messages of the same read are handled, but not wait for a callback
// that takes its time.
func TestAReplyDoesNotWaitForTheNextCallback(t *testing.T) {
	got := make(chan struct{})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if m.Text() == "2" {
					<-got
				}
				return s.Send(m)
			})
			return nil
		})
	})
	p := dial(t, addr, "/")
	p.send(whole(opText, "1") + whole(opText, "2") + whole(opText, "3"))
	p.expect("text 1")
	close(got)
	p.expect("text 2", "text 3")
}

func TestBroadcastToARoute(t *testing.T) {
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		echoRoute(e, app)
		app.WS("/all", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(s.Broadcast)
			return s.SendText(fmt.Sprint("one of ", s.Route().Len()))
		})
	})
	bystander := dial(t, addr, "/echo")
	var peers []*peer
	for i := range 10 {
		p := dial(t, addr, "/all")
		p.expect(fmt.Sprint("text one of ", i+1))
		peers = append(peers, p)
	}
	eventually(t, func() bool { return app.Len() == 11 })
	for i, p := range peers {
		for n := range 20 {
			p.send(whole(opText, fmt.Sprintf("%d from %d", n, i)))
		}
	}
	var first []string
	for i, p := range peers {
		var got []string
		for range 200 {
			got = append(got, p.next())
		}
		if i == 0 {
			first = got
		} else if !slices.Equal(got, first) {
			t.Fatal("two members saw different orders")
		}
	}
	bystander.send(whole(opText, "mine"))
	bystander.expect("text mine")
	peers[0].conn.Close()
	eventually(t, func() bool { return app.Len() == 10 })
	open := 0
	for s := range app.Sockets() {
		for r := range s.Route().Sockets() {
			if r == s {
				open++
			}
		}
	}
	if open != 10 {
		t.Errorf("the ranges show %d sockets", open)
	}
}

// Members that do not read are dropped with 1013; the others get everything, in order.
func TestBroadcastNeverWaits(t *testing.T) {
	const members, stuck, messages = 20, 3, 600
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error { return nil })
	var route *ws.Route
	app, addr := serve(t, ws.Config{WriteTimeout: time.Minute, CloseTimeout: time.Second}, func(e *echo.Echo, app *ws.App) { route = app.WS("/", handler) })
	for range stuck {
		p := dial(t, addr, "/")
		p.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	var reading sync.WaitGroup
	read := make(chan struct{}, messages*members)
	for range members {
		p := dial(t, addr, "/")
		reading.Go(func() {
			for n := range messages {
				if got := p.next(); !strings.HasPrefix(got, fmt.Sprintf("binary %d ", n)) {
					t.Errorf("got %.30q, want message %d", got, n)
					return
				}
				read <- struct{}{}
			}
		})
	}
	filler := strings.Repeat("x", 32<<10)
	for n := range messages {
		if err := route.Broadcast(ws.Message{Opcode: ws.Binary, Data: fmt.Appendf(nil, "%d %s", n, filler)}); err != nil {
			t.Fatal(err)
		}
		for range members { // as fast as the readers are
			wait(t, read)
		}
	}
	reading.Wait()
	for range stuck {
		if got := wait(t, ended); got.code != ws.CloseTryAgainLater {
			t.Errorf("got %v", got)
		}
	}
	if app.Stats().Dropped != stuck {
		t.Errorf("%d were counted as dropped", app.Stats().Dropped)
	}
}

// A peer that sends and never reads its replies is not read any more: what it makes the server hold is bounded.
func TestBackPressure(t *testing.T) {
	app, addr := serve(t, ws.Config{}, echoRoute)
	p := dial(t, addr, "/echo")
	message := whole(opBinary, strings.Repeat("x", 64<<10))
	blocked := make(chan int)
	go func() {
		sent := 0
		p.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		for ; sent < 10_000; sent++ {
			if _, err := p.conn.Write([]byte(message)); err != nil {
				break
			}
		}
		blocked <- sent
	}()
	if sent := wait(t, blocked); sent == 10_000 {
		t.Error("the server read 640 MB of a client that reads nothing")
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB are held", m.HeapAlloc>>20)
	}
	if app.Len() != 1 {
		t.Error("the socket is gone before its write's time")
	}
	p.conn.Close()
}

func TestFramesHoldTheirMessages(t *testing.T) {
	want := []ws.Message{{Opcode: ws.Text, Data: []byte("text")}, {Opcode: ws.Binary, Data: make([]byte, 300)}, {Opcode: ws.Binary}, {Opcode: ws.Text, Data: bytes.Repeat([]byte("x"), 70_000)}}
	f, err := ws.Prepare(want...)
	if err != nil {
		t.Fatal(err)
	}
	var got []ws.Message
	for m := range f.Messages() {
		got = append(got, m)
	}
	if !slices.EqualFunc(got, want, func(a, b ws.Message) bool { return a.Opcode == b.Opcode && bytes.Equal(a.Data, b.Data) }) {
		t.Errorf("%d messages came back changed", len(got))
	}
	if _, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte("\xff")}); err == nil {
		t.Error("text that is not UTF-8 was encoded")
	}
}

// WaitForRoom waits as Send does, also for a peer that has not read for long, and TrySendPrepared for nobody.
func TestWaitForRoom(t *testing.T) {
	p, s, g := gated(t, ws.Config{SendBuffer: 1000})
	if err := s.WaitForRoom(t.Context()); err != nil {
		t.Error(err)
	}
	g.close()
	message, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte(strings.Repeat("x", 1000))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.TrySendPrepared(message); err != nil {
		t.Error(err)
	}
	wait(t, g.writes)
	if err := s.TrySendPrepared(message); err != ws.ErrFull {
		t.Errorf("while 1000 bytes wait: %v", err)
	}
	for range 2 { // seconds, by the App's clock: a broadcast would wait no longer
		ws.Tick(s)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitForRoom(late); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	room := make(chan error, 1)
	go func() { room <- s.WaitForRoom(t.Context()) }()
	g.open()
	if err := wait(t, room); err != nil {
		t.Error(err)
	}
	p.expect("text " + strings.Repeat("x", 1000))
	s.Close(ws.CloseNormal, "")
	if err := s.WaitForRoom(t.Context()); !errors.Is(err, ws.ErrClosed) {
		t.Errorf("on a closed one: %v", err)
	}
}
