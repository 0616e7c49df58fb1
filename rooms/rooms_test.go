package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

// guests are visitors who poll, without a network, so that they can come under a fake clock.
type guests struct {
	t    *testing.T
	echo *echo.Echo
}

// open serves one namespace in a bubble of time.
func open(t *testing.T, f func(t *testing.T, g *guests)) {
	synctest.Test(t, func(t *testing.T) {
		e, quiet := echo.New(), slog.New(slog.DiscardHandler)
		app := ws.New(e, ws.Config{Logger: quiet})
		defer app.Shutdown(context.Background())
		io := socketio.New(app, socketio.Config{Logger: quiet})
		defer io.Close()
		Serve(io, "/")
		f(t, &guests{t, e})
	})
}

// call is a request from an address.
func (g *guests) call(address, method, sid, body string) string {
	req := httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(body))
	req.RemoteAddr = address
	answer := httptest.NewRecorder()
	g.echo.ServeHTTP(answer, req)
	return answer.Body.String()
}

// enter connects somebody.
func (g *guests) enter(address, name string) (sid string) {
	g.t.Helper()
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(g.call(address, "GET", "", "")[1:]), &hello); err != nil {
		g.t.Fatal(err)
	}
	g.call(address, "POST", hello.SID, fmt.Sprintf(`40{"name":%q}`, name))
	return hello.SID
}

// ask emits events that want acknowledgements, and returns these and what else waits.
func (g *guests) ask(address, sid string, events ...string) []string {
	for i, event := range events {
		events[i] = fmt.Sprintf("42%d%s", i, event)
	}
	g.call(address, "POST", sid, strings.Join(events, "\x1e"))
	return strings.Split(g.call(address, "GET", sid, ""), "\x1e")
}

const (
	one   = "192.0.2.1:1"
	other = "192.0.2.2:1"
)

func times(n int, event string) (all []string) {
	for range n {
		all = append(all, event)
	}
	return all
}

// count is how many packets have a part.
func count(packets []string, part string) (n int) {
	for _, p := range packets {
		n += strings.Count(p, part)
	}
	return n
}

// A visitor who sends too much is told so, and what was too much is not even looked at.
func TestAVisitorWhoSendsTooMuch(t *testing.T) {
	open(t, func(t *testing.T, g *guests) {
		ana := g.enter(one, "ana")
		time.Sleep(2 * time.Second)
		got := g.ask(one, ana, times(50, `["join",5]`)...)
		if wrong, refused := count(got, "has to be an object, not a number"), count(got, "too many events"); wrong != 40 || refused != 10 {
			t.Errorf("%d events were looked at, %d refused: %s", wrong, refused, got)
		}
	})
}

// The visitors of one address together may not say more than some, however many they are. It is nothing to others.
func TestAnAddressThatSendsTooMuch(t *testing.T) {
	open(t, func(t *testing.T, g *guests) {
		var all []string
		for i := range 12 {
			all = append(all, g.enter(one, fmt.Sprint("guest ", i)))
		}
		bea := g.enter(other, "bea")
		time.Sleep(2 * time.Second)
		stored, refused := 0, 0
		for _, sid := range all {
			got := g.ask(one, sid, times(40, `["leave",{"room":"x"}]`)...)
			stored, refused = stored+count(got, `{"ok":true}`), refused+count(got, "too many events")
		}
		if stored != 400 || refused != 80 {
			t.Errorf("%d events were taken, %d refused", stored, refused)
		}
		if got := g.ask(other, bea, `["leave",{"room":"x"}]`); count(got, `{"ok":true}`) != 1 {
			t.Errorf("bea is answered %s", got)
		}
		time.Sleep(time.Second)
		taken := 0
		for _, sid := range all {
			taken += count(g.ask(one, sid, times(20, `["leave",{"room":"x"}]`)...), `{"ok":true}`)
		}
		if taken != 200 {
			t.Errorf("%d events were taken in another second", taken)
		}
	})
}
