package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/websocket"

	"echows/internal/natstest"
	"echows/internal/programtest"
)

// A member that vanishes without closing its connection is noticed when it does not answer pings. The member that stays is on
// another node, with a longer ping interval.
func TestOneThatVanishes(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	secret := strings.Repeat("s", 32)
	here, there := programtest.Start(t, "-nats", nats, "-secret", secret), programtest.Start(t, "-nats", nats, "-secret", secret, "-ping", "1s")
	stays, _ := signIn(t, here.URL, "ana").join("lobby", "")
	signIn(t, there.URL, "bea").join("lobby", "") // reads nothing more, so its library answers no pings
	stays.awaitCount(2)
	stays.awaitCount(1)
}

func TestTwoNodesAreOneChat(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	ana := signIn(t, one.URL, "ana")
	bea := &person{t: t, url: two.URL, token: signIn(t, one.URL, "bea").token} // a session is valid on every node
	here, _ := ana.join("lobby", "")
	there, _ := bea.join("lobby", "")
	here.awaitCount(2)
	there.awaitCount(2)
	// A ticket is valid on every node, too.
	ticket := bea.ticket()
	bea.url = one.URL
	conn, err := bea.dial("lobby", ticket, "")
	if err != nil {
		t.Fatal(err)
	}
	here.awaitCount(3)
	conn.Close()
	here.awaitCount(2)
	var seen [2][]string
	var all sync.WaitGroup
	for i, m := range []*member{here, there} {
		all.Go(func() {
			for n := range 20 {
				websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(n), "text": fmt.Sprint(i, n)})
			}
		})
		all.Go(func() {
			for len(seen[i]) < 40 {
				s, err := m.read()
				if err != nil {
					t.Error(err)
					return
				}
				if s.Type == "message" {
					seen[i] = append(seen[i], s.Text)
				}
			}
		})
	}
	all.Wait()
	if !slices.Equal(seen[0], seen[1]) {
		t.Errorf("one node saw %v, the other %v", seen[0], seen[1])
	}
	two.End() // an orderly end, so the other node need not wait for a timeout
	here.awaitCount(1)
}

// When a node is killed, the other nodes drop its members after it has been silent for some seconds. Its tickets are refused
// immediately; for a node that does not answer in time, the status would be 503.
func TestANodeThatIsKilled(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	ana := signIn(t, one.URL, "ana")
	bea := &person{t: t, url: two.URL, token: signIn(t, one.URL, "bea").token}
	here, _ := ana.join("lobby", "")
	bea.join("lobby", "")
	here.awaitCount(2)
	good, lost := bea.ticket(), bea.ticket()
	if got := upgradeStatus(t, one, "lobby?ticket="+good, nil); got != http.StatusSwitchingProtocols {
		t.Errorf("while it is there: %d", got)
	}
	two.Kill()
	if got := upgradeStatus(t, one, "lobby?ticket="+lost, nil); got != http.StatusUnauthorized {
		t.Errorf("a ticket of one that is gone: %d", got)
	}
	var last said
	for last.Count != 1 {
		last = here.await("presence")
	}
	if len(last.People) != 1 || last.People[0].Name != "ana" {
		t.Errorf("in the end here are %v", last.People)
	}
}

func TestSigningOutOfTwoNodes(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	ana := signIn(t, one.URL, "ana")
	here, _ := ana.join("lobby", "")
	there, _ := (&person{t: t, url: two.URL, token: ana.token}).join("lobby", "")
	res := ana.ask("DELETE", "/session", "", http.StatusNoContent, nil)
	if cookies := res.Cookies(); len(cookies) != 1 || cookies[0].MaxAge >= 0 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("cookies %v, %v", cookies, res.Header)
	}
	for _, m := range []*member{here, there} {
		for {
			if _, err := m.read(); err != nil {
				break
			}
		}
	}
	for _, p := range []*programtest.Program{one, two} {
		p.Log.Find(t, `reason="signed out"`)
		(&person{t: t, url: p.URL, token: ana.token}).ask("POST", "/ticket", "", http.StatusUnauthorized, nil)
	}
}
