package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/internal/reached"
	"echows/socketio"
	"echows/ws"
)

// guests are visitors who poll without a network, so that tests can use a fake clock.
type guests struct {
	t      *testing.T
	echo   *echo.Echo
	served *Served
}

// expectReached checks how often each limit was reached.
func (g *guests) expectReached(want map[string]int) {
	g.t.Helper()
	for name, n := range g.served.Collector().(reached.Limits) {
		if got := int(n.Load()); got != want[name] {
			g.t.Errorf("%s was reached %d times, not %d", name, got, want[name])
		}
	}
}

// bubble serves one namespace in a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T, g *guests)) {
	synctest.Test(t, func(t *testing.T) {
		e, quiet := echo.New(), slog.New(slog.DiscardHandler)
		app := ws.New(e, ws.Config{Logger: quiet})
		defer app.Shutdown(context.Background())
		io := socketio.New(app, socketio.Config{Logger: quiet})
		defer io.Close()
		f(t, &guests{t, e, Serve(io, "/")})
	})
}

// call sends a request from an address.
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

// ask emits events that request acknowledgements, and returns these and any other packets in the queue.
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

// count returns how many packets contain part.
func count(packets []string, part string) (n int) {
	for _, p := range packets {
		n += strings.Count(p, part)
	}
	return n
}

// Events past a visitor's limit are refused without being decoded, and later events wait.
func TestAVisitorWhoSendsTooMuch(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		ana := g.enter(one, "ana")
		time.Sleep(2 * time.Second)
		begin := time.Now()
		got := g.ask(one, ana, times(100, `["join",5]`)...)
		wrong, refused := count(got, "must be an object, not a number"), count(got, "too many events")
		if wrong != 70 || refused != 30 { // a burst of 40, and then every second event
			t.Errorf("%d events were looked at, %d refused: %s", wrong, refused, got)
		}
		if took := time.Since(begin); took != 30*time.Second/20 {
			t.Errorf("100 events took %v", took)
		}
		g.expectReached(map[string]int{"visitor_events": 30})
	})
}

// A visitor can be in ten rooms, as often as it asks for one of them.
func TestAVisitorOfManyRooms(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		ana := g.enter(one, "ana")
		for i := range mostRooms {
			g.ask(one, ana, fmt.Sprintf(`["join",{"room":"room-%d"}]`, i))
		}
		if got := g.ask(one, ana, `["join",{"room":"room-0"}]`, `["join",{"room":"one-more"}]`); count(got, `"ok":true`) != 1 || count(got, "at most 10 rooms") != 1 {
			t.Errorf("heard %s", got)
		}
		g.expectReached(map[string]int{"visitor_rooms": 1})
	})
}

// The connection of a visitor who goes on after many refusals is ended. Leaving the namespace and coming back does not help.
func TestAVisitorWhoGoesOn(t *testing.T) {
	many := times(200, `420["join",5]`)
	again := append(slices.Clone(many), "41", `40{"name":"ana"}`)
	for name, packets := range map[string][]string{
		"in one visit":   times(9_000, many[0]),
		"in many visits": slices.Concat(slices.Repeat([][]string{again}, 40)...),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *guests) {
				ana := g.enter(one, "ana")
				begin := time.Now()
				g.call(one, "POST", ana, strings.Join(packets, "\x1e"))
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("the events of one POST took %v", took)
				}
				got := strings.Split(g.call(one, "GET", ana, ""), "\x1e")
				want := []string{`430[{"ok":false,"error":"too many events; you are disconnected"}]`, "41"}
				if last := got[max(0, len(got)-2):]; !slices.Equal(last, want) {
					t.Errorf("the last packets are %s, not %s", last, want)
				}
				if end := g.call(one, "GET", ana, ""); end != "1" {
					t.Errorf("then comes %s", end)
				}
			})
		})
	}
}

// A visitor who is refused an event now and then stays connected.
func TestAVisitorWhoIsSometimesTooQuick(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		ana := g.enter(one, "ana")
		for range 3 * patienceBurst {
			time.Sleep(2 * time.Second)
			if got := g.ask(one, ana, times(2*perSecond+1, `["join",5]`)...); count(got, "wait a moment") != 1 {
				t.Fatalf("heard %s", got)
			}
		}
	})
}

// When a visitor leaves while events wait, the wait ends.
func TestAVisitorWhoSendsTooMuchAndLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		ana := g.enter(one, "ana")
		time.Sleep(2 * time.Second)
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.ask(one, ana, times(1000, `["join",5]`)...)
		}()
		time.Sleep(time.Second)
		g.call(one, "POST", ana, "1") // a second POST at the same time ends the session
		<-done
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the events of somebody who left took %v", took)
		}
	})
}

// All visitors of one address share one limit. It does not affect others.
func TestAnAddressThatSendsTooMuch(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		var all []string
		for i := range 12 {
			all = append(all, g.enter(one, fmt.Sprint("guest ", i)))
		}
		bea := g.enter(other, "bea")
		time.Sleep(2 * time.Second)
		begin, stored, refused := time.Now(), 0, 0
		for _, sid := range all {
			got := g.ask(one, sid, times(40, `["leave",{"room":"x"}]`)...)
			stored, refused = stored+count(got, `{"ok":true}`), refused+count(got, "too many events")
		}
		if most := 400 + int(200*time.Since(begin).Seconds()); stored > most || stored+refused != 480 || refused == 0 {
			t.Errorf("%d events were taken, %d refused; at most %d", stored, refused, most)
		}
		if got := g.ask(other, bea, `["leave",{"room":"x"}]`); count(got, `{"ok":true}`) != 1 {
			t.Errorf("bea is answered %s", got)
		}
		g.expectReached(map[string]int{"address_visitor_events": refused})
	})
}
