package ws_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"echows/ws"
)

// rogue answers handshakes, and then sends and reads what a test likes.
type rogue struct {
	conn net.Conn
	r    *bufio.Reader
	req  *http.Request
}

// serveRogue returns a server's URL, and its connections after their handshakes, whose answers have more header lines.
func serveRogue(t testing.TB, header ...string) (string, <-chan rogue) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns := make(chan rogue, 10)
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patience))
			r := bufio.NewReader(c)
			req, err := http.ReadRequest(r)
			if err != nil {
				continue
			}
			sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			io.WriteString(c, strings.Join(append([]string{
				"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
				"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]),
			}, header...), "\r\n")+"\r\n\r\n")
			conns <- rogue{c, r, req}
		}
	}()
	return "ws://" + l.Addr().String() + "/", conns
}

// closeCode reads frames until the client's close frame, unmasks it, and checks that all are masked.
func (r rogue) closeCode(t *testing.T) uint16 {
	t.Helper()
	for {
		head := make([]byte, 6)
		if _, err := io.ReadFull(r.r, head); err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		if head[1]&0x80 == 0 {
			t.Fatal("a client's frame is not masked")
		}
		payload := make([]byte, head[1]&0x7f)
		io.ReadFull(r.r, payload)
		for i := range payload {
			payload[i] ^= head[2+i%4]
		}
		if head[0] == 0x88 && len(payload) >= 2 {
			return binary.BigEndian.Uint16(payload)
		}
	}
}

// unmasked is a server's frame.
func unmasked(first byte, payload string) string {
	return string([]byte{first, byte(len(payload))}) + payload
}

// A server is held to RFC 6455's rules as a client is.
func TestRulesForServers(t *testing.T) {
	url, conns := serveRogue(t)
	for _, c := range []struct {
		name, sent string
		want       ws.CloseCode
	}{
		{"a masked frame", whole(opText, "x"), ws.CloseProtocolError},
		{"a reserved bit", unmasked(0xc1, "x"), ws.CloseProtocolError},
		{"a reserved opcode", unmasked(0x83, "x"), ws.CloseProtocolError},
		{"a fragmented ping", unmasked(0x09, ""), ws.CloseProtocolError},
		{"text that is not UTF-8", unmasked(0x81, "\xff"), ws.CloseInvalidPayload},
		{"a message that is too long", unmasked(0x01, strings.Repeat("x", 60)) + unmasked(0x80, strings.Repeat("x", 60)), ws.CloseTooBig},
		{"a goodbye", unmasked(0x88, "\x03\xe9"), ws.CloseGoingAway},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dialOurs(t, url, ws.DialConfig{MaxMessage: 100})
			r := wait(t, conns)
			io.WriteString(r.conn, c.sent)
			if got := r.closeCode(t); got != uint16(c.want) {
				t.Errorf("closed with %d", got)
			}
			r.conn.Close()
			if got := wait(t, d.ended); got.code != c.want {
				t.Errorf("ended with %v", got)
			}
		})
	}
}

