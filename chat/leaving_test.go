package chat

import (
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/websocket"

	"echows/ws"
)

// A member that leaves before it has its history is none that the server failed.
func TestWhoeverLeavesBeforeTheHistory(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{})
	store(t, c, "lobby", 100, func() int { return 1900 }) // most of which are not in memory
	for range mostLoads {                                 // so that the history has to wait
		c.loads <- struct{}{}
	}
	codes := make(chan ws.CloseCode, 1)
	c.app.WS("/ws/chat/:room", func(s *ws.Socket, ctx echo.Context) error {
		s.OnClose(func(code ws.CloseCode, _ string) { codes <- code })
		ctx.Set(userKey, User{ID: "id", Name: "ana"})
		return c.Join(s, ctx)
	})
	h := httptest.NewServer(c.app.Echo())
	defer h.Close()
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(h.URL, "http")+"/ws/chat/lobby?after=1", h.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := websocket.NewClient(config, conn); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an open room", func() bool { return c.Rooms() == 1 })
	conn.Close()
	select {
	case code := <-codes:
		if code != ws.CloseAbnormal {
			t.Errorf("it ends with %d", code)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
