package ws_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"echows/ws"
)

func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second one empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Memory follows what has arrived, whatever was announced.
func TestAShortPartOfAMessageHoldsLittleMemory(t *testing.T) {
	const peers = 300
	for name, sent := range map[string]string{
		"a fragment":            part(opText, "x"),
		"a tenth of a fragment": part(opText, strings.Repeat("x", 100))[:17],
		"of a megabyte":         frame("1 000 0010 1 1111111 "+strings.Repeat("00000000 ", 5)+"00001111 00000000 00000000", "x"),
		"half a header":         "\x81",
		"half a ping":           whole(opPing, strings.Repeat("p", 100))[:60],
	} {
		t.Run(name, func(t *testing.T) {
			app, addr := serve(t, ws.Config{}, echoRoute)
			var all []*peer
			for range peers {
				all = append(all, dial(t, addr, "/echo"))
			}
			before := heap()
			for _, p := range all {
				p.send(whole(opText, "seen") + sent)
			}
			for _, p := range all {
				p.expect("text seen")
			}
			if each := (int(heap()) - int(before)) / peers; each > 2000 {
				t.Errorf("%d bytes for each peer", each)
			}
			if app.Len() != peers {
				t.Errorf("%d sockets are left", app.Len())
			}
		})
	}
}

// Refusals are logged once a second, with how many were left out.
func TestManyRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		e := echo.New()
		app := ws.New(e, ws.Config{MaxSockets: 1, Logger: log.logger()})
		app.WS("/", func(*ws.Socket, echo.Context) error { return nil })
		app.Admit("192.0.2.1")
		refuse := func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			} {
				r.Header.Set(name, value)
			}
			answer := httptest.NewRecorder()
			if e.ServeHTTP(answer, r); answer.Code != http.StatusServiceUnavailable {
				t.Errorf("answered with %d", answer.Code)
			}
		}
		for range 3 {
			refuse()
		}
		time.Sleep(time.Second)
		refuse()
		if log.count("connection refused") != 2 || log.count("connection refused", `"left out since the last such line"=2`) != 1 {
			t.Errorf("logged %s", log)
		}
		app.Shutdown(t.Context())
	})
}

func TestAMessageThatTakesTooLong(t *testing.T) {
	handler, ended := endings(echoBack)
	bubble(t, ws.Config{PingInterval: time.Hour, MessageTimeout: 30 * time.Second}, handler, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		text := strings.Repeat("slow", 10)
		message := whole(opText, text)
		p.send(message[:20])
		for range 5 { // each takes 20 s, one right behind the other
			time.Sleep(20 * time.Second) // the bubble's time
			p.send(message[20:] + message[:20])
			p.expect("text " + text)
		}
		time.Sleep(20 * time.Second)
		p.send(message[20:])
		p.expect("text " + text)
		time.Sleep(time.Minute) // nothing is under way
		p.send(part(opText, "x"))
		start := time.Now()
		time.Sleep(20 * time.Second)
		p.send(whole(opPong, "")) // a sign of life, and no part of the message
		p.expect("close 1008 the message took too long to arrive")
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("after %v", took)
		}
		p.send(closing(1008, ""))
		p.expect("end")
		if got := <-ended; got.code != ws.ClosePolicyViolation {
			t.Errorf("got %v", got)
		}
	})
}

func TestMessagesASecond(t *testing.T) {
	bubble(t, ws.Config{MessageRate: 10}, echoBack, func(t *testing.T, app *ws.App, l pipes) {
		p := l.dial(t, "/")
		go p.conn.Write([]byte(strings.Repeat(whole(opText, "x"), 120)))
		start := time.Now()
		for range 120 {
			p.expect("text x")
		}
		if took := time.Since(start); took < 9900*time.Millisecond || took > 10100*time.Millisecond { // 20 at once, then ten a second
			t.Errorf("120 messages took %v", took)
		}
		if app.Stats().Slowed != 100 {
			t.Errorf("%d were slowed", app.Stats().Slowed)
		}
		go p.conn.Write([]byte(strings.Repeat(whole(opText, "y"), 50)))
		p.expect("text y")
		p.conn.Close() // which ends the wait, too
	})
}

