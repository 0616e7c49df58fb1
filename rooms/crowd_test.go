package rooms

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

// A flood of arrivals and departures causes only a few events for those who stay.
func TestACrowdComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, g *guests) {
		call := func(method, sid, body string) string { return g.call(one, method, sid, body) }
		connect := func(name string) string { return g.enter(one, name) }
		stays := connect("ana")
		time.Sleep(2 * time.Second)
		call("GET", stays, "") // the event of its own arrival
		for i := range 200 {
			call("POST", connect(fmt.Sprint("guest ", i)), "41\x1e1")
		}
		left := connect("bea")
		time.Sleep(5 * time.Second)
		heard := strings.Split(call("GET", stays, ""), "\x1e")
		if len(heard) > 8 || heard[len(heard)-1] != `42["stats",{"clients":2}]` {
			t.Errorf("heard %d events: %s", len(heard), heard)
		}
		if all := strings.Join(heard, "\n"); !strings.Contains(all, " others joined") || !strings.Contains(all, " others left") {
			t.Errorf("heard %s", all)
		}
		call("POST", left, "1")
		time.Sleep(2 * time.Second)
		if got := call("GET", stays, ""); got != `42["announcements",{"text":"“bea” left"}]`+"\x1e"+`42["stats",{"clients":1}]` {
			t.Errorf("heard %s", got)
		}
	})
}

func TestAnnouncements(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"ana"}, "“ana” left"},
		{[]string{"ana", "bo"}, "“ana” and “bo” left"},
		{[]string{"ana", "bo", "cem"}, "“ana”, “bo” and “cem” left"},
		{[]string{"ana", "bo", "cem", "dee"}, "“ana”, “bo”, “cem” and 1 other left"},
		{[]string{"ana", "bo", "cem", "dee", "eva"}, "“ana”, “bo”, “cem” and 2 others left"},
	} {
		var f flock
		for _, name := range c.names {
			f.add(name)
		}
		if got := f.did("left"); got != c.want {
			t.Errorf("%v: %q, want %q", c.names, got, c.want)
		}
	}
}

// After end, no updates are sent: the server that would send them is gone.
func TestTheEndOfACrowd(t *testing.T) {
	for name, before := range map[string]time.Duration{"with the next time set": crowdPause / 2, "quiet": 3 * crowdPause} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := ws.New(echo.New(), ws.Config{})
				defer app.Shutdown(context.Background())
				io := socketio.New(app, socketio.Config{})
				c := visitors(io.Of("/"), newLimits())
				c.joined("ana", "id")
				time.Sleep(before)
				io.Close()
				begin := time.Now()
				c.end()
				if took := time.Since(begin); took > 0 {
					t.Errorf("the end takes %v, with nobody to be told", took)
				}
				c.left("ana")
				time.Sleep(3 * crowdPause)
				c.end()
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.went.count != 1 {
					t.Error("who left after the end is told of")
				}
			})
		})
	}
}
