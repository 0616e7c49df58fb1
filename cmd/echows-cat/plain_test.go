package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

func routes(app *ws.App, codes chan<- ws.CloseCode) {
	app.WS("/echo", func(s *ws.Socket, _ echo.Context) error {
		s.OnClose(func(code ws.CloseCode, _ string) { codes <- code })
		s.OnMessage(s.Send)
		return nil
	})
	app.WSWithConfig("/first", func(s *ws.Socket, c echo.Context) error {
		h := c.Request().Header
		return s.SendText(fmt.Sprint(h.Values("X-One"), h.Get("Two"), " ", h.Get("Origin"), " ", s.Subprotocol(), " ", s.IsCompressed()))
	}, ws.RouteConfig{Subprotocols: []string{"v2"}})
	app.WS("/close/:code", func(s *ws.Socket, c echo.Context) error {
		var code int
		fmt.Sscan(c.Param("code"), &code)
		return &ws.CloseError{Code: ws.CloseCode(code), Reason: "so it is"}
	})
	first := true
	app.WS("/twice", func(s *ws.Socket, _ echo.Context) error {
		if first {
			first = false
			return &ws.CloseError{Code: ws.CloseServiceRestart}
		}
		s.OnMessage(s.Send)
		return nil
	})
	app.WS("/binary", func(s *ws.Socket, _ echo.Context) error {
		return errors.Join(s.SendBinary([]byte{'b', 0, 1}), s.SendJSON(map[string]int{"a": 1}), s.SendText("no {json}"))
	})
}

func TestLinesGoOutAndIn(t *testing.T) {
	url, ends := serve(t, false)
	p := start(t, "-w", "0s", "-n", "4", url+"/echo")
	p.write("one\ntwo\r\n\nlast, without an end")
	p.stdin.Close()
	p.expect(0, "one\ntwo\n\nlast, without an end\n", "closed: 1000")
	if code := <-ends; code != ws.CloseNormal {
		t.Errorf("the server got %d", code)
	}
}

func TestTheInputEnds(t *testing.T) {
	url, _ := serve(t, false)
	p := start(t, url+"/echo", "-w", "10ms")
	p.write("question\n")
	p.out.find(t, "question\n")
	p.stdin.Close()
	p.expect(0, "question\n", "closed: 1000")

	p = start(t, "-w", "-1s", url+"/close/1001") // until the server closes
	p.stdin.Close()
	p.expect(0, "", "closed: 1001 so it is")
}

func TestCtrlC(t *testing.T) {
	url, ends := serve(t, false)
	p := start(t, url+"/echo")
	p.write("hello\n")
	p.out.find(t, "hello\n")
	p.stop()
	p.expect(0, "hello\n", "closed: 1000")
	if code := <-ends; code != ws.CloseNormal {
		t.Errorf("the server got %d", code)
	}
}

func TestExitCodes(t *testing.T) {
	url, _ := serve(t, false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // and accepts nothing
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{url + "/close/1000", 0, "closed: 1000 so it is"},
		{url + "/close/1012", 1, "closed: 1012 so it is"},
		{url + "/close/4321", 1, "closed: 4321 so it is"},
		{url + "/none", 3, "404"},
		{"-origin https://foe.example " + url + "/echo", 3, "403"},
		{"ws://127.0.0.1:1", 3, "no connection: "},
		{"-timeout 10ms ws://" + l.Addr().String(), 3, "no connection: "},
		{"", 2, "want one URL"},
		{url + " " + url, 2, "want one URL"},
		{"localhost:3000", 2, "is not a URL"},
		{"ftp://localhost", 2, "is not a URL"},
		{"ws://", 2, "is not a URL"},
		{"-wrong " + url, 2, "-wrong"},
		{url + " -n x", 2, "-n"},
		{"-n -1 " + url, 2, "-n"},
		{"-timeout 0s " + url, 2, "-timeout"},
		{"-H nonsense " + url, 2, "-H"},
		{"-subprotocol a,b " + url, 2, "-subprotocol"},
		{"-chat ana -ping " + url, 2, "-chat"},
	} {
		start(t, strings.Fields(c.args)...).expect(c.code, "", c.says)
	}
}

