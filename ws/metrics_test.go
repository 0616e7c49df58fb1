package ws_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/ws"
)

// scrape returns an App's metrics, by name and labels as they stand in the text format.
func scrape(t testing.TB, app *ws.App) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(app.Collector())
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if answer.Code != http.StatusOK {
		t.Fatal(answer.Body)
	}
	values := map[string]float64{}
	for line := range strings.Lines(answer.Body.String()) {
		if line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:len(line)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		values[line[:i]] = value
	}
	return values
}

// expectMetrics waits until the metrics have these values: what a callback does is counted a moment later.
func expectMetrics(t testing.TB, app *ws.App, want map[string]float64) {
	t.Helper()
	var name string
	var got float64
	differs := func() bool {
		all := scrape(t, app)
		for n, value := range want {
			if v, ok := all[n]; !ok || v != value {
				name, got = n, v
				return true
			}
		}
		return false
	}
	if !comes(func() bool { return !differs() }) {
		t.Fatalf("%s is %v, want %v", name, got, want[name])
	}
}

func TestTrafficIsCounted(t *testing.T) {
	var room *ws.Route
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/echo/", echoBack)
		room = app.Group("/group").WSWithConfig("/:room", echoBack, ws.RouteConfig{Compression: ws.CompressionOn})
	})
	p := dial(t, addr, "/echo")
	p.send(whole(opText, "one") + whole(opPing, "not counted") + whole(opBinary, "three"))
	p.expect("text one", "pong not counted", "binary three")
	p.send(part(opText, "in ") + whole(opPong, "") + whole(opContinuation, "parts"))
	p.expect("text in parts")
	large := strings.Repeat("x", 100_000)
	p.send(whole(opText, large))
	p.expect("text " + large)
	p.send(whole(opText, "and half of one")[:10])
	expectMetrics(t, app, map[string]float64{
		`echows_connections{route="/echo/",transport="websocket"}`:             1,
		`echows_connections_total{route="/echo/",transport="websocket"}`:       1,
		`echows_messages_received_total{route="/echo/"}`:                       4,
		`echows_messages_sent_total{route="/echo/"}`:                           4,
		`echows_received_bytes_total{route="/echo/"}`:                          3 + 5 + 8 + 100_000,
		`echows_sent_bytes_total{route="/echo/"}`:                              3 + 5 + 8 + 100_000,
		`echows_connections{route="/group/:room",transport="websocket"}`:       0,
		`echows_connections_total{route="/group/:room",transport="websocket"}`: 0,
		`echows_messages_received_total{route="/group/:room"}`:                 0,
	})
	p.conn.Close()

	offer := "Sec-WebSocket-Extensions: permessage-deflate"
	members := []*peer{dial(t, addr, "/group/a"), dial(t, addr, "/group/b", offer), dial(t, addr, "/group/b", offer)}
	eventually(t, func() bool { return room.Len() == len(members) })
	text := strings.Repeat("the same again ", 100)
	if err := room.Broadcast(ws.Message{Opcode: ws.Text, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	two, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte("a")}, ws.Message{Opcode: ws.Text, Data: []byte("bc")})
	if err != nil {
		t.Fatal(err)
	}
	for s := range room.Sockets() {
		if err := s.SendPrepared(two); err != nil {
			t.Error(err)
		}
		if err := s.TrySendPrepared(two); err != nil {
			t.Error(err)
		}
		if err := s.SendText(text); err != nil { // compressed by itself
			t.Error(err)
		}
	}
	expectMetrics(t, app, map[string]float64{
		`echows_connections{route="/echo/",transport="websocket"}`:             0,
		`echows_connections_total{route="/echo/",transport="websocket"}`:       1,
		`echows_connections{route="/group/:room",transport="websocket"}`:       3,
		`echows_connections_total{route="/group/:room",transport="websocket"}`: 3,
		`echows_messages_sent_total{route="/group/:room"}`:                     3 * (1 + 2 + 2 + 1),
		`echows_sent_bytes_total{route="/group/:room"}`:                        3 * float64(2*len(text)+3+3),
	})
}

// A message that is never written was queued all the same; one that was not queued was not sent.
func TestTrafficOfAConnectionThatEnds(t *testing.T) {
	said := make(chan error, 2)
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				s.Close(ws.CloseNormal, "")
				said <- s.SendText("too late")
				return nil
			})
			return nil
		})
	})
	p := dial(t, addr, "/")
	p.send(whole(opText, "one") + whole(opText, "two"))
	p.expect("close 1000")
	if err := wait(t, said); err == nil {
		t.Error("it was sent")
	}
	expectMetrics(t, app, map[string]float64{
		`echows_messages_received_total{route="/"}`: 1, // the second came after our close frame
		`echows_messages_sent_total{route="/"}`:     0,
		`echows_received_bytes_total{route="/"}`:    3,
	})
}

