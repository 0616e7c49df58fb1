package engineio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"
	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the timeout of every wait.
const patience = time.Minute

// server is an echo server, as the protocol's test suite requires.
type server struct {
	t      testing.TB
	echo   *echo.Echo
	app    *ws.App
	engine *engineio.Server
	url    string
	ended  chan string // reasons

	address string // the client's address in call

	onMessage func(*engineio.Session, ws.Message) error // replaces the echo

	mu       sync.Mutex
	sessions map[string]*engineio.Session
}

func newServer(t testing.TB, cfg engineio.Config) *server {
	return newServerOn(t, ws.Config{Origins: cfg.Origins}, cfg)
}

func newServerOn(t testing.TB, app ws.Config, cfg engineio.Config) *server {
	quiet := slog.New(slog.DiscardHandler)
	app.Logger = quiet
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	s := &server{t: t, echo: echo.New(), ended: make(chan string, 10_000), sessions: map[string]*engineio.Session{}}
	s.echo.IPExtractor = echo.ExtractIPDirect()
	s.echo.Logger.SetOutput(io.Discard)
	s.app = ws.New(s.echo, app)
	s.engine = engineio.New(s.app, "/engine.io/", cfg, func(one *engineio.Session) {
		s.mu.Lock()
		s.sessions[one.ID()] = one
		s.mu.Unlock()
		one.OnMessage(func(m ws.Message) error {
			if s.onMessage != nil {
				return s.onMessage(one, m)
			}
			if m.IsText() && string(m.Data) == "fail" {
				return errors.New("failed")
			}
			return one.Send(m)
		})
		one.OnClose(func(reason string) { s.ended <- reason })
	})
	return s
}

func start(t testing.TB, cfg engineio.Config) *server {
	t.Helper()
	return newServer(t, cfg).start()
}

// start serves on a real port until the test ends.
func (s *server) start() *server {
	t := s.t
	h := httptest.NewServer(s.echo)
	s.url = h.URL + "/engine.io/"
	t.Cleanup(func() {
		s.engine.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.app.Shutdown(ctx)
		h.Close()
		http.DefaultClient.CloseIdleConnections()
		if n := s.engine.Len(); n > 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	return s
}

// quiet returns a logger that discards everything.
func (s *server) quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// base returns the server's URL without a path.
func (s *server) base() string { return strings.TrimSuffix(s.url, "/engine.io/") }

// request sends a request. Any goroutine may call it: if it fails, the test has an error, and the status is 0.
func (s *server) request(method, query, body string, header ...string) (int, string, http.Header) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+"?"+query, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0, "", nil
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Error(err)
		return 0, "", nil
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(data), res.Header
}

// open begins a session with a GET and returns its id.
func (s *server) open() string {
	s.t.Helper()
	status, body, _ := s.request("GET", "EIO=4&transport=polling", "")
	if status != 200 || body[0] != '0' {
		s.t.Fatalf("%d %s", status, body)
	}
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(body[1:]), &hello); err != nil || hello.SID == "" {
		s.t.Fatalf("%s: %v", body, err)
	}
	return hello.SID
}

func (s *server) poll(sid string) (int, string) {
	s.t.Helper()
	status, body, _ := s.request("GET", "EIO=4&transport=polling&sid="+sid, "")
	return status, body
}

func (s *server) post(sid, body string) (int, string) {
	s.t.Helper()
	status, answer, _ := s.request("POST", "EIO=4&transport=polling&sid="+sid, body)
	return status, answer
}

func (s *server) expectPoll(sid string, status int, body string) {
	s.t.Helper()
	if gotStatus, got := s.poll(sid); gotStatus != status || body != "" && got != body {
		s.t.Errorf("GET: %d %q, want %d %q", gotStatus, got, status, body)
	}
}

func (s *server) expectEnd(reason string) {
	s.t.Helper()
	select {
	case got := <-s.ended:
		if got != reason {
			s.t.Errorf("the session ended with %q, want %q", got, reason)
		}
	case <-time.After(patience):
		s.t.Fatalf("the session does not end with %q", reason)
	}
}

// eventually waits until ok returns true, which nothing announces.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

func (s *server) dial(query string) *websocket.Conn {
	s.t.Helper()
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"?"+query, "", strings.TrimSuffix(s.url, "/engine.io/"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func expect(t testing.TB, conn *websocket.Conn, want ...string) {
	t.Helper()
	for _, text := range want {
		var got string
		if err := websocket.Message.Receive(conn, &got); err != nil || got != text {
			t.Fatalf("got %d bytes, %.99q, %v; want %d, %.99q", len(got), got, err, len(text), text)
		}
	}
}

func expectClosed(t testing.TB, conn *websocket.Conn) {
	t.Helper()
	for {
		var got string
		if err := websocket.Message.Receive(conn, &got); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is not closed")
			}
			return
		}
	}
}