func TestHelp(t *testing.T) {
	p := start(t, "-h")
	p.out.find(t, "exit code:")
	if code := <-p.exit; code != 0 {
		t.Errorf("exit code %d", code)
	}
	options := new(options).flags()
	for _, line := range strings.Split(p.out.String(), "\n") {
		if len(line) > 120 {
			t.Errorf("a long line: %s", line)
		}
	}
	for _, name := range []string{"chat", "n", "w", "pretty", "reconnect", "ping", "timeout", "H", "subprotocol", "origin", "insecure", "compress"} {
		if options.Lookup(name) == nil {
			t.Errorf("no flag %s", name)
		}
	}
}

func TestWhatTheHandshakeSays(t *testing.T) {
	url, _ := serve(t, false)
	start(t, "-n", "1", url+"/first").expect(0, "[] "+strings.Replace(strings.TrimSuffix(url, "/"), "ws", "http", 1)+"  false\n", "")
	start(t, "-n", "1", "-H", "X-One: 1", "-H", "x-one:2 ", "-H", "Two: two", "-origin", "https://friend.example",
		"-subprotocol", "v1", "-subprotocol", "v2", "-compress", url+"/first").
		expect(0, "[1 2]two https://friend.example v2 true\n", "subprotocol: v2")
}

func TestInsecure(t *testing.T) {
	url, _ := serve(t, true)
	start(t, url+"/close/1000").expect(3, "", "certificate")
	start(t, "-insecure", url+"/close/1000").expect(0, "", "closed: 1000")
}

func TestPretty(t *testing.T) {
	url, _ := serve(t, false)
	start(t, "-n", "3", url+"/binary").expect(0, "b\x00\x01\n{\"a\":1}\nno {json}\n", "")
	start(t, "-n", "3", "-pretty", url+"/binary").expect(0, "b\x00\x01\n{\n  \"a\": 1\n}\nno {json}\n", "")
	out := newOutput()
	terminal := &printer{out, true, true}
	for _, m := range []ws.Message{{Opcode: ws.Binary, Data: []byte{1, 255}}, {Opcode: ws.Text, Data: []byte("a\x1b[2Jb\tä")}} {
		if err := terminal.print(terminal.format(m)); err != nil {
			t.Error(err)
		}
	}
	if got := out.String(); got != "(2 bytes: 01ff)\na\ufffd[2Jb\tä\n" {
		t.Errorf("a terminal gets %q", got)
	}
}

func TestReconnect(t *testing.T) {
	url, _ := serve(t, false)
	start(t, url+"/twice").expect(1, "", "closed: 1012")
	url, _ = serve(t, false)
	p := start(t, "-reconnect", "-n", "1", url+"/twice")
	p.err.find(t, "trying again")
	p.write("still here\n")
	p.expect(0, "still here\n", "closed: 1000")
	start(t, "-reconnect", url+"/close/4000").expect(1, "", "closed: 4000 so it is")
}

func TestPing(t *testing.T) {
	url, _ := serve(t, false)
	p := start(t, "-ping", url+"/echo")
	p.err.find(t, "ping: ")
	p.stop()
	p.expect(0, "", "closed: 1000")
}

func TestALineThatCannotBeSent(t *testing.T) {
	url, _ := serve(t, false)
	p := start(t, "-w", "0s", url+"/echo")
	p.write("\xff\n")
	p.stdin.Close()
	p.expect(1, "", "not sent: ")
}

func TestAnOutputThatIsGone(t *testing.T) {
	url, _ := serve(t, false)
	if code := run(t.Context(), []string{"-w", "-1s", url + "/first"}, strings.NewReader(""), gone{}, newOutput()); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }
