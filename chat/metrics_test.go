package chat

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/websocket"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/hub"
	"echows/internal/metrictest"
	"echows/internal/natstest"
	"echows/internal/pgtest"
	"echows/internal/proxytest"
)

// talker is a connection to a room that says and hears one thing at a time.
type talker struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial connects a session to a room, with what else the query has.
func (s *site) dial(token, room, query string) *talker {
	s.t.Helper()
	header := map[string]string{"Authorization": "Bearer " + token, "address": "127.0.0.1"}
	ticket := s.field(s.call("POST", "/ticket", "", header), http.StatusCreated, "ticket")
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/ws/chat/"+room+"?ticket="+ticket+query, "", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &talker{s.t.(*testing.T), conn}
}

// answer says something, and returns the next answer that is an ack or an error.
func (k *talker) answer(said string) (got struct {
	Type, Code, ID string
	Seq            uint64
}) {
	k.t.Helper()
	if err := websocket.Message.Send(k.conn, said); err != nil {
		k.t.Fatal(err)
	}
	for {
		var data []byte
		if err := websocket.Message.Receive(k.conn, &data); err != nil {
			k.t.Fatal(err)
		}
		if err := json.Unmarshal(data, &got); err != nil {
			k.t.Fatal(err)
		}
		if got.Type == "ack" || got.Type == "error" {
			return got
		}
	}
}

// expectMetrics compares some metrics: names with their label's name and value, if any, and what they are.
func expectMetrics(t *testing.T, c prometheus.Collector, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		parts := strings.Fields(name)
		if got := metrictest.Value(t, c, "echows_"+parts[0], parts[1:]...); got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
}

func TestMetricsOfPosts(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{Posts: 6}) // twelve at once
	s.echo.POST("/chat/:room/messages", s.Post, s.RequireSession)
	token := s.signIn("ana")
	ana := s.dial(token, "lobby", "")
	first := ana.answer(`{"type":"post","id":"1","text":"hello"}`)
	for said, code := range map[string]string{
		`{"type":"post","id":"2","text":"hello"}`: "",
		`{"type":"post","id":"1","text":"hello"}`: "",
		`not JSON`:                            "bad_json",
		`{"type":"dance"}`:                    "unknown_type",
		`{"type":"post","id":"3","text":" "}`: "bad_text",
		`{"type":"post","text":"hello"}`:      "bad_id",
	} {
		if got := ana.answer(said); got.Code != code {
			t.Errorf("%s is answered with %+v", said, got)
		}
	}
	s.call("POST", "/chat/lobby/messages", `{"id":"4","text":"hello"}`, map[string]string{"Authorization": "Bearer " + token})
	s.call("POST", "/chat/lobby/messages", `{"id":"4"}`, map[string]string{"Authorization": "Bearer " + token})
	expectMetrics(t, s.Collector(), map[string]float64{
		"chat_posts_total result stored":       3,
		"chat_posts_total result repeated":     1,
		"chat_posts_total result bad_json":     1,
		"chat_posts_total result unknown_type": 1,
		"chat_posts_total result bad_text":     2,
		"chat_posts_total result bad_id":       1,
		"chat_posts_total result rate_limited": 0,
		"chat_posts_total result unavailable":  0,
		"chat_post_seconds":                    3,
		"limits_reached_total limit posts":     0,
	})

	// Past the limit, by either way.
	few := openSite(t, t.TempDir(), "", Limits{Posts: rate.Every(time.Hour)}) // one, and no more while the test runs
	few.echo.POST("/chat/:room/messages", few.Post, few.RequireSession)
	cem := few.signIn("cem")
	posts := few.dial(cem, "lobby", "")
	for i, code := range []string{"", "rate_limited"} {
		if got := posts.answer(fmt.Sprintf(`{"type":"post","id":"more %d","text":"hello"}`, i)); got.Code != code {
			t.Errorf("post %d: %+v", i, got)
		}
	}
	for i, want := range []int{http.StatusCreated, http.StatusTooManyRequests} {
		said := fmt.Sprintf(`{"id":"by request %d","text":"hello"}`, i)
		if got := few.call("POST", "/chat/lobby/messages", said, map[string]string{"Authorization": "Bearer " + cem}).Code; got != want {
			t.Errorf("post %d by request: %d", i, got)
		}
	}
	expectMetrics(t, few.Collector(), map[string]float64{"chat_posts_total result rate_limited": 2, "limits_reached_total limit posts": 2})
	bea := s.dial(token, "lobby", "")
	s.addressPosts = limiter(rate.Every(time.Hour), 1)
	bea.answer(`{"type":"post","id":"7","text":"hello"}`)
	bea.answer(`{"type":"post","id":"8","text":"hello"}`)
	expectMetrics(t, s.Collector(), map[string]float64{
		"chat_posts_total result rate_limited":     1,
		"limits_reached_total limit posts":         0,
		"limits_reached_total limit address_posts": 1,
	})

	// Without a broker, by either way.
	s.addressPosts, s.userPosts = limiter(rate.Inf, 1), limiter(rate.Inf, 1)
	s.broker.Close()
	if got := bea.answer(`{"type":"post","id":"9","text":"hello"}`); got.Code != "unavailable" || got.ID != "9" {
		t.Errorf("without a broker: %+v", got)
	}
	s.call("POST", "/chat/lobby/messages", `{"id":"9","text":"hello"}`, map[string]string{"Authorization": "Bearer " + token})
	expectMetrics(t, s.Collector(), map[string]float64{"chat_posts_total result unavailable": 2})
	if first.Seq == 0 {
		t.Error("the first has no sequence")
	}
}