func TestOneMessageInSixtyFourIsMeasured(t *testing.T) {
	app, addr := serve(t, ws.Config{}, echoRoute)
	const connections, messages = 10, 200
	for range connections {
		p := dial(t, addr, "/echo")
		for range messages {
			p.send(whole(opText, "x"))
			p.expect("text x")
		}
	}
	got := scrape(t, app)
	most := connections * messages / 64.
	if n := got[`echows_message_handling_seconds_count{route="/echo"}`]; n < most-connections || n > most+connections {
		t.Errorf("%v of %v messages were measured", n, connections*messages)
	}
	if sum := got[`echows_message_handling_seconds_sum{route="/echo"}`]; sum <= 0 {
		t.Errorf("they took %v s", sum)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	no := func(echo.HandlerFunc) echo.HandlerFunc {
		return func(echo.Context) error { return echo.ErrUnauthorized }
	}
	var app *ws.App
	check := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := app.CheckHandshake(c); err != nil {
				return err
			}
			return next(c)
		}
	}
	app, addr := serve(t, ws.Config{MaxSockets: 1, Compression: ws.CompressionOn}, func(e *echo.Echo, a *ws.App) {
		a.WS("/ws", echoBack)
		a.WS("/no", echoBack, no)
		a.WS("/checked", echoBack, check)
		e.GET("/page", func(c echo.Context) error { return c.String(200, "a page") })
	})
	want := map[string]float64{}
	for _, reason := range []string{"origin", "version", "key", "method", "limit", "shutdown", "middleware", "other"} {
		want[`echows_upgrades_refused_total{reason="`+reason+`"}`] = 0
	}
	expectMetrics(t, app, want)
	refuse := func(name, reason, request string) {
		t.Run(name, func(t *testing.T) {
			ask(t, addr, request)
			if reason != "" {
				want[`echows_upgrades_refused_total{reason="`+reason+`"}`]++
			}
			expectMetrics(t, app, want)
		})
	}
	change := func(path, old, new string) string { return strings.Replace(request(path), old, new, 1) }
	for _, path := range []string{"/ws", "/ws/", "/checked"} {
		refuse(path+" from a foreign page", "origin", request(path, "Origin: https://foe.example"))
		refuse(path+" in version 8", "version", change(path, "Version: 13", "Version: 8"))
		refuse(path+" without a key", "key", change(path, "Key", "Kea"))
		refuse(path+" by POST", "method", change(path, "GET", "POST"))
		refuse(path+" as a page", "method", "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		refuse(path+" with a body", "other", request(path, "Content-Length: 1")+"x")
		refuse(path+" with nonsense", "other", request(path, "Sec-WebSocket-Extensions: ;"))
	}
	refuse("a long head", "other", request("/ws", "X-Long: "+strings.Repeat("x", 17<<10)))
	refuse("middleware", "middleware", request("/no"))
	refuse("another path", "", request("/nowhere"))
	refuse("a page", "", request("/page"))
	refuse("a page by POST", "", strings.Replace(request("/page"), "GET", "POST", 1))
	p := dial(t, addr, "/ws")
	refuse("one too many", "limit", request("/ws"))
	refuse("one too many, as middleware finds", "limit", request("/checked"))
	want[`echows_limits_reached_total{limit="sockets"}`] = 2
	want[`echows_limits_reached_total{limit="address_sockets"}`] = 0
	expectMetrics(t, app, want)
	p.send(closing(1000, ""))
	p.expect("close 1000")
	if err := app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuse("a shutdown", "shutdown", request("/ws"))
}

func TestClosesAreCounted(t *testing.T) {
	app, addr := serve(t, ws.Config{}, echoRoute)
	for _, code := range []ws.CloseCode{1000, 1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4999} {
		dial(t, addr, "/echo").send(closing(uint16(code), ""))
	}
	dial(t, addr, "/echo").send(whole(opClose, "")) // 1005
	dial(t, addr, "/echo").send(whole(3, ""))       // 1002
	dial(t, addr, "/echo").conn.Close()             // 1006
	want := map[string]float64{`echows_closes_total{code="1000"}`: 2, `echows_closes_total{code="other"}`: 3}
	for _, code := range []string{"1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1011", "1012", "1013"} {
		want[`echows_closes_total{code="`+code+`"}`] = 1
	}
	expectMetrics(t, app, want)
}

// A client that does not read is counted as slow once, whether a broadcast or a reply found that out.
func TestSlowClientsAreCounted(t *testing.T) {
	text := strings.Repeat("x", 1<<20)
	handler, ended := endings(func(s *ws.Socket, _ echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			for {
				if err := s.SendText(text); err != nil {
					return err
				}
			}
		})
		return nil
	})
	app, addr := serve(t, ws.Config{WriteTimeout: 50 * time.Millisecond}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	p := dial(t, addr, "/")
	p.send(whole(opText, "go"))
	if got := wait(t, ended); got.code != ws.CloseAbnormal {
		t.Errorf("got %v", got)
	}
	expectMetrics(t, app, map[string]float64{
		`echows_slow_closed_total{transport="websocket"}`:   1,
		`echows_silent_closed_total{transport="websocket"}`: 0,
		`echows_closes_total{code="1006"}`:                  1,
	})
}

func TestSilentClientsAreCounted(t *testing.T) {
	bubble(t, ws.Config{}, echoBack, func(t *testing.T, app *ws.App, l pipes) {
		l.dial(t, "/").expect("ping", "ping", "end")
		synctest.Wait()
		got := scrape(t, app)
		if n := got[`echows_silent_closed_total{transport="websocket"}`]; n != 1 {
			t.Errorf("%v were silent", n)
		}
		if n := got[`echows_slow_closed_total{transport="websocket"}`]; n != 0 {
			t.Errorf("%v were slow", n)
		}
	})
}
