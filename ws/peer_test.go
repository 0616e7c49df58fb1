package ws_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// patience bounds every wait for something that should come at once.
const patience = time.Minute

// serve starts a real server on port 0, with the routes that setup adds, and shuts it down with the test.
func serve(t testing.TB, cfg ws.Config, setup func(e *echo.Echo, app *ws.App)) (*ws.App, string) {
	t.Helper()
	return serveOn(t, cfg, nil, setup)
}

func serveOn(t testing.TB, cfg ws.Config, wrap func(net.Listener) net.Listener, setup func(e *echo.Echo, app *ws.App)) (*ws.App, string) {
	t.Helper()
	if cfg.PingInterval == 0 {
		cfg.PingInterval = time.Hour // no pings among what a test expects
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = patience // a busy machine's peer may read, and answer a close frame, late
	}
	if cfg.CloseTimeout == 0 {
		cfg.CloseTimeout = patience
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	app := ws.New(e, cfg)
	setup(e, app)
	server := httptest.NewUnstartedServer(e)
	if wrap != nil {
		server.Listener = wrap(server.Listener)
	}
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return app, server.Listener.Addr().String()
}

func echoBack(s *ws.Socket, c echo.Context) error {
	s.OnMessage(s.Send)
	return nil
}

func echoRoute(e *echo.Echo, app *ws.App) { app.WS("/echo", echoBack) }

// peer is a client that sends whatever bytes a test likes.
type peer struct {
	t      testing.TB
	conn   net.Conn
	r      *bufio.Reader
	answer *http.Response // to the handshake
}

// dial connects and shakes hands; header lines are added to the request.
func dial(t testing.TB, addr, path string, header ...string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return shake(t, conn, path, header...)
}

func shake(t testing.TB, conn net.Conn, path string, header ...string) *peer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	p := &peer{t: t, conn: conn, r: bufio.NewReader(conn)}
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, request(path, header...))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake answered with %s", res.Status)
	}
	p.answer = res
	return p
}

func request(path string, header ...string) string {
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func (p *peer) send(frames ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, strings.Join(frames, "")); err != nil {
		p.t.Fatal(err)
	}
}

// received is a frame as it came.
type received struct {
	first   byte // FIN, RSV1–3, opcode; 0 where there was none
	payload string
	silent  bool // nothing came in time
}

// frame reads a frame.
func (p *peer) frame() received {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		err, ok := err.(net.Error)
		return received{silent: ok && err.Timeout()}
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		io.ReadFull(p.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		io.ReadFull(p.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(p.r, payload); err != nil {
		return received{}
	}
	return received{first: head[0], payload: string(payload)}
}

// next reads a frame and says what it is: "text Hello", "pong x", "close 1002", "frame …" for one without
// FIN or with a reserved bit, or "end" where the connection ends.
func (p *peer) next() string {
	f := p.frame()
	kind := map[byte]string{0x81: "text ", 0x82: "binary ", 0x88: "close ", 0x89: "ping ", 0x8a: "pong "}[f.first]
	switch {
	case f.silent:
		return "silence"
	case f.first == 0:
		return "end"
	case kind == "":
		return fmt.Sprintf("frame %08b %q", f.first, f.payload)
	case kind == "close " && len(f.payload) >= 2:
		return strings.TrimSuffix(kind+strconv.Itoa(int(binary.BigEndian.Uint16([]byte(f.payload))))+" "+f.payload[2:], " ")
	case f.payload == "":
		return strings.TrimSuffix(kind, " ")
	}
	return kind + f.payload
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); got != w {
			p.t.Fatalf("got %.200q, want %.200q", got, w)
		}
	}
}

// expectClose expects a close frame with the code, whatever its reason, and then the end.
func (p *peer) expectClose(code ws.CloseCode) {
	p.t.Helper()
	got := p.next()
	if want := fmt.Sprintf("close %d", code); got != want && !strings.HasPrefix(got, want+" ") {
		p.t.Fatalf("got %.200q, want %q", got, want)
	}
	p.expect("end")
}

// key is the mask of all frames in these tests.
const key = "\x37\xfa\x21\x3d"

func masked(payload string) string {
	b := []byte(payload)
	for i := range b {
		b[i] ^= key[i%4]
	}
	return string(b)
}

// frame builds a frame from its drawn header and its payload, which it masks if the header says so:
//
//	FIN
//	| RSV
//	| |   opcode  MASK
//	| |   |       | length
//	1 000 0001    1 0000101
func frame(bits, payload string) string {
	bits = strings.ReplaceAll(bits, " ", "")
	if len(bits)%8 != 0 {
		panic("a header is whole bytes: " + bits)
	}
	var b []byte
	for i := 0; i < len(bits); i += 8 {
		n, err := strconv.ParseUint(bits[i:i+8], 2, 8)
		if err != nil {
			panic(err)
		}
		b = append(b, byte(n))
	}
	if b[1]&0x80 == 0 {
		return string(b) + payload
	}
	return string(b) + key + masked(payload)
}

// whole builds an ordinary frame with FIN, masked, its length in the shortest form.
func whole(opcode byte, payload string) string { return build(0x80|opcode, payload) }

// part builds one without FIN.
func part(opcode byte, payload string) string { return build(opcode, payload) }

func build(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(b) + key + masked(payload)
}

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// closing is a client's close frame.
func closing(code uint16, reason string) string {
	return whole(opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// wait waits for a value.
func wait[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// eventually waits until ok, which nothing announces.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	if !comes(ok) {
		t.Fatal("waited in vain")
	}
}

// comes is like eventually, but returns false if it waited in vain, so that any goroutine may call it.
func comes(ok func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// drip is a listener whose connections give twenty bytes one at a time, and then some at once, again and again.
type drip struct{ net.Listener }

func (d drip) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	return &dripConn{Conn: c}, err
}

type dripConn struct {
	net.Conn
	reads int
}

func (c *dripConn) Read(p []byte) (int, error) {
	if c.reads++; c.reads%20 != 0 {
		p = p[:min(1, len(p))]
	}
	return c.Conn.Read(p)
}

func (c *dripConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }
