package tests

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"echows/internal/certtest"
	"echows/internal/programtest"
)

// leaver is a client that leaves in the middle of something.
type leaver struct {
	t   *testing.T
	raw *net.TCPConn
	net.Conn
	in *bufio.Reader
}

func newLeaver(t *testing.T, url string, secure *tls.Config) *leaver {
	t.Helper()
	_, host, _ := strings.Cut(url, "://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &leaver{t: t, raw: conn.(*net.TCPConn), Conn: conn}
	if secure != nil {
		l.Conn = tls.Client(conn, secure)
	}
	l.SetDeadline(time.Now().Add(programtest.Patience))
	l.in = bufio.NewReader(l.Conn)
	return l
}

// write writes text, and ignores errors, as the server may have closed the connection.
func (l *leaver) write(format string, args ...any) { fmt.Fprintf(l.Conn, format, args...) }

// await reads up to the end of the first line that contains text.
func (l *leaver) await(text string) string {
	l.t.Helper()
	for {
		line, err := l.in.ReadString('\n')
		if strings.Contains(line, text) {
			return line
		}
		if err != nil {
			l.t.Fatalf("no %q, but %q: %v", text, line, err)
		}
	}
}

// ask sends a request's header, and part of its body.
func (l *leaver) ask(request, header string, length int, part string) {
	l.write("%s HTTP/1.1\r\nHost: a\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", request, header, length, part)
}

const hello = `40{"name":"bea"}` // to the namespace "/"

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// socket opens a WebSocket and sends messages.
func (l *leaver) socket(path string, messages ...string) {
	l.t.Helper()
	l.write("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, upgrade)
	l.await("101")
	for _, text := range messages {
		l.write("%s", maskedFrame(text))
	}
}

// maskedFrame returns a text frame with a mask of zeros.
func maskedFrame(text string) string {
	frame := []byte{0x81, 0x80 | byte(len(text))}
	switch n := len(text); {
	case n > 0xffff:
		frame = binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, uint64(n))
	case n > 125:
		frame = binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(n))
	}
	return string(append(frame, 0, 0, 0, 0)) + text
}

// session begins a Socket.IO session by polling, connects to the namespace "/", and returns the session's URL.
func (l *leaver) session() string {
	l.t.Helper()
	const path = "/socket.io/?EIO=4&transport=polling"
	l.ask("GET "+path, "", 0, "")
	l.await("\r\n")
	answer := make([]byte, 200)
	var sid string
	for all := ""; sid == ""; {
		n, err := l.in.Read(answer)
		if err != nil {
			l.t.Fatal(err)
		}
		all += string(answer[:n])
		if _, rest, ok := strings.Cut(all, `"sid":"`); ok {
			sid, _, _ = strings.Cut(rest, `"`)
		}
	}
	url := path + "&sid=" + sid
	l.ask("POST "+url, "", len(hello), hello)
	l.await("200")
	return url
}

