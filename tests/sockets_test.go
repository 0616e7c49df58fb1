package tests

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

func TestEchoKeepsOrder(t *testing.T) {
	t.Parallel()
	conn := programtest.Dial(t, programtest.Start(t).URL, "/ws/echo")
	go func() {
		for i := range 1000 {
			fmt.Fprintf(conn, "message %d", i)
		}
	}()
	for i := range 1000 {
		if got, want := programtest.Receive(t, conn), fmt.Sprintf("message %d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	binary := []byte{0, 0xff, 0x80}
	if err := websocket.Message.Send(conn, binary); err != nil {
		t.Fatal(err)
	}
	frame, err := conn.NewFrameReader()
	if err != nil || frame.PayloadType() != websocket.BinaryFrame {
		t.Errorf("binary came back as type %d, %v", frame.PayloadType(), err)
	}
}

func TestAHundredClients(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	var clients sync.WaitGroup
	for i := range 100 {
		conn := programtest.Dial(t, p.URL, "/ws/echo")
		clients.Go(func() {
			for n := range 20 {
				want := fmt.Sprintf("%d from %d", n, i)
				fmt.Fprint(conn, want)
				var got string
				if err := websocket.Message.Receive(conn, &got); err != nil || got != want {
					t.Errorf("got %q %v, want %q", got, err, want)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestBroadcastReachesAll(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	var conns []*websocket.Conn
	for i := range 10 { // a member receives messages sent after it has joined
		conn := programtest.Dial(t, p.URL, "/ws/broadcast")
		want := fmt.Sprint("hello from ", i)
		fmt.Fprint(conn, want)
		conns = append(conns, conn)
		for j, member := range conns {
			if got := programtest.Receive(t, member); got != want {
				t.Fatalf("member %d got %q, want %q", j, got, want)
			}
		}
	}
}

func TestForeignOriginsByName(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-origins", "https://one.example, https://two.example", "-max-message", "1KiB")
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/echo", "", "https://two.example")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(programtest.Patience))
	conn.Write(make([]byte, 1025)) // past -max-message
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %d bytes, %v; want the end", n, err)
	}
	p.Log.Find(t, "code=1009")
}
