package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// serveXNet serves the thirty lines, and returns the address and the room.
func serveXNet(t *testing.T) (address string, r *room) {
	e, r := newServer()
	return serve(t, e), r
}

// serveWS serves the same chat with ws.
func serveWS(t *testing.T, cfg ws.Config) (address string) {
	e := echo.New()
	cfg.Logger = slog.New(slog.DiscardHandler)
	app := ws.New(e, cfg)
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(s.Broadcast)
		return nil
	})
	return serve(t, e)
}

func serve(t *testing.T, e *echo.Echo) string {
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// wire is the other end of a connection, in bytes.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// shake asks for an upgrade, as a page of origin, and returns the status of the answer.
func shake(t *testing.T, address, origin string) (*wire, int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address, origin)
	w := &wire{t, conn, bufio.NewReader(conn)}
	conn.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w, response.StatusCode
}

// open connects as a page of the server's own.
func open(t *testing.T, address string) *wire {
	t.Helper()
	w, status := shake(t, address, "http://"+address)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("the server answers %d", status)
	}
	return w
}

// The first byte of a frame: whether it is the last of its message, and what it is.
const (
	fin          = 0x80
	continuation = 0x0
	text         = 0x1
	closing      = 0x8
)

// send writes a frame, masked with zeros, as a client has to mask.
func (w *wire) send(first byte, payload string) {
	w.t.Helper()
	frame := []byte{first, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload))}
	if len(payload) < 126 {
		frame = []byte{first, 0x80 | byte(len(payload))}
	}
	frame = append(frame, 0, 0, 0, 0)
	w.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write(append(frame, payload...)); err != nil {
		w.t.Fatal(err)
	}
}

// next reads a frame, and describes it: "text Hello", "ping", "close 1000", or "the end" of the connection. Nothing until the
// deadline is "nothing".
func (w *wire) next(deadline time.Duration) string {
	w.t.Helper()
	w.conn.SetReadDeadline(time.Now().Add(deadline))
	var header [2]byte
	if _, err := io.ReadFull(w.in, header[:]); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return "nothing"
		}
		return "the end"
	}
	length := int(header[1])
	if length == 126 {
		var more [2]byte
		io.ReadFull(w.in, more[:])
		length = int(binary.BigEndian.Uint16(more[:]))
	}
	payload := make([]byte, length)
	w.conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(w.in, payload); err != nil {
		w.t.Fatal(err)
	}
	name := map[byte]string{text: "text", closing: "close", 0x9: "ping", 0xa: "pong"}[header[0]&0xf]
	if name == "close" && len(payload) >= 2 {
		return fmt.Sprint("close ", binary.BigEndian.Uint16(payload))
	}
	return strings.TrimSpace(name + " " + string(payload))
}

// wants fails the test if other frames come.
func (w *wire) wants(frames ...string) {
	w.t.Helper()
	for _, want := range frames {
		if got := w.next(patience); got != want {
			w.t.Fatalf("got %.40q, want %.40q", got, want)
		}
	}
}
