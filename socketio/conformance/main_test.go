package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"
	"golang.org/x/net/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs the program, and returns its address.
func serve(t *testing.T, mount func(*echo.Echo) (end func(context.Context))) (addr string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", mount, in) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(line)[2]
}

// client is a connection of Socket.IO, packet by packet.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := websocket.Dial("ws://"+addr+"/socket.io/?EIO=4&transport=websocket&a=b", "", "http://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{t, conn}
}

func (c *client) send(packet any) {
	c.t.Helper()
	if err := websocket.Message.Send(c.conn, packet); err != nil {
		c.t.Fatal(err)
	}
}

// expect receives packets that begin with these texts, and answers pings in between.
func (c *client) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		var got string
		err := websocket.Message.Receive(c.conn, &got)
		for ; err == nil && got == "2"; err = websocket.Message.Receive(c.conn, &got) {
			websocket.Message.Send(c.conn, "3")
		}
		if err != nil || !strings.HasPrefix(got, want) {
			c.t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestItServesBothSuites(t *testing.T) {
	addr := serve(t, mountSuites)
	res, err := http.Get("http://" + addr + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if got := string(body); !strings.HasPrefix(got, `0{"sid":"`) || !strings.HasSuffix(got, `"upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`) {
		t.Errorf("got %q", got)
	}
	c := dial(t, addr)
	c.send(`40{"token":"123"}`)
	c.expect(`0{"sid":`, `40{"sid":`, `42["auth",{"token":"123"}]`)
	c.send(`42456["message-with-ack",1,{"b":2,"a":1}]`)
	c.expect(`43456[1,{"b":2,"a":1}]`)
}

func TestItServesTheClientsTests(t *testing.T) {
	c := dial(t, serve(t, mountClientTests))
	c.send("40")
	c.expect(`0{"sid":`, `40{"sid":`)
	c.send(`421["echo",5]`)
	c.expect(`431[5]`)
	c.send(`422["getHandshake"]`)
	c.expect(`432[{"query":{"EIO":"4","a":"b","transport":"websocket"},"auth":{}}]`)
	c.send(`42["false"]`)
	c.expect(`42["false",false,`) // with recovery, the offset follows
	c.send(`40/abc,{"c":"d"}`)
	c.expect(`40/abc,{"sid":`, `42/abc,["handshake",{"query":{"EIO":"4","a":"b","transport":"websocket"},"auth":{"c":"d"}},`)
	c.send("40/no,")
	c.expect(`44/no,{"message":"Auth failed (custom namespace)"}`)
	c.send("40/unknown,")
	c.expect(`44/unknown,{"message":"Invalid namespace"}`)
}

func TestItAsksTheClient(t *testing.T) {
	c := dial(t, serve(t, mountClientTests))
	c.send("40")
	c.expect(`0{"sid":`, `40{"sid":`)
	c.send(`42["ack"]`)
	c.expect(`421["ack"]`)
	c.send(`42["ack"]`) // is never answered, and waits when the server ends
	c.expect(`422["ack"]`)
	c.send(`431[5,{"test":true}]`)
	c.expect(`42["got it",`)
}

func TestItConfirmsBinaryValuesInOrder(t *testing.T) {
	c := dial(t, serve(t, mountClientTests))
	c.send("40")
	c.expect(`0{"sid":`, `40{"sid":`)
	c.send(`42["buffa","text"]`) // is not confirmed
	c.send(`42["abuff2","too early"]`)
	c.send(`451-["jsonbuff",{"hello":"lol","message":{"_placeholder":true,"num":0},"goodbye":"gotcha"}]`)
	c.send([]byte{1, 2, 3})
	c.expect(`42["jsonbuff-ack",`)
	blob := func(event string) {
		c.send(`451-["` + event + `",{"_placeholder":true,"num":0}]`)
		c.send([]byte{1, 2, 3})
	}
	blob("blob3") // is too early, and must not be confirmed
	blob("blob1")
	c.send(`42["hi"]`)
	c.expect(`42["hi",`)
	c.send(`42["blob2","second"]`)
	blob("blob3")
	c.expect(`42["blob3-ack",`)
}
