package engineio_test

import (
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"echows/socketio/engineio"
)

// A Go client sends its URL as Origin, whose path counts for nothing.
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

// A foreign origin is refused with each request, not only at the handshake.
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