func TestMetricsOfRoomsAndRecoveries(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	token := s.signIn("ana")
	ana := s.dial(token, "lobby", "")
	first := ana.answer(`{"type":"post","id":"1","text":"hello"}`).Seq
	expectMetrics(t, s.Collector(), map[string]float64{
		"chat_rooms": 1, "chat_members": 1, "chat_histories_total": 1,
		"chat_recoveries_total result complete": 0, "chat_recoveries_total result incomplete": 0,
	})
	back := func(query string) {
		t.Helper()
		s.dial(token, "lobby", query).answer("{}") // after its history
	}
	back(fmt.Sprint("&after=", first))
	back("&after=0")                     // it missed nothing, as it never was there
	back(fmt.Sprint("&after=", first+1)) // of another stream
	back("&after=1")
	expectMetrics(t, s.Collector(), map[string]float64{
		"chat_members": 5, "chat_histories_total": 5,
		"chat_recoveries_total result complete": 1, "chat_recoveries_total result incomplete": 2,
	})
	ana.conn.Close()
	eventually(t, "one is gone", func() bool { return metrictest.Value(t, s.Collector(), "echows_chat_members") == 4 })
}

func TestMetricsOfTicketsAndSessions(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	token := s.signIn("ana")
	s.signIn("bea")
	with := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	s.call("GET", "/session", "", nil)            // without one nothing is refused
	s.call("GET", "/session", "", with("forged")) // and this is
	ticket := s.ticket(token, "")
	s.knock("lobby", ticket, nil)
	for _, bad := range []string{ticket, "none", "other.ticket"} {
		if got := s.knock("lobby", bad, nil); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", bad, got)
		}
	}
	s.call("DELETE", "/session", "", with(token))
	s.call("DELETE", "/session", "", with(token)) // which is over
	s.call("GET", "/session", "", with(token))
	expectMetrics(t, s.Collector(), map[string]float64{
		"chat_tickets_total result issued":   1,
		"chat_tickets_total result redeemed": 1,
		"chat_tickets_total result refused":  3,
		"chat_sessions_total event begun":    2,
		"chat_sessions_total event ended":    1,
		"chat_sessions_total event refused":  2,
		"limits_reached_total limit tickets": 0,
	})
	s.tickets.mostOne = 0
	s.call("POST", "/ticket", "", with(s.signIn("cem")))
	s.tickets.mostOne, s.tickets.most = 1, 0
	s.call("POST", "/ticket", "", with(s.signIn("dan")))
	expectMetrics(t, s.Collector(), map[string]float64{"limits_reached_total limit address_tickets": 1, "limits_reached_total limit tickets": 1})
}

