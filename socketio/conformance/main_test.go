package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItServesBothSuites(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.Fields(line)[2]
	res, err := http.Get("http://" + addr + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if got := string(body); !strings.HasPrefix(got, `0{"sid":"`) || !strings.HasSuffix(got, `"upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`) {
		t.Errorf("got %q", got)
	}
	conn, err := websocket.Dial("ws://"+addr+"/socket.io/?EIO=4&transport=websocket", "", "http://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	next := func() (got string) {
		t.Helper()
		err := websocket.Message.Receive(conn, &got)
		for ; err == nil && got == "2"; err = websocket.Message.Receive(conn, &got) { // a ping, if this takes long
			websocket.Message.Send(conn, "3")
		}
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	websocket.Message.Send(conn, `40{"token":"123"}`)
	for _, want := range []string{`0{"sid":`, `40{"sid":`, `42["auth",{"token":"123"}]`} {
		if got := next(); !strings.HasPrefix(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	websocket.Message.Send(conn, `42456["message-with-ack",1,{"b":2,"a":1}]`)
	if got := next(); got != `43456[1,{"b":2,"a":1}]` {
		t.Errorf("got %q", got)
	}
	conn.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