func TestHandshakes(t *testing.T) {
	s := start(t, engineio.Config{Origins: []string{"*"}})
	status, body, header := s.request("GET", "EIO=4&transport=polling", "")
	var hello map[string]any
	if err := json.Unmarshal([]byte(body[1:]), &hello); err != nil || status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	delete(hello, "sid")
	if got := fmt.Sprint(hello); got != "map[maxPayload:1e+06 pingInterval:25000 pingTimeout:20000 upgrades:[websocket]]" {
		t.Errorf("the handshake says %s", got)
	}
	if header.Get("Content-Type") != "text/plain; charset=UTF-8" || header.Get("Cache-Control") != "no-store" || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("header %v", header)
	}
	var text string
	if err := websocket.Message.Receive(s.dial("EIO=4&transport=websocket"), &text); err != nil || !strings.Contains(text, `"upgrades":[]`) {
		t.Errorf("on WebSocket the handshake says %s, %v", text, err)
	}
	status, _, header = s.request("OPTIONS", "EIO=4&transport=polling", "", "Access-Control-Request-Headers", "x-a")
	if status != 204 || header.Get("Access-Control-Allow-Methods") == "" || header.Get("Access-Control-Allow-Headers") != "x-a" {
		t.Errorf("preflight: %d %v", status, header)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, engineio.Config{Allow: func(r *http.Request) error {
		if r.Header.Get("X-Foe") != "" {
			return errors.New("not you")
		}
		return nil
	}})
	sid := s.open()
	for _, c := range []struct {
		method, query string
		header        []string
		status        int
		body          string
	}{
		{"GET", "EIO=4", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=abc", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=polling&sid=abc", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"PUT", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"OPTIONS", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"DELETE", "EIO=4&transport=polling&sid=" + sid, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=4&transport=websocket", nil, 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=4&transport=websocket&sid=" + sid, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=3&transport=polling&sid=" + sid, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=4&transport=polling", []string{"Origin", "https://foe.example"}, 403, `{"code":4,"message":"Forbidden"}`},
		{"GET", "EIO=4&transport=polling", []string{"X-Foe", "yes"}, 403, `{"code":4,"message":"not you"}`},
		{"GET", "EIO=3&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
	} {
		status, body, header := s.request(c.method, c.query, "", c.header...)
		if status != c.status || body != c.body || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", c.method, c.query, status, body)
		}
	}
	s.expectEcho(sid) // other clients' mistakes do not end the session
}

func (s *server) expectEcho(sid string) {
	s.t.Helper()
	if status, body := s.post(sid, "4still here"); status != 200 || body != "ok" {
		s.t.Errorf("POST: %d %q", status, body)
	}
	s.expectPoll(sid, 200, "4still here")
}

func TestPolling(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	status, body, header := s.request("POST", "EIO=4&transport=polling&sid="+sid, "4one\x1e4two\x1ebAQIDBA==")
	if status != 200 || body != "ok" || header.Get("Content-Type") != "text/html" {
		t.Errorf("POST: %d %q %v", status, body, header)
	}
	s.expectPoll(sid, 200, "4one\x1e4two\x1ebAQIDBA==")

	waiting := make(chan string)
	go func() {
		_, body := s.poll(sid)
		waiting <- body
	}()
	if status, _ := s.post(sid, "4late"); status != 200 {
		t.Errorf("POST: %d", status)
	}
	if got := <-waiting; got != "4late" {
		t.Errorf("GET: %q", got)
	}
}