func TestConnectionsAreCounted(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, &logged}, nil))
	app, addr := serve(t, ws.Config{MaxSockets: 5, MaxAddressSockets: 2, Logger: log}, func(e *echo.Echo, app *ws.App) {
		e.IPExtractor = echo.ExtractIPFromXFFHeader()
		e.Use(middleware.RequestIDWithConfig(middleware.RequestIDConfig{Generator: func() string { return "of-the-request" }}))
		app.WS("/echo", echoBack)
		app.WS("/address", func(s *ws.Socket, c echo.Context) error { return s.SendText(s.RealIP()) })
	})
	from := func(ip string) string { return "X-Forwarded-For: " + ip }
	status := func(ip string) int {
		res, _ := ask(t, addr, request("/echo", from(ip)))
		return res.StatusCode
	}
	first := dial(t, addr, "/address", from("192.0.2.1"))
	first.expect("text 192.0.2.1")
	dial(t, addr, "/echo", from("192.0.2.1"))
	if got := status("192.0.2.1"); got != http.StatusTooManyRequests {
		t.Errorf("the third of an address got %d", got)
	}
	dial(t, addr, "/echo", from("2001:db8:1:2::3"))
	dial(t, addr, "/echo", from("2001:db8:1:2:ffff::4"))
	if got := status("2001:db8:1:2:5::6"); got != http.StatusTooManyRequests {
		t.Errorf("the third of a network got %d", got)
	}
	dial(t, addr, "/echo", from("192.0.2.2"))
	if got := status("192.0.2.3"); got != http.StatusServiceUnavailable {
		t.Errorf("the sixth got %d", got)
	}
	first.conn.Close()
	eventually(t, func() bool { return app.Len() == 4 })
	eventually(t, func() bool { return app.Admit("192.0.2.9") == nil }) // its place is free a moment later
	if app.Admit("192.0.2.9") == nil {
		t.Error("what is not a socket is not counted")
	}
	app.Dismiss("192.0.2.9")
	eventually(t, func() bool { return app.Admit("192.0.2.1") == nil })
	if n := app.Stats().Refused; n < 4 {
		t.Errorf("%d were refused", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(logged.String(), `msg="connection refused" id=of-the-request remote=127.0.0.1:`) || !strings.Contains(logged.String(), "this address has reached its limit") {
		t.Errorf("logged: %s", logged.String())
	}
}

// Peers that do not read hold no more than MaxBuffered together; those who read are served.
func TestAllBuffersHaveABound(t *testing.T) {
	const limit = 4 << 20
	handler, ended := endings(echoBack)
	app, addr := serve(t, ws.Config{MaxBuffered: limit, CloseTimeout: 100 * time.Millisecond}, func(e *echo.Echo, app *ws.App) { app.WS("/echo", handler) })
	for range 10 {
		p := dial(t, addr, "/echo")
		p.send(part(opBinary, strings.Repeat("x", 900<<10))) // held until its end comes
	}
	for range 5 {
		if got := wait(t, ended); got.code != ws.CloseTryAgainLater {
			t.Errorf("got %v", got)
		}
	}
	stats := app.Stats()
	if stats.Buffered > limit || stats.Full == 0 {
		t.Errorf("%+v", stats)
	}
	p := dial(t, addr, "/echo")
	p.send(whole(opText, "small"))
	p.expect("text small")
	for s := range app.Sockets() {
		s.Close(ws.CloseGoingAway, "")
	}
	eventually(t, func() bool { return app.Stats().Buffered == 0 })
}

// One address holds a quarter of MaxBuffered at most, so that others go on.
func TestOneAddressHoldsAPart(t *testing.T) {
	const limit, peers = 8 << 20, 12
	log := new(lines)
	handler, ended := endings(echoBack)
	app, addr := serve(t, ws.Config{MaxBuffered: limit, CloseTimeout: 100 * time.Millisecond, Logger: log.logger()}, func(e *echo.Echo, app *ws.App) {
		e.IPExtractor = echo.ExtractIPFromXFFHeader()
		app.WS("/echo", handler)
	})
	from := func(ip string) *peer { return dial(t, addr, "/echo", "X-Forwarded-For: "+ip) }
	half := part(opBinary, strings.Repeat("x", 900<<10))
	for range peers {
		from("192.0.2.1").send(half)
	}
	const most = limit / 4 / (900 << 10) // messages of which all but the end is there
	for range peers - most {
		if got := wait(t, ended); got.code != ws.CloseTryAgainLater || got.reason != "the server holds too much for slow peers of this address" {
			t.Errorf("got %v", got)
		}
	}
	if n := app.Stats().Buffered; n > limit/4 {
		t.Errorf("one address holds %d bytes", n)
	}
	for i := range 3 { // others get as much each
		p := from(fmt.Sprint("192.0.2.", 2+i))
		p.send(half)
		p.send(whole(opContinuation, "end"))
		p.expect("binary " + strings.Repeat("x", 900<<10) + "end")
	}
	got := scrape(t, app)
	if all, address := got[`echows_limits_reached_total{limit="buffered"}`], got[`echows_limits_reached_total{limit="address_buffered"}`]; all != 0 || address < peers-most {
		t.Errorf("counted %v and %v", all, address)
	}
	log.find(t, "level=WARN", "too much is buffered", "limit=address_buffered", " id=")
	if n := log.count("too much is buffered"); n > 3 {
		t.Errorf("%d lines", n)
	}
	for s := range app.Sockets() {
		s.Close(ws.CloseGoingAway, "")
	}
	eventually(t, func() bool { return app.Stats().Buffered == 0 })
}

// Waiting bytes count, however small the messages are.
func TestSmallMessagesAreCharged(t *testing.T) {
	const limit, peers, size, each = 1 << 20, 10, 120, 16 << 20
	var route *ws.Route
	app, addr := serve(t, ws.Config{MaxBuffered: limit, MaxMessage: 64 << 10, SendBuffer: each, CloseTimeout: 100 * time.Millisecond}, func(e *echo.Echo, app *ws.App) {
		route = app.WS("/echo", echoBack)
	})
	for range peers {
		dial(t, addr, "/echo").conn.(*net.TCPConn).SetReadBuffer(4 << 10) // and it never reads
	}
	eventually(t, func() bool { return route.Len() == peers })
	most := 0
	for i := 0; i < each/size && route.Len() > 0; i++ {
		if err := route.Broadcast(ws.Message{Opcode: ws.Binary, Data: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
		if i%1000 > 0 {
			continue
		}
		waits := 0
		for s := range route.Sockets() {
			waits += s.Buffered()
		}
		most = max(most, waits)
	}
	const uncharged = 32 << 10 // of each connection: a small buffer, and what is shared
	if most > limit/4+peers*uncharged {
		t.Errorf("%d bytes wait", most)
	}
	if app.Stats().Full == 0 {
		t.Error("nobody was refused")
	}
}

func TestSettingsOfARoute(t *testing.T) {
	_, addr := serve(t, ws.Config{MaxMessage: 10, Compression: ws.CompressionOn}, func(e *echo.Echo, app *ws.App) {
		app.WS("/app", echoBack)
		app.Group("/group").WSWithConfig("/route", echoBack, ws.RouteConfig{
			MaxMessage: 20, Origins: []string{"https://friend.example"}, Compression: ws.CompressionOff,
		})
	})
	offer := "Sec-WebSocket-Extensions: permessage-deflate"
	for path, most := range map[string]int{"/app": 10, "/group/route": 20} {
		p := dial(t, addr, path)
		p.send(whole(opText, strings.Repeat("x", most)))
		p.expect("text " + strings.Repeat("x", most))
		p.send(whole(opText, strings.Repeat("x", most+1)))
		p.expectClose(ws.CloseTooBig)
		res, _ := ask(t, addr, request(path, offer))
		if got := res.Header.Get("Sec-Websocket-Extensions") != ""; got != (path == "/app") {
			t.Errorf("%s: compressed is %v", path, got)
		}
		res, _ = ask(t, addr, request(path, "Origin: https://friend.example"))
		if got := res.StatusCode == http.StatusSwitchingProtocols; got != (path != "/app") {
			t.Errorf("%s: a friend gets %s", path, res.Status)
		}
	}
	if res, _ := ask(t, addr, request("/app", "Sec-WebSocket-Extensions: permessage-deflate;;")); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a malformed offer gets %s", res.Status)
	}
}

func TestOrigins(t *testing.T) {
	proxy := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		name   string
		cfg    ws.Config
		header []string // the Host is example.com
		want   int
		says   string
	}{
		{"no origin", ws.Config{}, nil, 101, ""},
		{"the host's own page", ws.Config{}, []string{"Origin: http://example.com"}, 101, ""},
		{"with the scheme's port", ws.Config{}, []string{"Origin: http://example.com:80"}, 101, ""},
		{"with TLS that ended before", ws.Config{}, []string{"Origin: https://example.com"}, 101, ""},
		{"a Go client's own URL", ws.Config{}, []string{"Origin: ws://example.com/path"}, 101, ""},
		{"another host", ws.Config{}, []string{"Origin: http://foe.example"}, 403, "allowed origins"},
		{"two origins", ws.Config{}, []string{"Origin: http://example.com", "Origin: http://foe.example"}, 403, "one Origin"},
		{"another scheme", ws.Config{}, []string{"Origin: ftp://example.com"}, 403, "allowed origins"},
		{"a script's scheme", ws.Config{}, []string{"Origin: javascript://example.com"}, 403, "allowed origins"},
		{"null", ws.Config{}, []string{"Origin: null"}, 403, "allowed origins"},
		{"null, where all may", ws.Config{Origins: []string{"*"}}, []string{"Origin: null"}, 101, ""},
		{"a port that a proxy dropped", ws.Config{}, []string{"Origin: http://example.com:8080"}, 403, "proxy_set_header Host $http_host"},
		{"a listed extension", ws.Config{Origins: []string{"chrome-extension://abc"}}, []string{"Origin: chrome-extension://abc"}, 101, ""},
		{"own hosts, of which this is one", ws.Config{Hosts: []string{"example.com"}}, []string{"Origin: http://example.com"}, 101, ""},
		{"own hosts, of which this is none", ws.Config{Hosts: []string{"other.example"}}, []string{"Origin: http://example.com"}, 403, "list of hosts"},
		{"own hosts, and a script", ws.Config{Hosts: []string{"other.example"}}, nil, 101, ""},
		{"a page without TLS of a proxy with TLS", ws.Config{TrustedProxies: proxy}, []string{"Origin: http://example.com", "X-Forwarded-Proto: https"}, 403, "open it over https:"},
		{"a page with TLS of a proxy with TLS", ws.Config{TrustedProxies: proxy}, []string{"Origin: https://example.com", "X-Forwarded-Proto: https"}, 101, ""},
		{"a proxy that nobody trusts", ws.Config{}, []string{"Origin: http://example.com", "X-Forwarded-Proto: https"}, 101, ""},
		{"the host that a proxy names", ws.Config{TrustedProxies: proxy}, []string{"Origin: http://public.example", "X-Forwarded-Host: spoof.example, public.example"}, 101, ""},
		{"the host that a client names", ws.Config{}, []string{"Origin: http://public.example", "X-Forwarded-Host: public.example"}, 403, "allowed origins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := serve(t, c.cfg, echoRoute)
			res, body := ask(t, addr, request("/echo", c.header...))
			if res.StatusCode != c.want || !strings.Contains(body, c.says) {
				t.Errorf("got %s %s", res.Status, body)
			}
		})
	}
}

