package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/broker"
	"echows/hub"
	"echows/internal/natstest"
	"echows/internal/timetest"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = time.Minute

// eventually is comesTrue for a condition that explains itself.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	comesTrue(t, what, func() (string, bool) { return "not within " + patience.String(), is() })
}

// site is a Chat behind an Echo of its own, without what limits requests by rate.
type site struct {
	*Chat
	t    testing.TB
	echo *echo.Echo
	url  string
	end  func()

	broker *broker.Broker
	app    *ws.App
}

// openSite opens a Chat in a folder, or as one node of a cluster with a bus.
func openSite(t testing.TB, dir, nats string, limits Limits) *site {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := broker.Open(ctx, broker.Config{Dir: dir, URL: nats, Sync: time.Second, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var bus *broker.Bus
	if nats != "" {
		if bus, err = b.OpenBus(ctx, "chat"); err != nil {
			t.Fatal(err)
		}
	}
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: quiet, Origins: []string{"*"}})
	c, err := Open(ctx, app, hub.New(), b, Config{Secret: []byte("sixteen bytes at least"), Bus: bus, Limits: limits, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	e.POST("/session", c.SignIn, NoStore)
	e.GET("/session", c.WhoAmI, NoStore, c.RequireSession)
	e.DELETE("/session", c.SignOut, NoStore)
	e.POST("/ticket", c.Ticket, NoStore, c.RequireSession)
	app.WS("/ws/chat/:room", c.Join, RequireRoom, c.RequireTicket)
	srv := httptest.NewServer(e)
	s := &site{Chat: c, t: t, echo: e, url: srv.URL, broker: b, app: app}
	ended := false
	s.end = func() {
		if ended {
			return
		}
		ended = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		app.Shutdown(ctx)
		srv.Close()
		c.Close()
		b.Close()
	}
	t.Cleanup(s.end)
	return s
}

// call answers a request without a network, from an address.
func (s *site) call(method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		if name == "address" {
			req.RemoteAddr = value + ":1234"
			continue
		}
		req.Header.Set(name, value)
	}
	res := httptest.NewRecorder()
	s.echo.ServeHTTP(res, req)
	return res
}

// signIn returns a new session's token.
func (s *site) signIn(name string) string {
	s.t.Helper()
	return s.field(s.call("POST", "/session", fmt.Sprintf(`{"name":%q}`, name), nil), http.StatusCreated, "token")
}

func (s *site) ticket(token, body string) string {
	s.t.Helper()
	return s.field(s.call("POST", "/ticket", body, map[string]string{"Authorization": "Bearer " + token}), http.StatusCreated, "ticket")
}

// field is one of an answer's, which has to be of the status.
func (s *site) field(res *httptest.ResponseRecorder, status int, name string) string {
	s.t.Helper()
	var fields map[string]any
	data, _ := io.ReadAll(res.Body)
	if res.Code != status || json.Unmarshal(data, &fields) != nil {
		s.t.Fatalf("%d %s", res.Code, data)
	}
	value, _ := fields[name].(string)
	return value
}

// knock asks for an upgrade by a recorder, which cannot be upgraded: 500 says that the ticket was taken.
func (s *site) knock(room, ticket string, header map[string]string) int {
	all := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
	maps.Copy(all, header)
	return s.call("GET", "/ws/chat/"+room+"?ticket="+ticket, "", all).Code
}

func never(string) bool { return false }

func TestATicketExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTickets(30 * time.Second)
		for i := range 10 {
			if err := s.issue(fmt.Sprint(i), &ticket{user: User{ID: "id", Name: "ana"}, payer: "here"}, time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(20 * time.Second)
		if _, err := s.redeem(redemption{ID: "x", Ticket: "0"}, never, time.Now()); err == nil {
			t.Error("the oldest is still good after 30 seconds")
		}
		if _, err := s.redeem(redemption{ID: "x", Ticket: "9"}, never, time.Now()); err != nil {
			t.Errorf("the newest is not: %v", err)
		}
		if len(s.all) != 9 || s.unused["here"] != 8 {
			t.Errorf("there are %d, %d unused", len(s.all), s.unused["here"])
		}
		time.Sleep(remember)
		s.sweep(time.Now())
		if _, err := s.redeem(redemption{ID: "x", Ticket: "9"}, never, time.Now()); err == nil {
			t.Error("one that was redeemed is remembered for ever")
		}
		time.Sleep(30 * time.Second)
		s.sweep(time.Now())
		if len(s.all) != 0 || s.issued.Len() != 0 || s.used.Len() != 0 || len(s.unused) != 0 {
			t.Errorf("left: %d, %d issued, %d used, %v", len(s.all), s.issued.Len(), s.used.Len(), s.unused)
		}
	})
}