// Frames are joined, pings between them answered, and what comes with the answer is not lost.
func TestAClientReads(t *testing.T) {
	url, conns := serveRogue(t, "\r\n"+unmasked(0x81, "early")+unmasked(0x01, "o")+unmasked(0x89, "")+unmasked(0x80, "ne")+"\x81\x02")
	d := dialOurs(t, url, ws.DialConfig{})
	wait(t, conns)
	for _, want := range []string{"text early", "text one", "text \r\n"} { // what serveRogue ends the head with
		if got := wait(t, d.got); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The handshake fails if the server accepts what it may not.
func TestAnswersThatAreWrong(t *testing.T) {
	for name, header := range map[string]string{
		"an extension that was not offered":  "Sec-WebSocket-Extensions: permessage-deflate",
		"a subprotocol that was not offered": "Sec-WebSocket-Protocol: v9",
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serveRogue(t, header)
			if _, err := ws.Dial(t.Context(), url, ws.DialConfig{}, nil); err == nil {
				t.Error("was taken")
			}
		})
	}
	url, _ := serveRogue(t, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9")
	if _, err := ws.Dial(t.Context(), url, ws.DialConfig{Compression: ws.CompressionOn}, nil); err == nil || !strings.Contains(err.Error(), "client_max_window_bits") {
		t.Errorf("an unoffered parameter: %v", err)
	}
	long, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	go func() {
		if c, err := long.Accept(); err == nil {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nX: "+strings.Repeat("x", 100<<10))
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	if _, err := ws.Dial(t.Context(), "ws://"+long.Addr().String(), ws.DialConfig{}, nil); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a head without end: %v", err)
	}
}

// A server that does not answer is waited for as long as the context lives.
func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := ws.Dial(ctx, "ws://"+l.Addr().String(), ws.DialConfig{}, nil)
		failed <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if err := wait(t, failed); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
}

// Cookies of a jar go out and come in; the Origin is the server's own, or the one given.
func TestDialSendsABrowsersHeader(t *testing.T) {
	at, conns := serveRogue(t, "Set-Cookie: new=2")
	u, _ := url.Parse(strings.Replace(at, "ws", "http", 1))
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(u, []*http.Cookie{{Name: "old", Value: "1"}})
	dialOurs(t, at, ws.DialConfig{Jar: jar})
	r := wait(t, conns)
	if got := r.req.Header; got.Get("Cookie") != "old=1" || got.Get("Origin") != strings.TrimSuffix(u.String(), "/") {
		t.Errorf("sent %v", got)
	}
	if got := fmt.Sprint(jar.Cookies(u)); got != "[old=1 new=2]" {
		t.Errorf("the jar has %v", got)
	}
	r.conn.Close()
	dialOurs(t, at, ws.DialConfig{Origin: "https://friend.example"})
	r = wait(t, conns)
	if got := r.req.Header.Get("Origin"); got != "https://friend.example" {
		t.Errorf("the origin is %s", got)
	}
	r.conn.Close()
}

// A proxy that speaks CONNECT is gone through, and a refusal of it is said.
func TestDialThroughAProxy(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			req, err := http.ReadRequest(r)
			if err != nil || req.Header.Get("Proxy-Authorization") == "" {
				io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
				c.Close()
				continue
			}
			to, err := net.Dial("tcp", req.Host)
			if err != nil {
				c.Close()
				continue
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { io.Copy(to, r); to.Close() }()
			go func() { io.Copy(c, to); c.Close() }()
		}
	}()
	by := func(user *url.Userinfo) func(*http.Request) (*url.URL, error) {
		return func(*http.Request) (*url.URL, error) {
			return &url.URL{Scheme: "http", User: user, Host: l.Addr().String()}, nil
		}
	}
	d := dialOurs(t, "ws://"+addr+"/echo", ws.DialConfig{Proxy: by(url.UserPassword("ana", "secret"))})
	d.SendText("through")
	if got := wait(t, d.got); got != "text through" {
		t.Errorf("got %q", got)
	}
	if _, err := ws.Dial(t.Context(), "ws://"+addr+"/echo", ws.DialConfig{Proxy: by(nil)}, nil); err == nil || !strings.Contains(err.Error(), "407") {
		t.Errorf("got %v", err)
	}
}

// FuzzServer: whatever a server sends after its handshake, the client ends the connection in whole, masked frames.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{unmasked(0x81, "Hello"), unmasked(0x01, "a") + unmasked(0x80, "b"), unmasked(0x88, "\x03\xe8"), unmasked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), whole(opText, "x"), "\x81\x7f\xff"} {
		f.Add([]byte(seed))
	}
	url, conns := serveRogue(f, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	f.Fuzz(func(t *testing.T, sent []byte) {
		ended := make(chan struct{})
		_, err := ws.Dial(t.Context(), url, ws.DialConfig{Compression: ws.CompressionOn, MaxMessage: 1 << 16}, func(s *ws.Socket) error {
			s.OnClose(func(ws.CloseCode, string) { close(ended) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r := wait(t, conns)
		go func() { // ends with the connection
			r.conn.Write(sent)
			r.conn.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(io.Discard, r.r)
		r.conn.Close()
		wait(t, ended)
	})
}

func TestDialWithNonsense(t *testing.T) {
	at, _ := serveRogue(t)
	if _, err := ws.Dial(t.Context(), at, ws.DialConfig{Subprotocols: []string{"a\r\nX-Injected: yes"}}, nil); err == nil {
		t.Error("a subprotocol with a line end was sent")
	}
	d := dialOurs(t, at, ws.DialConfig{CloseTimeout: time.Millisecond})
	if d.Broadcast(ws.Message{Opcode: ws.Text}) == nil {
		t.Error("a dialed socket broadcast")
	}
}
