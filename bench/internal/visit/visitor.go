// Package visit is a client for everything that the server does: WebSockets, Socket.IO over WebSockets and by polling, and
// the chat. Good and bad clients are built on it.
package visit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Patience is how long a good client waits for anything.
const Patience = 5 * time.Second

// Visitor says where clients come from and connect to. All have one address.
type Visitor struct {
	Addr string // the server's
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	HTTP *http.Client
}

// New returns a visitor with an address of this machine, such as 127.0.0.2; "" means the system's choice, 127.0.0.1. A
// pace bounds what its connections write; nil means no bound.
func New(addr, from string, pace *Pace) *Visitor {
	d := &net.Dialer{Timeout: 2 * Patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	dial := pace.dial(d)
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1000, DisableCompression: true}
	return &Visitor{addr, dial, &http.Client{Transport: transport, Timeout: 6 * Patience}}
}

// Close closes idle connections.
func (v *Visitor) Close() { v.HTTP.CloseIdleConnections() }

// Open opens a WebSocket.
func (v *Visitor) Open(ctx context.Context, path string) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDialContext: v.Dial, HandshakeTimeout: 2 * Patience, ReadBufferSize: 4096, WriteBufferSize: 4096}
	conn, res, err := d.DialContext(ctx, "ws://"+v.Addr+path, nil)
	if res != nil && err != nil {
		err = StatusError(res.StatusCode)
	}
	return conn, err
}

// PollPath is where a Socket.IO session begins by polling, and socketPath where it begins over a WebSocket.
const (
	PollPath   = "/socket.io/?EIO=4&transport=polling"
	socketPath = "/socket.io/?EIO=4&transport=websocket"
)

// Connect opens a Socket.IO connection over a WebSocket, in no namespace yet.
func (v *Visitor) Connect(ctx context.Context) (*websocket.Conn, error) {
	conn, err := v.Open(ctx, socketPath)
	if err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(2 * Patience))
	if err := Expect(conn, "0{"); err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetReadDeadline(time.Time{})
	return conn, nil
}

// Enter opens a Socket.IO connection over a WebSocket that is connected to the namespace "/".
func (v *Visitor) Enter(ctx context.Context, name string) (*websocket.Conn, error) {
	conn, err := v.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(2 * Patience))
	err = Say(conn, ConnectPacket("/", name))
	if err == nil {
		err = Expect(conn, `40{"sid"`)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetReadDeadline(time.Time{})
	return conn, nil
}

// ConnectPacket returns the CONNECT packet for a namespace.
func ConnectPacket(namespace, name string) string {
	if namespace == "/" {
		namespace = ""
	} else {
		namespace += ","
	}
	return fmt.Sprintf(`40%s{"name":"%s"}`, namespace, name)
}

// Say sends a packet.
func Say(conn *websocket.Conn, text string) error {
	return conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// Expect reads packets until one begins as expected.
func Expect(conn *websocket.Conn, begin string) error {
	return Listen(conn, func(m []byte) bool { return bytes.HasPrefix(m, []byte(begin)) })
}

// Listen reads packets until enough says so, and answers Engine.IO's pings.
func Listen(conn *websocket.Conn, enough func([]byte) bool) error {
	for {
		_, m, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		switch {
		case string(m) == "2":
			if err := Say(conn, "3"); err != nil {
				return err
			}
		case bytes.HasPrefix(m, []byte("44")):
			return ConnectErrorOf(m)
		case enough(m):
			return nil
		}
	}
}

// Begin begins a Socket.IO session by polling, and returns the path of its requests.
func (v *Visitor) Begin(ctx context.Context) (string, error) {
	body, err := v.Ask(ctx, http.MethodGet, PollPath, "", nil)
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(body), `"sid":"`)
	sid, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return "", fmt.Errorf("got %q instead of the open packet", body)
	}
	return PollPath + "&sid=" + sid, nil
}

// Ask makes a request and returns the answer's body.
func (v *Visitor) Ask(ctx context.Context, method, path, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+v.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if len(body) > 0 && body[0] == '{' {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := v.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = StatusError(res.StatusCode)
	}
	return answer, err
}
