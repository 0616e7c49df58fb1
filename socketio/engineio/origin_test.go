package engineio_test

import (
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
	"echows/ws"
)

// A Go client sends its URL as Origin. The path is ignored.
func TestTheOwnHostAsOrigin(t *testing.T) {
	s := start(t, engineio.Config{})
	host := strings.TrimPrefix(s.base(), "http://")
	for _, origin := range []string{"http://" + host, "http://" + host + "/", "ws://" + host + "/engine.io/?EIO=4"} {
		if status, body, _ := s.request("GET", "EIO=4&transport=polling", "", "Origin", origin); status != 200 {
			t.Errorf("%s: %d %s", origin, status, body)
		}
		conn, err := websocket.Dial("ws://"+host+"/engine.io/?EIO=4&transport=websocket", "", origin)
		if err != nil {
			t.Fatalf("%s: %v", origin, err)
		}
		conn.Close()
	}
}

// A foreign origin is refused on each request, not only at the handshake.
func TestTheOriginOfEachRequest(t *testing.T) {
	s := start(t, engineio.Config{})
	sid := s.open()
	for _, method := range []string{"GET", "POST"} {
		if status, body, _ := s.request(method, "EIO=4&transport=polling&sid="+sid, "4x", "Origin", "https://foe.example"); status != 403 || body != `{"code":4,"message":"Forbidden"}` {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	if _, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"?EIO=4&transport=websocket&sid="+sid, "", "https://foe.example"); err == nil {
		t.Error("an upgrade was let in")
	}
	s.expectEcho(sid)
}

func TestCORS(t *testing.T) {
	s := start(t, engineio.Config{Origins: []string{"https://app.example:443", "http://localhost:3000"}})
	const named, credentials = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
	for _, c := range []struct {
		origin string
		named  bool
	}{
		{"https://app.example", true}, {"https://APP.example:443", true}, {"http://localhost:3000", true},
		{"http://app.example", false}, {"http://localhost", false}, {"https://foe.example", false}, {"null", false},
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			status, _, header := s.request(method, "EIO=4&transport=polling", "", "Origin", c.origin)
			want, trusted := "", ""
			if c.named {
				want, trusted = c.origin, "true"
			}
			if header.Get(named) != want || header.Get(credentials) != trusted || header.Get("Vary") != "Origin" {
				t.Errorf("%s %s: %v", method, c.origin, header)
			}
			if method == "GET" && (status == 200) != c.named {
				t.Errorf("%s: %d", c.origin, status)
			}
		}
	}
	s = start(t, engineio.Config{})
	if _, _, header := s.request("GET", "EIO=4&transport=polling", "", "Origin", s.base()); header.Get(named) != "" {
		t.Errorf("without Origins: %v", header)
	}
}

// Without Origins of its own, the engine has those of the App.
func TestOriginsOfTheApp(t *testing.T) {
	s := newServerOn(t, ws.Config{Origins: []string{"https://app.example"}}, engineio.Config{})
	s.start()
	status, _, header := s.request("GET", "EIO=4&transport=polling", "", "Origin", "https://app.example")
	if named := header.Get("Access-Control-Allow-Origin"); status != 200 || named != "https://app.example" {
		t.Errorf("%d, allowed for %q", status, named)
	}
}