func TestWhatEndsAPollingSession(t *testing.T) {
	s := start(t, engineio.Config{})
	for _, c := range []struct{ body, reason string }{
		{"abc", engineio.ParseError}, {"", engineio.ParseError}, {"4a\x1e", engineio.ParseError}, {"b%", engineio.ParseError},
		{"2", engineio.TransportError}, {"4fail", engineio.ForcedClose},
	} {
		sid := s.open()
		want := 200
		if c.reason == engineio.ParseError {
			want = 400
		}
		if status, _ := s.post(sid, c.body); status != want {
			t.Errorf("%q: %d, want %d", c.body, status, want)
		}
		s.expectEnd(c.reason)
	}
	sid := s.open() // a POST of bytes
	if status, _, _ := s.request("POST", "EIO=4&transport=polling&sid="+sid, "4a", "Content-Type", "application/octet-stream"); status != 400 {
		t.Errorf("bytes: %d", status)
	}
	s.expectEnd(engineio.TransportError)

	sid = s.open() // two GETs at the same time: the first one gets the close packet
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			status, body := s.poll(sid)
			answers <- fmt.Sprint(status, body)
		}()
	}
	if a, b := <-answers, <-answers; a+b != `2001400{"code":3,"message":"Bad request"}` && b+a != `2001400{"code":3,"message":"Bad request"}` {
		t.Errorf("two GETs: %s and %s", a, b)
	}
	s.expectEnd(engineio.TransportError)
	s.expectPoll(sid, 400, `{"code":1,"message":"Session ID unknown"}`)

	sid = s.open() // an aborted GET
	given, cancel := context.WithCancel(context.Background())
	cancel()
	s.call(given, "GET", "&sid="+sid, "")
	s.expectEnd(engineio.TransportError)
	s.expectPoll(sid, 400, "")
}

func TestALargeBody(t *testing.T) {
	s := start(t, engineio.Config{MaxPayload: 1000})
	sid := s.open()
	if status, _ := s.post(sid, "4"+strings.Repeat("x", 1000)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", status)
	}
	s.expectEcho(sid)
	conn := s.dial("EIO=4&transport=websocket")
	websocket.Message.Send(conn, "4"+strings.Repeat("x", 1000))
	expectClosed(t, conn)
	s.expectEnd(engineio.TransportError)
}

func TestAClientSaysGoodbye(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	s.post(sid, "1")
	s.expectEnd(engineio.TransportClose)
	s.expectPoll(sid, 200, "6") // a late GET
	s.expectPoll(sid, 400, "")

	conn := s.dial("EIO=4&transport=websocket")
	websocket.Message.Send(conn, "1")
	expectClosed(t, conn)
	s.expectEnd(engineio.TransportClose)

	conn = s.dial("EIO=4&transport=websocket")
	conn.Close()
	s.expectEnd(engineio.TransportClose)
}

func TestTheServerSaysGoodbye(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	one := s.sessions[sid]
	one.Send(ws.Message{Opcode: ws.Text, Data: []byte("last words")})
	one.Close()
	s.expectEnd(engineio.ForcedClose)
	s.expectPoll(sid, 200, "4last words")
	s.expectPoll(sid, 200, "1")
	s.expectPoll(sid, 400, "")
	if err := one.Send(ws.Message{Opcode: ws.Text}); !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("send: %v", err)
	}
	ended := make(chan string, 1)
	one.OnClose(func(reason string) { ended <- reason })
	if got := <-ended; got != engineio.ForcedClose {
		t.Errorf("afterwards: %s", got)
	}
}

func TestOnWebSocket(t *testing.T) {
	s := start(t, engineio.Config{})
	conn := s.dial("EIO=4&transport=websocket")
	var hello string
	websocket.Message.Receive(conn, &hello)
	websocket.Message.Send(conn, "4text €")
	expect(t, conn, "4text €")
	websocket.Message.Send(conn, []byte{1, 2, 255})
	var back []byte
	if err := websocket.Message.Receive(conn, &back); err != nil || !bytes.Equal(back, []byte{1, 2, 255}) {
		t.Errorf("%v %v", back, err)
	}
	for text, reason := range map[string]string{"": engineio.ParseError, "abc": engineio.ParseError, "7": engineio.ParseError, "2": engineio.TransportError} {
		conn := s.dial("EIO=4&transport=websocket")
		websocket.Message.Send(conn, text)
		expectClosed(t, conn)
		s.expectEnd(reason)
	}
}

func TestSilenceOnAWebSocket(t *testing.T) {
	s := start(t, engineio.Config{PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond})
	conn := s.dial("EIO=4&transport=websocket")
	var hello string
	websocket.Message.Receive(conn, &hello)
	expect(t, conn, "2")
	expectClosed(t, conn)
	s.expectEnd(engineio.PingTimeout)
	if n := s.engine.Stats(); n.Silent != 1 || n.SilentPolling != 0 || n.OpenedPolling != 0 {
		t.Errorf("the numbers are %+v", n)
	}
}

