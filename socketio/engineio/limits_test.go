package engineio_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

func TestManyPackets(t *testing.T) {
	s := start(t, engineio.Config{MaxPackets: 1000})
	for _, c := range []struct {
		body   string
		status int
	}{
		{strings.Repeat("3\x1e", 999) + "3", 200},
		{strings.Repeat("3\x1e", 1000) + "3", 400},
		{strings.Repeat("6\x1e", 9) + "6", 200},
		{strings.Repeat("6\x1e0\x1e5\x1e", 3) + "4x\x1e6\x1e6", 400},
		{strings.Repeat("6\x1e", 499_000) + "6", 400},
	} {
		sid := s.open()
		if status, _ := s.post(sid, c.body); status != c.status {
			t.Errorf("%.20q…, %d bytes: %d", c.body, len(c.body), status)
		}
		if c.status == 400 {
			s.expectEnd(engineio.ParseError)
		}
	}
}

func TestTwoPostsAtOnce(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	begun, goOn := make(chan struct{}), make(chan struct{})
	s.onMessage = func(*engineio.Session, ws.Message) error { close(begun); <-goOn; return nil }
	first := make(chan int)
	go func() {
		status, _ := s.post(sid, "4x")
		first <- status
	}()
	<-begun
	if status, body := s.post(sid, "4y"); status != 400 {
		t.Errorf("%d %s", status, body)
	}
	s.expectEnd(engineio.TransportError)
	close(goOn)
	if status := <-first; status != 200 {
		t.Errorf("%d", status)
	}
}

func TestSessionsOfOneAddress(t *testing.T) {
	s := newServerOn(t, ws.Config{MaxAddressSockets: 1}, engineio.Config{}).start()
	sid := s.open()
	if status, body, _ := s.request("GET", "EIO=4&transport=polling", ""); status != http.StatusTooManyRequests {
		t.Errorf("%d %s", status, body)
	}
	s.post(sid, "1")
	s.expectEnd(engineio.TransportClose)
	eventually(t, func() bool { // its place becomes free a moment later
		status, _, _ := s.request("GET", "EIO=4&transport=polling", "")
		return status == 200
	})
}

// A refused session does not count for its address.
func TestNoPlaceForASession(t *testing.T) {
	s := newServerOn(t, ws.Config{MaxAddressSockets: 2}, engineio.Config{MaxSessions: 1}).start()
	sid := s.open()
	for range 3 {
		if status, body, _ := s.request("GET", "EIO=4&transport=polling", ""); status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", status, body)
		}
	}
	s.post(sid, "1")
	s.expectPoll(sid, 200, "6")
	s.open()
}

func TestWebSocketOnly(t *testing.T) {
	s := start(t, engineio.Config{WebSocketOnly: true})
	if status, body, _ := s.request("GET", "EIO=4&transport=polling", ""); status != 400 || body != `{"code":0,"message":"Transport unknown"}` {
		t.Errorf("%d %s", status, body)
	}
	conn := s.dial("EIO=4&transport=websocket")
	var hello string
	if err := websocket.Message.Receive(conn, &hello); err != nil || !strings.Contains(hello, `"upgrades":[]`) {
		t.Errorf("%s, %v", hello, err)
	}
	sid := s.only().ID()
	if status, body := s.poll(sid); status != 400 || body != `{"code":0,"message":"Transport unknown"}` {
		t.Errorf("%d %s", status, body)
	}
	expectClosed(t, s.dial("EIO=4&transport=websocket&sid="+sid))
	websocket.Message.Send(conn, "4still here")
	expect(t, conn, "4still here")
}

// A path may end with a slash or not, both in New and in requests.
func TestPaths(t *testing.T) {
	for _, at := range []string{"/io", "/io/"} {
		e := echo.New()
		app := ws.New(e, ws.Config{})
		engine := engineio.New(app, at, engineio.Config{}, func(*engineio.Session) {})
		s := &server{t: t, echo: e, app: app, engine: engine}
		s.start()
		base := s.base()
		for _, path := range []string{"/io", "/io/"} {
			s.url = base + path
			if status, _, _ := s.request("POST", "EIO=4&transport=polling", ""); status != 400 {
				t.Errorf("mounted at %s, POST %s: %d", at, path, status)
			}
			sid := s.open()
			if status, body := s.post(sid, "3"); status != 200 {
				t.Errorf("mounted at %s, %s: %d %s", at, path, status, body)
			}
			conn := s.dial("EIO=4&transport=websocket")
			var hello string
			if err := websocket.Message.Receive(conn, &hello); err != nil {
				t.Errorf("mounted at %s, %s: %v", at, path, err)
			}
		}
	}
}

// A session knows its request and its client's address, whichever transport it began with.
func TestRequestOfASession(t *testing.T) {
	s := newServer(t, engineio.Config{})
	s.echo.IPExtractor = echo.ExtractIPFromXFFHeader()
	s.start()
	s.request("GET", "EIO=4&transport=polling&begun=polling", "", "Cookie", "session=abc", "X-Forwarded-For", "192.0.2.7")
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(s.url, "http")+"?EIO=4&transport=websocket&begun=websocket", s.url)
	if err != nil {
		t.Fatal(err)
	}
	config.Header = http.Header{"Cookie": {"session=abc"}, "X-Forwarded-For": {"192.0.2.7"}}
	conn, err := websocket.DialConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var hello string
	websocket.Message.Receive(conn, &hello)
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.sessions {
		r := one.Request()
		cookie, err := r.Cookie("session")
		if err != nil || cookie.Value != "abc" || r.URL.Query().Get("begun") != one.Transport() || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") || one.RealIP() != "192.0.2.7" {
			t.Errorf("%s: from %s, %v", one.Transport(), one.RealIP(), r)
		}
		if one.Request() == r {
			t.Error("a request is kept")
		}
	}
}

// The memory for a request is limited.
func TestALargeHeader(t *testing.T) {
	s := start(t, engineio.Config{})
	if status, body, _ := s.request("GET", "EIO=4&transport=polling", "", "X-Large", strings.Repeat("x", 20<<10)); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d %s", status, body)
	}
	if n := s.engine.Stats().Refused; n != 1 {
		t.Errorf("%d were refused", n)
	}
}