// Clients may leave in the middle of anything: no error is logged, the log has nothing that they sent, and no socket counts as
// ended by a server error.
func TestWhoeverLeaves(t *testing.T) {
	const secret = "marker-of-a-text"
	long := strings.Repeat("x", 1<<20)
	event := `421["message",{"text":"` + secret + `"}]`
	cert, key, pool := certtest.Files(t)
	for _, over := range []struct {
		name   string
		args   []string
		secure *tls.Config
	}{
		{"plain", nil, nil},
		{"TLS", []string{"-tls-cert", cert, "-tls-key", key}, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}},
	} {
		t.Run(over.name, func(t *testing.T) {
			p := programtest.Start(t, append(over.args, "-log-level", "debug", "-address-posts", "0", "-post-rate", "1000", "-sync", "1s")...)
			client := http.DefaultClient
			defer func() { http.DefaultClient = client }()
			http.DefaultClient = &http.Client{Transport: &http.Transport{TLSClientConfig: over.secure}}
			defer http.DefaultClient.CloseIdleConnections()
			ana := signIn(t, p.URL, "ana")
			auth := "Authorization: Bearer " + ana.token + "\r\n"
			body := `{"id":"1","text":"` + secret + `"}`
			post := `{"type":"post",` + body[1:]
			for name, do := range map[string]func(l *leaver){
				"before it said anything":       func(l *leaver) {},
				"within a header":               func(l *leaver) { l.write("GET / HTTP/1.1\r\nHost: a\r\n") },
				"before a page":                 func(l *leaver) { l.ask("GET /", "", 0, "") },
				"within a file":                 func(l *leaver) { l.ask("GET /socket.io/socket.io.js", "", 0, ""); l.await("200") },
				"before the metrics":            func(l *leaver) { l.ask("GET /metrics", "", 0, "") },
				"within a sign-in":              func(l *leaver) { l.ask("POST /session", "", 100, `{"name":"`+secret) },
				"within a request for a ticket": func(l *leaver) { l.ask("POST /ticket", auth, 100, "{") },
				"within a post":                 func(l *leaver) { l.ask("POST /chat/lobby/messages", auth, 100, body[:30]) },
				"behind a post":                 func(l *leaver) { l.ask("POST /chat/lobby/messages", auth, len(body), body) },
				"before older messages":         func(l *leaver) { l.ask("GET /chat/lobby/messages", auth, 0, "") },
				"within an upgrade":             func(l *leaver) { l.write("GET /ws HTTP/1.1\r\n%s", upgrade) },
				"behind an upgrade":             func(l *leaver) { l.write("GET /ws HTTP/1.1\r\nHost: a\r\n%s\r\n", upgrade) },
				"within a frame":                func(l *leaver) { l.socket("/ws"); l.write("%s", maskedFrame(secret)[:12]) },
				"behind a message":              func(l *leaver) { l.socket("/ws", secret) },
				"behind a close frame":          func(l *leaver) { l.socket("/ws", secret); l.write("\x88\x80\x00\x00\x00\x00") },
				"while it is written to":        func(l *leaver) { l.socket("/ws/echo", long, long, long); l.in.ReadByte() },
				"while all are written to":      func(l *leaver) { l.socket("/ws/broadcast", long, long) },
				"behind an upgrade of a room": func(l *leaver) {
					l.write("GET /ws/chat/lobby?ticket=%s HTTP/1.1\r\nHost: a\r\n%s\r\n", ana.ticket(), upgrade)
				},
				"within a history":               func(l *leaver) { l.socket("/ws/chat/lobby?ticket=" + ana.ticket()) },
				"behind posts":                   func(l *leaver) { l.socket("/ws/chat/lobby?ticket="+ana.ticket(), post, post, post) },
				"behind a session":               func(l *leaver) { l.session() },
				"while it polls":                 func(l *leaver) { l.ask("GET "+l.session(), "", 0, "") },
				"within a POST":                  func(l *leaver) { l.ask("POST "+l.session(), "", 100, event[:30]) },
				"behind a POST":                  func(l *leaver) { l.ask("POST "+l.session(), "", len(event), event) },
				"behind a probe":                 func(l *leaver) { l.probe("2probe") },
				"as it goes over":                func(l *leaver) { l.probe("2probe", "5") },
				"behind a WebSocket's namespace": func(l *leaver) { l.socket("/socket.io/?EIO=4&transport=websocket", hello) },
				"behind events":                  func(l *leaver) { l.socket("/socket.io/?EIO=4&transport=websocket", hello, event, event) },
				"before an attachment": func(l *leaver) {
					l.socket("/socket.io/?EIO=4&transport=websocket", hello, `451-["message",{"_placeholder":true,"num":0}]`)
				},
			} {
				for i := range 4 {
					t.Run(name, func(t *testing.T) {
						l := newLeaver(t, p.URL, over.secure)
						do(l)
						if i%2 == 0 {
							l.raw.SetLinger(0) // so that Close resets the connection
						}
						l.raw.Close()
					})
				}
			}
			if _, numbers := programtest.Get(t, p.URL+"/metrics"); !strings.Contains(numbers, `echows_closes_total{code="1011"} 0`) {
				t.Error("the server says that it failed (1011)")
			}
			p.End()
			for line := range strings.Lines(p.Log.String()) {
				for _, bad := range []string{"level=WARN", "level=ERROR", "failed to", "1011", secret, "xxxx", ana.token[strings.LastIndexByte(ana.token, '.'):], "ticket="} {
					if strings.Contains(line, bad) && !strings.Contains(line, "did not end in time") { // the shutdown may log this
						t.Errorf("%s is in the log: %s", bad, line)
					}
				}
				if about := strings.Contains(line, "remote=") && !strings.Contains(line, "refused"); about && !strings.Contains(line, " id=") {
					t.Errorf("no id is in the log: %s", line)
				}
			}
		})
	}
}

// probe begins a session on another connection, and begins to upgrade it to a WebSocket on this one.
func (l *leaver) probe(messages ...string) {
	l.t.Helper()
	var secure *tls.Config
	if _, ok := l.Conn.(*tls.Conn); ok {
		secure = &tls.Config{InsecureSkipVerify: true}
	}
	other := newLeaver(l.t, "tcp://"+l.raw.RemoteAddr().String(), secure)
	l.socket(strings.Replace(other.session(), "polling", "websocket", 1), messages...)
}