// Bytes that come together with the request are read, however many.
func TestManyFramesBehindTheHandshake(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	for _, size := range []int{100, 4000, 4096, 5000, 40_000, 200_000} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		var sent strings.Builder
		var want []string
		for i := 0; sent.Len() < size; i++ {
			text := fmt.Sprint(i, strings.Repeat("y", i%300))
			sent.WriteString(whole(opText, text))
			want = append(want, "text "+text)
		}
		shake(t, behind{conn, sent.String()}, "/echo").expect(want...)
	}
}

// A buffer that is pooled belongs to its message until the callback returns.
func TestAMessageStaysDuringItsCallback(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/echo", echoBack)
		app.WS("/held", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				close(held)
				<-release
				return s.Send(m)
			})
			return nil
		})
	})
	mine := strings.Repeat("mine ", 20_000)
	p := dial(t, addr, "/held")
	go io.WriteString(p.conn, whole(opText, mine))
	wait(t, held)
	for range 20 {
		other := dial(t, addr, "/echo")
		theirs := strings.Repeat("their", 20_000)
		go io.WriteString(other.conn, whole(opText, theirs))
		other.expect("text " + theirs)
	}
	close(release)
	p.expect("text " + mine)
}

// Nothing that comes after the close frame is kept, and the closing handshake goes on.
func TestMessagesAfterTheClose(t *testing.T) {
	app, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(ws.Message) error { return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: "no"} })
			return nil
		})
	})
	large := strings.Repeat("x", 900<<10)
	for name, frames := range map[string][]string{
		"whole":        {whole(opBinary, large)},
		"in fragments": {part(opBinary, large), part(0, ""), whole(opPing, ""), part(0, large[:10]), whole(0, large[:100<<10])},
		"several":      {whole(opText, large), whole(opText, ""), whole(opText, large)},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, addr, "/ws")
			p.send(whole(opText, "bad"))
			if got := p.frame(); got.first&0xf != opClose {
				t.Fatalf("got %v", got)
			}
			for _, f := range frames {
				half := len(f) / 2
				p.send(f[:half])
				if n := app.Stats().Buffered; n > 100<<10 {
					t.Errorf("%d bytes are held", n)
				}
				p.send(f[half:])
			}
			p.send(whole(opClose, "\x03\xf0"))
			eventually(t, func() bool { return app.Len() == 0 })
			if n := app.Stats().Buffered; n != 0 {
				t.Errorf("%d bytes are held afterwards", n)
			}
		})
	}
}
