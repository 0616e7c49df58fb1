package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// The addresses that clients come from.
const (
	badAddress  = "" // what the system takes: 127.0.0.1
	goodAddress = "127.0.0.3"
	newAddress  = "127.0.0.2"
)

// patience is how long a good client waits for anything.
const patience = 5 * time.Second

// visitor is where clients come from and go to.
type visitor struct {
	addr string // the server's
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	http *http.Client
}

func newVisitor(addr, from string) *visitor {
	d := &net.Dialer{Timeout: 2 * patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	transport := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 1000, DisableCompression: true}
	return &visitor{addr, d.DialContext, &http.Client{Transport: transport, Timeout: 6 * patience}}
}

// statusError is a request that was refused.
type statusError int

func (e statusError) Error() string { return "HTTP " + strconv.Itoa(int(e)) }

// connectError is a CONNECT that was refused.
type connectError string

func (e connectError) Error() string { return "CONNECT_ERROR " + string(e) }

// connectErrorOf reads the packet, whose payload may come after a namespace.
func connectErrorOf(packet []byte) connectError {
	var why struct{ Message string }
	if i := bytes.IndexByte(packet, '{'); i > 0 {
		json.Unmarshal(packet[i:], &why) // an empty message says as much as the error
	}
	return connectError(why.Message)
}

// open opens a WebSocket.
func (v *visitor) open(ctx context.Context, path string) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDialContext: v.dial, HandshakeTimeout: 2 * patience, ReadBufferSize: 4096, WriteBufferSize: 4096}
	conn, res, err := d.DialContext(ctx, "ws://"+v.addr+path, nil)
	if res != nil && err != nil {
		err = statusError(res.StatusCode)
	}
	return conn, err
}

// socketPath is where a Socket.IO session begins on a WebSocket, and pollPath where it begins by polling.
const (
	socketPath = "/socket.io/?EIO=4&transport=websocket"
	pollPath   = "/socket.io/?EIO=4&transport=polling"
)

// connect opens a Socket.IO connection over a WebSocket, in no namespace yet.
func (v *visitor) connect(ctx context.Context) (*websocket.Conn, error) {
	conn, err := v.open(ctx, socketPath)
	if err != nil {
		return nil, err
	}
	if err := expect(conn, "0{"); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// enter opens one that is connected to the namespace "/".
func (v *visitor) enter(ctx context.Context, name string) (*websocket.Conn, error) {
	conn, err := v.connect(ctx)
	if err != nil {
		return nil, err
	}
	err = say(conn, connectPacket("/", name))
	if err == nil {
		err = expect(conn, `40{"sid"`)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// connectPacket asks for a namespace.
func connectPacket(namespace, name string) string {
	if namespace == "/" {
		namespace = ""
	} else {
		namespace += ","
	}
	return fmt.Sprintf(`40%s{"name":"%s"}`, namespace, name)
}

func say(conn *websocket.Conn, text string) error {
	return conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// expect reads packets until one begins as expected.
func expect(conn *websocket.Conn, begin string) error {
	return listen(conn, func(m []byte) bool { return bytes.HasPrefix(m, []byte(begin)) })
}

// listen reads packets until enough says so, and answers Engine.IO's pings.
func listen(conn *websocket.Conn, enough func([]byte) bool) error {
	for {
		_, m, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		switch {
		case string(m) == "2":
			if err := say(conn, "3"); err != nil {
				return err
			}
		case bytes.HasPrefix(m, []byte("44")):
			return connectErrorOf(m)
		case enough(m):
			return nil
		}
	}
}

// begin begins a Socket.IO session by polling, and returns the path of its requests.
func (v *visitor) begin(ctx context.Context) (string, error) {
	body, err := v.ask(ctx, http.MethodGet, pollPath, "", nil)
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(body), `"sid":"`)
	sid, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return "", fmt.Errorf("got %q instead of the open packet", body)
	}
	return pollPath + "&sid=" + sid, nil
}

// ask makes a request and returns the answer's body.
func (v *visitor) ask(ctx context.Context, method, path, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+v.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if len(body) > 0 && body[0] == '{' {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = statusError(res.StatusCode)
	}
	return answer, err
}
