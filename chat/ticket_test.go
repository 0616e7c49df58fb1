package chat

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/broker"
	"echows/hub"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestATicketExpires(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: quiet})
	defer app.Shutdown(ctx)
	c, err := Open(ctx, app, hub.New(), b, Config{
		Secret: []byte("sixteen bytes at least"),
		Limits: Limits{TicketTime: 200 * time.Millisecond},
		Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e.POST("/session", c.SignIn)
	e.POST("/ticket", c.Ticket, c.RequireSession)
	app.WS("/ws/chat/:room", c.Join, RequireRoom, c.RequireTicket)

	call := func(method, path, body string, header map[string]string) (int, string) {
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		for name, value := range header {
			req.Header.Set(name, value)
		}
		if body == "" {
			req.ContentLength = 0
		}
		res := httptest.NewRecorder()
		e.ServeHTTP(res, req)
		text, _ := io.ReadAll(res.Body)
		return res.Code, string(text)
	}
	_, answer := call("POST", "/session", `{"name":"ana"}`, map[string]string{"Content-Type": "application/json"})
	token := regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(answer)[1]
	_, answer = call("POST", "/ticket", "", map[string]string{"Authorization": "Bearer " + token})
	ticket := regexp.MustCompile(`"ticket":"([^"]+)"`).FindStringSubmatch(answer)[1]
	for there := true; there; {
		there = false
		if _, err := c.tickets.Take(ctx, ticketKey(ticket), func([]byte) bool { there = true; return false }); err != nil {
			t.Fatal(err)
		}
	}
	status, answer := call("GET", "/ws/chat/lobby?ticket="+ticket, "", map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	})
	if status != http.StatusUnauthorized {
		t.Errorf("%d %s", status, answer)
	}
}
