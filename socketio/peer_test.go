package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

// peer is a WebSocket client that sends and receives packets.
type peer struct {
	t    testing.TB
	conn *websocket.Conn
}

// dial opens a connection and reads the handshake.
func (s *server) dial() *peer {
	s.t.Helper()
	conn, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	p := &peer{s.t, conn}
	if hello := p.read(); hello[0] != '0' {
		s.t.Fatalf("the handshake is %s", hello)
	}
	return p
}

// open opens a connection. Any goroutine may call it.
func (s *server) open() (*websocket.Conn, error) {
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?EIO=4&transport=websocket", "", s.url)
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// connect dials, connects to the namespace "/" and returns the socket's id.
func (s *server) connect() (*peer, string) {
	s.t.Helper()
	p := s.dial()
	p.send("40")
	return p, p.sid("40")
}

func (p *peer) send(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := websocket.Message.Send(p.conn, text); err != nil {
			p.t.Fatal(err)
		}
	}
}

// read returns the next packet that is not a ping, and answers pings.
func (p *peer) read() string {
	p.t.Helper()
	for {
		var text string
		if err := websocket.Message.Receive(p.conn, &text); err != nil {
			p.t.Fatal(err)
		}
		if text != "2" {
			return text
		}
		p.send("3")
	}
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, text := range want {
		if got := p.read(); got != text {
			p.t.Errorf("got %q, want %q", got, text)
		}
	}
}

// sid reads the answer to CONNECT.
func (p *peer) sid(prefix string) string {
	p.t.Helper()
	text := p.read()
	var answer map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, prefix)), &answer); err != nil || answer["sid"] == "" || len(answer) != 1 {
		p.t.Fatalf("CONNECT is answered with %s", text)
	}
	return answer["sid"]
}

func (p *peer) expectClosed() {
	p.t.Helper()
	for {
		var text string
		if err := websocket.Message.Receive(p.conn, &text); err != nil {
			if !errors.Is(err, io.EOF) {
				p.t.Errorf("it ends with %v", err)
			}
			return
		}
	}
}

func echoAll(s *socketio.Socket) error {
	s.OnAny(func(e socketio.Event) error {
		args := []any{}
		for _, arg := range e.Args {
			args = append(args, arg)
		}
		if e.WantsAck() {
			return e.Ack(args...)
		}
		return s.Emit(e.Name, args...)
	})
	return nil
}

// call makes a request of a polling client, without a network, so that it works under a fake clock.
func (s *server) call(method, sid, body string) string {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, method, "/socket.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(body))
	if s.address != "" {
		req.RemoteAddr = s.address
	}
	res := httptest.NewRecorder()
	s.echo.ServeHTTP(res, req)
	return res.Body.String()
}

// openCall opens a polling session and returns its id. Any goroutine may call it.
func (s *server) openCall() string {
	s.t.Helper()
	var hello struct{ SID string }
	if got := s.call("GET", "", ""); json.Unmarshal([]byte(got[1:]), &hello) != nil || hello.SID == "" {
		s.t.Errorf("the handshake is %s", got)
	}
	return hello.SID
}

// disconnects collects reasons.
func disconnects(n *socketio.Namespace) chan string {
	reasons := make(chan string, 100)
	n.OnConnect(func(s *socketio.Socket) error {
		s.OnDisconnect(func(reason string) { reasons <- reason })
		return nil
	})
	return reasons
}

// caller is a polling client in the namespace "/", without a network.
type caller struct {
	*server
	session, sid, pid string
}

// caller opens a session, sends CONNECT with a payload, and returns the client and what came with the answer.
func (s *server) caller(auth string) (c *caller, more []string) {
	s.t.Helper()
	c = &caller{server: s, session: s.openCall()}
	c.post("40" + auth)
	more = c.get()
	var answer struct{ SID, PID string }
	if json.Unmarshal([]byte(more[0][2:]), &answer) != nil || answer.SID == "" {
		s.t.Fatalf("CONNECT is answered with %s", more[0])
	}
	c.sid, c.pid = answer.SID, answer.PID
	return c, more[1:]
}

// post sends packets. Any goroutine may call it, and get.
func (c *caller) post(packets ...string) {
	c.t.Helper()
	if got := c.call("POST", c.session, strings.Join(packets, "\x1e")); got != "ok" {
		c.t.Errorf("%q is answered with %s", packets, got)
	}
}

// get polls until something arrives, and returns it without pings.
func (c *caller) get() []string {
	c.t.Helper()
	for {
		packets := strings.Split(c.call("GET", c.session, ""), "\x1e")
		if packets = slices.DeleteFunc(packets, func(text string) bool { return text == "2" }); len(packets) > 0 {
			return packets
		}
		c.post("3")
	}
}

// offset returns the offset of the last event that waits to be polled.
func (c *caller) offset() string {
	c.t.Helper()
	packets := c.get()
	text := packets[len(packets)-1]
	var event []any
	if json.Unmarshal([]byte(text[2:]), &event) != nil {
		c.t.Fatalf("%s is no event", text)
	}
	return event[len(event)-1].(string)
}

// lose ends the connection, and waits until the server knows.
func (c *caller) lose() {
	c.t.Helper()
	ctx := c.io.Socket(c.sid).Context()
	c.post("1")
	<-ctx.Done()
}

// breakOff ends a GET before its answer comes.
func (c *caller) breakOff() {
	req := httptest.NewRequestWithContext(ended(c.t), "GET", "/socket.io/?EIO=4&transport=polling&sid="+c.session, nil)
	c.echo.ServeHTTP(httptest.NewRecorder(), req)
}

// ended returns a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// back connects again as the same client, with an offset if it has one.
func (c *caller) back(offset string) (again *caller, more []string) {
	c.t.Helper()
	said := fmt.Sprintf(`{"pid":%q}`, c.pid)
	if offset != "" {
		said = fmt.Sprintf(`{"pid":%q,"offset":%q}`, c.pid, offset)
	}
	return c.caller(said)
}