func TestWhoMayRedeem(t *testing.T) {
	s, now := newTickets(time.Minute), time.Now()
	user := User{ID: "id", Name: "ana"}
	page := digestOf("https://one.example")
	for name, one := range map[string]*ticket{
		"page":   {user: user, origin: page, address: "192.0.2.1", payer: "a"},
		"script": {user: user, address: "192.0.2.1", payer: "a"},
		"lobby":  {user: user, address: "192.0.2.1", room: "lobby", payer: "a"},
	} {
		if err := s.issue(name, one, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		r    redemption
		ok   bool
	}{
		{"another origin", redemption{Ticket: "page", Origin: digestOf("https://two.example"), Address: "192.0.2.1"}, false},
		{"no origin", redemption{Ticket: "page", Address: "192.0.2.1"}, false},
		{"another address", redemption{Ticket: "page", Origin: page, Address: "192.0.2.2"}, false},
		{"another session", redemption{Ticket: "page", Origin: page, Address: "192.0.2.1", Session: "other"}, false},
		{"another room", redemption{Ticket: "lobby", Address: "192.0.2.1", Room: "kitchen"}, false},
		{"no such ticket", redemption{Ticket: "none", Address: "192.0.2.1"}, false},
		{"no ticket", redemption{Address: "192.0.2.1"}, false},
		{"its page", redemption{Ticket: "page", Origin: page, Address: "192.0.2.1", Session: "id", Room: "any"}, true},
		{"a script with an origin", redemption{Ticket: "script", Origin: page, Address: "192.0.2.1"}, true},
		{"its room", redemption{Ticket: "lobby", Address: "192.0.2.1", Room: "lobby"}, true},
	} {
		c.r.ID = c.name
		got, err := s.redeem(c.r, never, now)
		if (err == nil) != c.ok || c.ok && got != user {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if again, err := s.redeem(c.r, never, now); (err == nil) != c.ok || again != got {
			t.Errorf("%s, the same question again: %v, %v", c.name, again, err)
		}
		c.r.ID += " another"
		if _, err := s.redeem(c.r, never, now); err == nil {
			t.Errorf("%s: redeemed twice", c.name)
		}
	}
	if err := s.issue("last", &ticket{user: user, payer: "a"}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.redeem(redemption{ID: "x", Ticket: "last"}, func(id string) bool { return id == "id" }, now); err == nil {
		t.Error("who signed out redeems a ticket")
	}
}

// One address with the longest origins and many sessions keeps no tickets from another, and costs little.
func TestTicketsOfOneAddress(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	before := heap()
	header := map[string]string{"Origin": "https://" + strings.Repeat("o", 9000) + ".example", "address": "192.0.2.1"}
	issued, status := 0, 0
	for i := range addressTickets + 10 {
		if i%100 == 0 {
			header["Authorization"] = "Bearer " + s.signIn(strings.Repeat("n", 32))
		}
		if status = s.call("POST", "/ticket", "", header).Code; status == http.StatusCreated {
			issued++
		}
	}
	if issued != addressTickets || status != http.StatusTooManyRequests {
		t.Errorf("%d tickets, and then %d", issued, status)
	}
	if each := int64(heap()-before) / addressTickets; each > 1000 { // less than nothing, if earlier tests' memory is freed
		t.Errorf("a ticket costs %d bytes", each)
	}
	header = map[string]string{"Authorization": header["Authorization"], "address": "192.0.2.2"}
	mine := s.field(s.call("POST", "/ticket", "", header), http.StatusCreated, "ticket")
	if got := s.knock("lobby", mine, map[string]string{"address": "192.0.2.2"}); got != http.StatusInternalServerError {
		t.Errorf("another address's ticket: %d", got)
	}
	s.tickets.most = len(s.tickets.all)
	if got := s.call("POST", "/ticket", "", header).Code; got != http.StatusServiceUnavailable {
		t.Errorf("past all that may be: %d", got)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestATicketForARoom(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	token := s.signIn("ana")
	for _, body := range []string{`{"room":"Lobby"}`, `{"room":""}`, `{"room":5}`, `{"Room":"lobby"}`, `{"room":null}`, `{"room":"lobby","room":"lobby"}`,
		`{"room":"lobby"} x`, `[]`, `nonsense`, `{"room":"lobby","more":1}`, `{"room":"` + strings.Repeat("x", 5000) + `"}`} {
		if got := s.call("POST", "/ticket", body, map[string]string{"Authorization": "Bearer " + token}); got.Code != http.StatusBadRequest {
			t.Errorf("%.40s: %d %s", body, got.Code, got.Body)
		}
	}
	kind := map[string]string{"Authorization": "Bearer " + token, "Content-Type": "text/plain"}
	if got := s.call("POST", "/ticket", `{"room":"lobby"}`, kind).Code; got != http.StatusUnsupportedMediaType {
		t.Errorf("plain text: %d", got)
	}
	for _, body := range []string{``, ` `, `{}`} {
		if got := s.knock("kitchen", s.ticket(token, body), nil); got != http.StatusInternalServerError {
			t.Errorf("a ticket for %q, which is any room: %d", body, got)
		}
	}
	mine := s.ticket(token, `{"room":"lobby"}`)
	for _, c := range []struct {
		room string
		want int
	}{{"kitchen", 401}, {"lobby", 500}, {"lobby", 401}} {
		if got := s.knock(c.room, mine, nil); got != c.want {
			t.Errorf("%s: %d, want %d", c.room, got, c.want)
		}
	}
}

func TestATicketOfAnotherNode(t *testing.T) {
	nats := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), nats, Limits{}), openSite(t, t.TempDir(), nats, Limits{})
	token := one.signIn("ana")
	mine := one.ticket(token, `{"room":"lobby"}`)
	for _, c := range []struct {
		room, ticket string
		want         int
	}{
		{"kitchen", mine, 401},
		{"lobby", mine + "x", 401},
		{"lobby", "abcdefgh" + mine[8:], 401},
		{"lobby", mine, 500},
		{"lobby", mine, 401},
	} {
		if got := two.knock(c.room, c.ticket, nil); got != c.want {
			t.Errorf("%s with %s: %d, want %d", c.room, c.ticket, got, c.want)
		}
	}
	spent := one.ticket(token, "")
	if got := one.knock("lobby", spent, nil); got != 500 {
		t.Errorf("at the node that issued it: %d", got)
	}
	if got := two.knock("lobby", spent, nil); got != 401 {
		t.Errorf("and then at another: %d", got)
	}
	lost := one.ticket(token, "")
	one.end()
	timetest.Soon(t, redeemTime/2, func() {
		if got := two.knock("lobby", lost, nil); got != 401 {
			t.Errorf("when its node has ended: %d", got)
		}
	})
}

// The answer to a redemption is lost: the same question gets it again, another redemption does not.
func TestARedemptionWhoseAnswerIsLost(t *testing.T) {
	nats := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), nats, Limits{}), openSite(t, t.TempDir(), nats, Limits{})
	secret := one.ticket(one.signIn("ana"), "")[9:]
	r := redemption{ID: "first", Ticket: secret, Address: "192.0.2.1"}
	if _, err := one.tickets.redeem(r, never, time.Now()); err != nil { // its answer does not arrive
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if user, err := two.redeem(ctx, one.node, r); err != nil || user.Name != "ana" {
		t.Errorf("the same redemption: %v, %v", user, err)
	}
	r.ID = "second"
	if _, err := two.redeem(ctx, one.node, r); err == nil {
		t.Error("another redemption took it as well")
	}
}

// While NATS is away another node's ticket is not refused, for it may be good: 503, and soon.
func TestATicketWithoutABroker(t *testing.T) {
	nats := natstest.JetStream(t, t.TempDir(), 0)
	url := nats.ClientURL()
	one, two := openSite(t, t.TempDir(), url, Limits{}), openSite(t, t.TempDir(), url, Limits{})
	token := one.signIn("ana")
	mine := one.ticket(token, "")
	natstest.Stop(nats)
	timetest.Soon(t, redeemTime+time.Second, func() {
		if got := two.knock("lobby", mine, nil); got != http.StatusServiceUnavailable {
			t.Errorf("got %d", got)
		}
	})
	if got := one.knock("lobby", mine, nil); got != http.StatusInternalServerError {
		t.Errorf("at its own node: %d", got)
	}
}

// openFake is a node that says of each ticket what the test wants, and returns its id.
func openFake(t *testing.T, nats string, asked func(data []byte, answer func([]byte))) (id string) {
	t.Helper()
	b, err := broker.Open(context.Background(), broker.Config{URL: nats, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	bus, err := b.OpenBus(context.Background(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	bus.Serve(func(string, string, []byte) {}, func(_ string, data []byte, answer func([]byte)) { asked(data, answer) }, func() {})
	return bus.Node()
}

// The node that issued a ticket may not know yet that its session has ended. The one that it comes to may.
func TestATicketOfASessionThatEnded(t *testing.T) {
	nats := natstest.Start(t)
	s := openSite(t, t.TempDir(), nats, Limits{})
	id := openFake(t, nats, func(data []byte, answer func([]byte)) {
		var r redemption
		if err := json.Unmarshal(data, &r); err != nil {
			t.Error(err)
		}
		answer([]byte(`{"ID":"` + r.Ticket + `","Name":"ana"}`))
	})
	if err := s.ended.Add(context.Background(), "ended"); err != nil {
		t.Fatal(err)
	}
	for session, want := range map[string]int{"ended": 401, "another": 500} {
		if got := s.knock("lobby", id+"."+session, nil); got != want {
			t.Errorf("%s: %d, want %d", session, got, want)
		}
	}
}

// A node that hangs is asked again, and in the end it is not available.
func TestATicketOfANodeThatHangs(t *testing.T) {
	nats := natstest.Start(t)
	two := openSite(t, t.TempDir(), nats, Limits{})
	questions := make(chan string, 10)
	id := openFake(t, nats, func(data []byte, answer func([]byte)) {
		questions <- string(data)
		if len(questions) == 5 {
			answer([]byte(`{"ID":"id","Name":"ana"}`))
		}
	})
	if got := two.knock("lobby", id+".secret", nil); got != http.StatusServiceUnavailable {
		t.Errorf("it hangs: %d", got)
	}
	if first, second := <-questions, <-questions; first != second || !strings.Contains(first, "secret") {
		t.Errorf("asked %s, and then %s", first, second)
	}
	for len(questions) < 3 {
		questions <- ""
	}
	if got := two.knock("lobby", id+".secret", nil); got != http.StatusInternalServerError {
		t.Errorf("it answers the second question: %d", got)
	}
}