// An upgrade loses and reorders nothing, no matter what is sent during it.
func TestUpgrade(t *testing.T) {
	s := start(t, engineio.Config{})
	for range 20 {
		sid := s.open()
		one := s.sessions[sid]
		text := func(i int) ws.Message { return ws.Message{Opcode: ws.Text, Data: fmt.Appendf(nil, "%d", i)} }
		for i := range 100 {
			one.Send(text(i))
		}
		conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
		websocket.Message.Send(conn, "2probe")
		expect(t, conn, "3probe")
		polled := make(chan string)
		go func() {
			_, body := s.poll(sid)
			polled <- body
		}()
		got := <-polled
		go func() {
			_, body := s.poll(sid) // waits, and must get an answer
			polled <- body
		}()
		if noop := <-polled; noop != "6" {
			t.Fatalf("the GET that waited got %q", noop)
		}
		for i := range 500 { // they are queued, and then flushed
			one.Send(text(100 + i))
		}
		var sending sync.WaitGroup
		sending.Go(func() {
			for i := range 500 {
				one.Send(text(600 + i))
			}
		})
		websocket.Message.Send(conn, "5")
		for i, one := range strings.Split(got, "\x1e") {
			if one != fmt.Sprint("4", i) {
				t.Fatalf("packet %d of the GET is %q", i, one)
			}
		}
		for i := range 1000 {
			expect(t, conn, fmt.Sprint("4", 100+i))
		}
		sending.Wait()
		websocket.Message.Send(conn, "4echo")
		expect(t, conn, "4echo")
		s.expectPoll(sid, 400, `{"code":3,"message":"Bad request"}`)
		second := s.dial("EIO=4&transport=websocket&sid=" + sid)
		expectClosed(t, second)
		websocket.Message.Send(conn, "4still")
		expect(t, conn, "4still")
		conn.Close()
		s.expectEnd(engineio.TransportClose)
	}
}

func TestAnUpgradeThatFails(t *testing.T) {
	fail := func(s *server, sid string, words ...string) {
		t.Helper()
		conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
		for _, text := range words {
			websocket.Message.Send(conn, text)
		}
		expectClosed(t, conn)
		s.expectEcho(sid) // it still polls
	}
	s := start(t, engineio.Config{UpgradeTimeout: 50 * time.Millisecond})
	sid := s.open()
	fail(s, sid)
	fail(s, sid, "2probe")

	if n := s.engine.Stats().LateUpgrades; n != 2 {
		t.Errorf("%d upgrades were late", n)
	}
	s = start(t, engineio.Config{UpgradeTimeout: time.Hour}) // so that this timeout does not end the upgrades below
	sid = s.open()
	for _, words := range [][]string{{"nonsense"}, {"5"}, {"4message"}, {"2probe", "2probe"}, {"2probe", "4message"}} {
		fail(s, sid, words...)
	}
	conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	expectClosed(t, s.dial("EIO=4&transport=websocket&sid="+sid)) // a second upgrade at the same time
	conn.Close()
	s.expectEcho(sid)
}

func TestSessionsAreBounded(t *testing.T) {
	s := start(t, engineio.Config{MaxSessions: 2})
	s.open()
	s.open()
	if status, body, _ := s.request("GET", "EIO=4&transport=polling", ""); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, body)
	}
}

// call sends a request without a network, so that tests can use a fake clock.
func (s *server) call(ctx context.Context, method, query, body string) string {
	req := httptest.NewRequestWithContext(ctx, method, "/engine.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
	if s.address != "" {
		req.RemoteAddr = s.address
	}
	res := httptest.NewRecorder()
	s.echo.ServeHTTP(res, req)
	return res.Body.String()
}

func (s *server) openCall(ctx context.Context) string {
	var hello struct{ SID string }
	json.Unmarshal([]byte(s.call(ctx, "GET", "", "")[1:]), &hello)
	return hello.SID
}

// bubble runs f with a new server and a fake clock.
func bubble(t *testing.T, cfg engineio.Config, f func(t *testing.T, s *server)) {
	bubbleOn(t, ws.Config{Origins: cfg.Origins}, cfg, f)
}

func bubbleOn(t *testing.T, app ws.Config, cfg engineio.Config, f func(t *testing.T, s *server)) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerOn(t, app, cfg)
		f(t, s)
		s.engine.Close()
		s.app.Shutdown(context.Background())
		if n := s.engine.Len(); n > 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func text(s string) ws.Message { return ws.Message{Opcode: ws.Text, Data: []byte(s)} }

func prepare(t testing.TB, messages ...ws.Message) *ws.Prepared {
	t.Helper()
	f, err := engineio.Prepare(messages...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAbandonedSessionsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, engineio.Config{})
		ctx := t.Context()
		defer s.app.Shutdown(context.Background())
		for i := range 1000 {
			sid := s.openCall(ctx)
			one := s.sessions[sid]
			switch i % 6 {
			case 0: // after its handshake
			case 1: // with messages in the queue
				one.Send(ws.Message{Opcode: ws.Text, Data: []byte("unread")})
			case 2: // during a GET
				given, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				go s.call(given, "GET", "&sid="+sid, "")
			case 3: // after the client has sent a close packet, with no GET to answer
				s.call(ctx, "POST", "&sid="+sid, "1")
			case 4: // after the server has closed the session
				one.Send(ws.Message{Opcode: ws.Text, Data: []byte("unread")})
				one.Close()
			case 5: // after its first ping
				if got := s.call(ctx, "GET", "&sid="+sid, ""); got != "2" {
					t.Fatalf("GET: %q", got)
				}
			}
		}
		time.Sleep(time.Minute)
		if n := s.engine.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		for range 1000 {
			<-s.ended
		}
		s.engine.Close()
	})
}