// A body that is too long, and a sign-out for which there is no room, reach limits, too.
func TestMetricsOfBodiesAndSignOuts(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	with := map[string]string{"Authorization": "Bearer " + s.signIn("ana")}
	long := strings.Repeat(" ", maxBody+1)
	for path, body := range map[string]string{"/session": long + `{"name":"bea"}`, "/ticket": long} {
		if got := s.call("POST", path, body, with).Code; got != http.StatusBadRequest {
			t.Errorf("%s: %d", path, got)
		}
	}
	s.call("POST", "/session", "no JSON", nil) // which reaches no limit
	var err error
	if s.ended, err = s.broker.OpenSet(t.Context(), broker.SetConfig{Name: "small", MaxAge: time.Hour, MaxBytes: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	for s.call("DELETE", "/session", "", map[string]string{"Authorization": "Bearer " + s.signIn("ana")}).Code == http.StatusNoContent {
	}
	expectMetrics(t, s.Collector(), map[string]float64{"limits_reached_total limit body": 2, "limits_reached_total limit ended_sessions": 1})
}

func TestMetricsOfLimits(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{Sessions: rate.Every(time.Hour), Connects: rate.Every(time.Hour)})
	for name, limit := range map[string]echo.MiddlewareFunc{
		limitSessions: s.LimitSessions(), limitSignOuts: s.LimitSignOuts(), limitReads: s.LimitReads(),
		limitConnects: s.LimitTickets(), limitConnects + " ": s.LimitUpgrades(),
	} {
		path := "/limited/" + strings.TrimSpace(name) + fmt.Sprint(len(name))
		s.echo.GET(path, func(ctx echo.Context) error { return ctx.NoContent(http.StatusNoContent) }, limit)
		for i, want := range []int{http.StatusNoContent, http.StatusTooManyRequests} {
			res := s.call("GET", path, "", nil)
			if res.Code != want || want == http.StatusTooManyRequests && res.Header().Get("Retry-After") == "" {
				t.Errorf("%s: request %d is answered with %d", name, i, res.Code)
			}
		}
	}
	expectMetrics(t, s.Collector(), map[string]float64{
		"limits_reached_total limit address_sessions":  1,
		"limits_reached_total limit address_sign_outs": 1,
		"limits_reached_total limit address_reads":     1,
		"limits_reached_total limit address_connects":  2,
	})
}

// The set has room for all sign-outs of one address in twelve hours: a hundred at once, and one a second.
func TestSignOutsAreRarerThanSessions(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	s.echo.GET("/limited", func(ctx echo.Context) error { return ctx.NoContent(http.StatusNoContent) }, s.LimitSignOuts())
	taken := 0
	for s.call("GET", "/limited", "", nil).Code == http.StatusNoContent {
		taken++
	}
	if taken < 100 || taken > 110 {
		t.Errorf("%d at once", taken)
	}
	const entry = 66 // bytes of one on disk
	if a := 12 * time.Hour / time.Second; int(a)*entry > endedBytes/10 {
		t.Errorf("one address takes a tenth of the set")
	}
}

func TestMetricsOfTheArchive(t *testing.T) {
	address := pgtest.Start(t).Addr()
	network := proxytest.Start(t, address)
	n := startNode(t, natstest.Start(t), pgtest.URL(network.Addr(), "postgres"), 1000)
	n.post("lobby", 3)
	openAdmin(t, address, "postgres").await(rowCount, 3)
	c := &Chat{archive: n.archive, counts: newCounters(), presence: newPresence(hub.New(), slog.New(slog.DiscardHandler), nil)}
	n.ready("", patience)
	// Rows are counted a moment after they are committed, and gaps when the table has been compared with the stream.
	eventually(t, "all are counted", func() bool { return n.archive.stats().Copied == 3 && n.archive.stats().Known })
	expectMetrics(t, c.Collector(), map[string]float64{"archive_up": 1, "archive_gaps": 0, "archive_missing_messages": 0})
	network.Cut()
	n.ready("it cannot be reached", patience)
	expectMetrics(t, c.Collector(), map[string]float64{"archive_up": 0, "archive_copied_total": 3})
	n.cancel()
	n.running.Wait() // nobody else writes these
	n.archive.mu.Lock()
	n.archive.lacks = lacking{gaps: 2, messages: 7}
	n.archive.wanted, n.archive.since = 1<<60, time.Now().Add(-time.Minute)
	n.archive.mu.Unlock()
	expectMetrics(t, c.Collector(), map[string]float64{"archive_gaps": 2, "archive_missing_messages": 7})
	if got := metrictest.Value(t, c.Collector(), "echows_archive_behind_seconds"); got < 60 {
		t.Errorf("behind by %v s", got)
	}
	c.archive = nil
	if metrictest.Has(t, c.Collector(), "echows_archive_up") || !metrictest.Has(t, c.Collector(), "echows_archive_gaps") {
		t.Error("without a database there is archive_up, or no archive_gaps")
	}
}

// A result that nobody has thought of would be a panic.
func TestEveryCodeIsCounted(t *testing.T) {
	n := newCounters()
	for _, c := range []code{codeBadJSON, codeNotJSON, codeTooLong, codeLongText, codeUnknownType, codeBadID, codeBadText, codeRateLimited, codeUnavailable} {
		n.post(c.name)
	}
	if n.posts[codeBadJSON.name].Load() != 3 {
		t.Error("not all are counted")
	}
}