// A client whose session ends while it upgrades gets the last messages, by polling or on the WebSocket.
func TestGoodbyeDuringAnUpgrade(t *testing.T) {
	for _, byPolling := range []bool{true, false} {
		s := start(t, engineio.Config{})
		sid := s.open()
		one := s.sessions[sid]
		conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
		websocket.Message.Send(conn, "2probe")
		expect(t, conn, "3probe")
		one.Send(ws.Message{Opcode: ws.Text, Data: []byte("last words")})
		one.Close()
		s.expectEnd(engineio.ForcedClose)
		if byPolling {
			s.expectPoll(sid, 200, "4last words")
		}
		websocket.Message.Send(conn, "5")
		if !byPolling {
			expect(t, conn, "4last words")
		}
		expectClosed(t, conn)
		s.expectPoll(sid, 400, "")
	}
}

// The upgrade of a session that has ended does not go on for ever.
func TestGoodbyeEndsAnUpgrade(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	conn := s.dial("EIO=4&transport=websocket&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	s.sessions[sid].Close()
	s.expectPoll(sid, 200, "1")
	expectClosed(t, conn)
}

// A GET that waits when the upgrade is complete is answered, and does not end the session.
func TestAGETThatWaitsAtTheUpgrade(t *testing.T) {
	bubble(t, engineio.Config{}, func(t *testing.T, s *server) {
		sid := s.openCall(t.Context())
		conn := s.probe(t, sid)
		got := make(chan string, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { got <- s.call(ctx, "GET", "&sid="+sid, "") }()
		synctest.Wait()
		websocket.Message.Send(conn, "5")
		synctest.Wait()
		if len(got) != 1 {
			t.Error("the GET waits")
		}
		websocket.Message.Send(conn, "4still here")
		expect(t, conn, "4still here")
	})
}

// probe begins an upgrade.
func (s *server) probe(t *testing.T, sid string) *websocket.Conn {
	_, conn := s.pipes("&sid=" + sid)
	websocket.Message.Send(conn, "2probe")
	expect(t, conn, "3probe")
	return conn
}

// An upgrade that succeeds, or whose WebSocket ends, is never late.
func TestUpgradesThatAreNotLate(t *testing.T) {
	bubble(t, engineio.Config{UpgradeTimeout: time.Second}, func(t *testing.T, s *server) {
		conn := s.probe(t, s.openCall(t.Context()))
		websocket.Message.Send(conn, "5")
		given := s.probe(t, s.openCall(t.Context()))
		given.Close()
		time.Sleep(2 * time.Second)
		if n := s.engine.Stats(); n.LateUpgrades != 0 || n.Upgraded != 1 {
			t.Errorf("%+v", n)
		}
		websocket.Message.Send(conn, "4still here")
		expect(t, conn, "4still here")
	})
}

// answerLong answers a message with three of 900 bytes.
func answerLong(one *engineio.Session, _ ws.Message) error {
	for range 3 {
		if err := one.Send(text(strings.Repeat("x", 900))); err != nil {
			return err
		}
	}
	return nil
}

// One POST is answered early even if it is as long as MaxPayload.
func TestALongPOSTIsAnsweredEarly(t *testing.T) {
	bubble(t, engineio.Config{MaxQueue: 1000, MaxPayload: 10_000}, func(t *testing.T, s *server) {
		s.onMessage = answerLong
		sid := s.openCall(t.Context())
		if got := s.call(t.Context(), "POST", "&sid="+sid, "4"+strings.Repeat("x", 9000)); got != "ok" {
			t.Errorf("POST: %q", got)
		}
		if synctest.Wait(); len(s.ended) > 0 {
			t.Errorf("it ended with %s", <-s.ended)
		}
	})
}
