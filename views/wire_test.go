package views_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"echows/socketio"
	"echows/views"
	"echows/ws"
)

// servePages serves the first and the third lesson's pages as the program does, and a test's own routes. It returns the address.
func servePages(t *testing.T, add func(*echo.Echo, *ws.App)) string {
	t.Helper()
	e := echo.New()
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{ContentSecurityPolicy: views.Policy}))
	app := ws.New(e, ws.Config{})
	pages := views.New()
	e.GET("/", pages.Show("index"))
	e.GET("/rooms", pages.Show("rooms"))
	unhurried(t, e, new(atomic.Bool))
	e.GET("/*", views.Static)
	add(e, app)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Cleanup(func() { app.Shutdown(context.Background()) })
	return server.URL
}

const answer = `{"append":true,"returnText":"I am using websockets!"}`

// answering behaves like the first lesson's server.
func answering(_ *echo.Echo, app *ws.App) {
	app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
		s.OnMessage(func(ws.Message) error { return s.SendText(answer) })
		return nil
	})
}

const (
	wireRows  = `[...document.querySelectorAll(".wire-row")].map((row) => row.innerText.replaceAll(/\s+/g, " "))`
	wireHeld  = `[...document.querySelectorAll(".wire-held")].map((one) => one.textContent)`
	wireState = `document.querySelector(".wire-state").textContent`
)

// openWire opens the panel by its button.
func (b *browser) openWire() {
	b.t.Helper()
	b.do(chromedp.Click(".wire-opener"))
	b.until(`document.querySelector("#wire-panel")?.hidden === false`)
}

// press clicks a button of the panel.
func (b *browser) press(words string) {
	b.t.Helper()
	b.until(`document.querySelector("#wire-panel") !== null`)
	if !evaluate[bool](b, fmt.Sprintf(`(() => {
		const button = [...document.querySelectorAll("#wire-panel button")].find((one) => one.textContent === %q);
		button?.click();
		return button !== undefined;
	})()`, words)) {
		b.t.Fatalf("there is no button %q", words)
	}
}

// pressed waits until a button of the panel is shown as pressed, or not.
func (b *browser) pressed(words string, want bool) {
	b.t.Helper()
	b.until(fmt.Sprintf(`[...document.querySelectorAll("#wire-panel button")].find((one) => one.textContent === %q).getAttribute("aria-pressed") === "%t"`, words, want))
}

// row waits until the panel has a row with all these parts, in this order.
func (b *browser) row(parts ...string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`%s.some((row) => %q.split("|").reduce((from, part) => {
		const at = from < 0 ? -1 : row.indexOf(part, from);
		return at < 0 ? -1 : at + part.length;
	}, 0) >= 0)`, wireRows, strings.Join(parts, "|")))
}

// settled waits until the page has drawn everything that it knows.
func (b *browser) settled() {
	b.t.Helper()
	evaluate[bool](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// The panel shows frames from before it was opened, and then each new one. It is not built before it is opened.
func TestTheWire(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	b.until(connected + " && " + replies + ` === 1 && document.querySelector(".wire-opener") !== null`)
	if got := evaluate[string](b, `document.querySelector("#wire").innerHTML`); strings.Contains(got, "section") || evaluate[int](b, `document.querySelectorAll("#wire *").length`) != 1 {
		t.Errorf("before it is asked for, there is %s", got)
	}
	b.openWire()
	if got := evaluate[string](b, `document.activeElement.textContent`); got != "The wire" {
		t.Errorf("the focus is at %q", got)
	}
	b.row("connection 1", "connecting to /ws")
	b.row("connection 1", "open")
	b.row("↑ sent", "text", "15 B", `{"loaded":true}`)
	b.row("↓ received", "text", "53 B", "answers 3 after", " ms", "{", `"append": true,`, `"returnText": "I am using websockets!"`, "}")
	b.do(chromedp.Click("#websocket-button"))
	b.row("↑ sent", `{"clicked":true}`)
	b.row("↓ received", "answers 5 after")
	b.until(wireState + ` === "open"`)
	if got := evaluate[string](b, `document.querySelector(".wire-text:last-of-type").textContent`); got != `{"loaded":true}` {
		t.Errorf("a short text is %q", got)
	}
	if got := evaluate[bool](b, `[...document.querySelectorAll(".wire-row time")].every((time) => /^\+\d+\.\d{3} s, at \d\d:\d\d:\d\d[.,]\d{3}/.test(time.textContent) && !isNaN(new Date(time.dateTime)) && time.title !== "")`); !got {
		t.Error("the times are not as they should be")
	}
	b.until(`document.querySelector(".wire-line").points.length === 2`)
	b.until(`/^Round trips: 2, last \d.* ms, median .* ms, longest .* ms$/.test(document.querySelector(".wire-plot").getAttribute("aria-label"))`)
	if got := evaluate[string](b, `(({ role, ariaLive, ariaLabel }) => [role, ariaLive, ariaLabel].join())(document.querySelector(".wire-log"))`); got != "log,off,Frames" {
		t.Errorf("the log is %s", got)
	}

	b.press("Clear")
	b.do(chromedp.Click("#websocket-button"))
	b.row("↑ sent", `{"clicked":true}`)
	if n := evaluate[int](b, wireRows+`.length`); n > 2 {
		t.Errorf("after it was cleared it has %d rows", n)
	}
	b.do(chromedp.Focus(".wire-log"), chromedp.KeyEvent(kb.Escape))
	b.until(`document.querySelector("#wire-panel").hidden && document.activeElement === document.querySelector(".wire-opener")`)
	if got := evaluate[string](b, `document.querySelector(".wire-opener").getAttribute("aria-expanded")`); got != "false" {
		t.Errorf("the button says it is expanded: %s", got)
	}
	b.do(chromedp.KeyEvent("\r"))
	b.until(`!document.querySelector("#wire-panel").hidden`)
	b.press("Close")
	b.until(`document.querySelector("#wire-panel").hidden && !document.documentElement.classList.contains("wire-open")`)

	b.do(chromedp.Navigate(evaluate[string](b, `location.origin`) + "/?wire"))
	b.row("↓ received", "answers 3 after")
	if evaluate[bool](b, `document.activeElement.closest("#wire") !== null`) {
		t.Error("nobody asked for the focus")
	}
}

// Each page has the panel: with ?wire, as the lessons say, with the buttons that they name, or with its button, near the thumb.
func TestTheWireOfEachPage(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	const button = "#wire .wire-opener"
	for _, path := range []string{"/", "/chat", "/chat/kitchen", "/rooms"} {
		for _, size := range [][2]int64{{390, 844}, {320, 568}, {640, 400}, {1280, 844}} {
			b.do(chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+addr+path))
			b.until(`document.querySelector("` + button + `") !== null`)
			if strings.HasPrefix(path, "/chat") { // in the chat, also once there is a name
				b.until(`document.querySelector("#composer").checkVisibility() || document.querySelector("#sign-in").checkVisibility()`)
			}
			b.settled()
			if !evaluate[bool](b, within(button)+` && document.querySelector("`+button+`").offsetHeight >= 36`) {
				t.Errorf("at %v, the button on %s is not in sight", size, path)
			}
		}
		b.do(chromedp.Navigate("http://" + addr + path + "?wire"))
		b.until(`document.querySelector("#wire-panel")?.checkVisibility() === true && document.querySelector(".wire-row, .wire-state") !== null`)
		if got := evaluate[string](b, `["Drop", "Freeze", "Read slowly"].filter((words) => ![...document.querySelectorAll("#wire-panel button")].some((one) => one.textContent === words)).join()`); got != "" {
			t.Errorf("the panel of %s has no button %s", path, got)
		}
		if path == "/chat" {
			b.press("Close")
			b.do(chromedp.SetValue("#name", "ana"), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
			b.until(connected)
		}
	}
}

// To the page, a dropped connection looks as if the network had ended it. The page reconnects.
func TestTheWireDrops(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering) + "/?wire"))
	b.row("answers 3 after")
	evaluate[bool](b, `(() => {
		window.random = Math.random;
		Math.random = () => 1e3; // a long wait
		window.ends = [];
		window.other = new WebSocket("/ws");
		other.addEventListener("close", ({ code, wasClean }) => ends.push([code, wasClean, other.readyState, other === globalThis.other]));
		other.addEventListener("error", () => ends.push("error"));
		return new Promise((opened) => other.onopen = () => opened(true));
	})()`)
	b.press("Drop")
	if got := evaluate[string](b, `JSON.stringify(ends)`); got != `["error",[1006,false,3,true]]` {
		t.Errorf("a socket that is dropped hears %s", got)
	}
	b.until(waiting)
	b.row("ended without a close frame", "1006 abnormal closure (dropped by this panel). The connection ended without a close frame")
	b.row("the page waits 500.0 s, then makes attempt 2")
	b.until(`/^attempt 2 in 4\d\d\.\d s$/.test(` + wireState + `)`)
	first := evaluate[string](b, wireState)
	b.until(fmt.Sprintf(`%s !== %q`, wireState, first)) // it counts
	b.screenshot("wire-dropped")
	b.do(chromedp.Click("#connection-now"))
	b.row("connection 3", "connecting")
	b.until(connected + ` && ` + wireState + ` === "open" && ` + replies + ` === 2`)
	b.settled()
	if got := evaluate[int](b, wireRows+`.filter((row) => row.includes("1000") || row.includes("1005")).length`); got != 0 {
		t.Errorf("%d rows show an end that the page does not see", got)
	}
	// A dropped connection is silent.
	evaluate[bool](b, `(other.send("more"), other.close(), true)`)
	b.settled()
	if evaluate[bool](b, wireRows+`.some((row) => row.includes("more"))`) {
		t.Error("a socket that was dropped still sends")
	}
}

// A frozen connection holds back the messages of both sides until it is thawed.
func TestTheWireFreezes(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history(line(1, "ana", "q2xa", "hello"))
	b.said(1)
	b.openWire()
	b.catchTimers(5_000) // for after that long, the page leaves the connection
	b.press("Freeze")
	b.pressed("Freeze", true)
	b.do(chromedp.SendKeys("#text", "into the cold\r"))
	b.row("↑ sent", "held back", "into the cold")
	m.message(line(2, "ana", "q2xa", "do you hear me"))
	b.row("↓ received", "held back", "do you hear me")
	if len(m.posts) > 0 || len(b.said(1)) != 1 {
		t.Error("a frozen connection lets something through")
	}
	b.screenshot("wire-frozen")
	b.press("Freeze")
	b.pressed("Freeze", false)
	b.said(2)
	if got := m.heard(); got["text"] != "into the cold" {
		t.Errorf("the server hears %v", got)
	}
	b.until(`(held => held.length === 2 && held.every((one) => /^held back \d/.test(one)))(` + wireHeld + `)`)
	m.message(line(3, "ana", "q2xa", "now I do")) // again without a pause
	b.said(3)
}

// A page that expects an answer leaves a frozen connection, and loses no message.
func TestAFrozenConnectionIsLeft(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	b.until(connected)
	b.openWire()
	b.catchTimers(5_000)
	b.press("Freeze")
	b.do(chromedp.SendKeys("#text", "are you there\r"))
	b.row("↑ sent", "held back", "are you there")
	m.message(line(1, "ana", "q2xa", "I am"))
	b.row("↓ received", "held back", "I am")
	b.until(`late.filter((f) => f).length === 1`)
	evaluate[bool](b, `late.find((f) => f)(), true`)
	again := f.next()
	if code := await(t, m.ended, "the frozen connection is kept"); code != ws.CloseNormal {
		t.Errorf("it ended with %v", code)
	}
	again.history(line(1, "ana", "q2xa", "I am"))
	post := again.heard()
	if post["text"] != "are you there" || len(m.posts) > 0 {
		t.Errorf("the server hears %v", post)
	}
	b.row("nothing was heard for 5 s, although an answer was expected: the page abandons the connection")
	b.row("↑ sent", "never delivered", "are you there")
	b.row("the page abandons the frozen connection")
	b.row("↑ sent", "close", "1000 normal closure.")
	b.pressed("Freeze", false)
	b.until(`document.querySelector(".wire-said").textContent === "The page has left the frozen connection."`)
	b.said(1)
	again.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":2}`, post["id"]))
	b.row("↓ received", "answers", "after", `"type": "ack"`)
}

// When reading slowly, messages come one by one, in order, and all together once that ends.
func TestTheWireReadsSlowly(t *testing.T) {
	b := open(t)
	var count atomic.Int32
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				s.SendText(fmt.Sprintf(`{"append":true,"returnText":"reply %d"}`, count.Add(1)))
				if strings.Contains(m.Text(), "bye") {
					return &ws.CloseError{Code: 4000, Reason: "enough"}
				}
				return nil
			})
			return nil
		})
	}) + "/?wire"))
	b.until(replies + " === 1")
	b.press("Read slowly")
	b.pressed("Read slowly", true)
	const clicks = 60 // for half a minute, some are held back
	evaluate[bool](b, fmt.Sprintf(`(() => {
		for (let i = 0; i < %d; i++) document.querySelector("#websocket-button").click();
		return true;
	})()`, clicks))
	b.until(wireHeld + `.filter((one) => one === "held back").length >= 4`)
	b.until(replies + " >= 3") // it continues, slowly
	b.screenshot("wire-slow")
	b.press("Read slowly")
	const texts = `[...document.querySelectorAll("#websocket-returns > p")].map((p) => p.textContent).join()`
	var want []string
	for i := range 1 + clicks {
		want = append(want, fmt.Sprint("reply ", i+1))
	}
	b.until(fmt.Sprintf(`%s === %q`, texts, strings.Join(want, ",")))
	// The close event comes after the messages before it.
	got := evaluate[string](b, `new Promise((done) => {
		const heard = [];
		const socket = new WebSocket("/ws");
		socket.onopen = () => {
			[...document.querySelectorAll("#wire-panel button")].find((one) => one.textContent === "Read slowly").click();
			["one", "two", "bye"].forEach((one) => socket.send(one));
		};
		socket.onmessage = ({ data }) => heard.push(JSON.parse(data).returnText, socket.readyState);
		socket.onclose = ({ code, reason, isTrusted }) => done([...heard, code, reason, socket.readyState].join());
	})`)
	if got != fmt.Sprintf("reply %d,1,reply %d,1,reply %d,1,4000,enough,3", clicks+2, clicks+3, clicks+4) {
		t.Errorf("read slowly, it says %s", got)
	}
	// A page that closes first gets only the close event.
	b.catchTimers(1)
	got = evaluate[string](b, `new Promise((done) => {
		const heard = [];
		const socket = new WebSocket("/ws");
		socket.onopen = () => ["one", "two", "bye"].forEach((one) => socket.send(one));
		socket.onmessage = ({ data }) => heard.push(data);
		const look = async () => {
			const { entries } = await import("/wire-record.js");
			if (!entries.some(({ kind, socket }) => kind === "close" && socket === 3)) {
				requestAnimationFrame(look);
				return;
			}
			const before = heard.length;
			socket.onclose = ({ code }) => done([before < 3, heard.length === before, code, socket.readyState].join());
			socket.close();
		};
		look();
	})`)
	if got != "true,true,4000,3" {
		t.Errorf("left while it is read slowly, it says %s", got)
	}
}

// However much comes, the panel keeps the last frames.
func TestTheWireIsBounded(t *testing.T) {
	b := open(t)
	const flood = 5000
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if !strings.Contains(m.Text(), "clicked") {
					return s.SendBinary(make([]byte, 100_000))
				}
				for i := range flood {
					s.SendText(fmt.Sprintf(`{"number":%d}`, i))
				}
				return s.SendText(`{"long":"` + strings.Repeat("wörld ", 20_000) + `"}`)
			})
			return nil
		})
	}) + "/?wire"))
	b.row("↓ received", "binary", "100.0 kB", "00 00 00", " …")
	b.do(chromedp.Click("#websocket-button"))
	b.row("↓ received", "text", "140.0 kB", `{"long":"wörld wörld`, " …", "The first 4 KiB of 140.0 kB.")
	b.row(fmt.Sprintf(`{"number":%d}`, flood-1))
	if n := evaluate[int](b, `document.querySelectorAll(".wire-rows > *").length`); n > 200 || n < 50 {
		t.Errorf("it has %d rows", n)
	}
	// Between two drawings more may come than can be shown.
	passed := evaluate[string](b, `import("/wire-record.js").then(({ add }) => new Promise((done) => requestAnimationFrame(() => {
		for (let i = 0; i < 180; i++) add({ kind: "event", text: "burst " + i, size: 0 });
		const look = () => {
			const items = [...document.querySelectorAll(".wire-rows > *")];
			if (!items.at(-1).textContent.includes("burst 179")) {
				requestAnimationFrame(look);
				return;
			}
			done([items.at(-51).textContent, items.at(-50).querySelector(".wire-event").textContent].join());
		};
		look();
	})))`)
	if passed != "130 or more came too fast to show.,burst 130" {
		t.Errorf("after many at once it shows %s", passed)
	}
	got := evaluate[string](b, `import("/wire-record.js").then(({ entries }) => [entries.length, Math.max(...entries.map(({ text }) => text?.length ?? 0))].join())`)
	if got != "200,3512" { // characters in 4 KiB
		t.Errorf("it keeps entries, and characters of a text: %s", got)
	}
	b.until(`/^The last 200 are kept; 4,\d+ older ones were removed\.$/.test(document.querySelector(".wire-log .wire-note").textContent)`)
	// A frozen connection breaks when it would have to hold back too much.
	b.press("Clear")
	b.press("Freeze")
	evaluate[bool](b, `(() => {
		for (let i = 0; i <= 1000; i++) document.querySelector("#websocket-button").click();
		return true;
	})()`)
	b.row("1006 abnormal closure (dropped by this panel)")
}

// Under load the panel draws at most four times a second, and makes rows only for new entries.
func TestTheWireUnderLoad(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering) + "/?wire"))
	b.row("answers 3 after")
	got := evaluate[string](b, `import("/wire-record.js").then(({ add }) => new Promise((done) => {
		let drawings = 0, made = 0, frames = 0;
		const observer = new MutationObserver((changes) => {
			drawings += 1;
			made += changes.reduce((sum, { addedNodes }) => sum + addedNodes.length, 0);
		});
		observer.observe(document.querySelector(".wire-rows"), { childList: true });
		const start = performance.now();
		const load = () => {
			for (let i = 0; i < 17; i++) add({ kind: "event", text: "load " + frames, size: 0 });
			frames += 1;
			if (drawings < 4) {
				requestAnimationFrame(load);
				return;
			}
			const most = 1 + Math.floor((performance.now() - start + 20) / 250); // timers may be a little early
			done(drawings <= most && made <= drawings * 51 ? "" : drawings + " drawings, not " + most + ", " + made + " rows, in " + frames + " frames");
		};
		load();
	}))`)
	if got != "" {
		t.Error(got)
	}
}

// Packets of Socket.IO are named part by part, from either client.
func TestTheWireOfTheRooms(t *testing.T) {
	for _, query := range []string{"?wire", "?wire&client=small"} {
		t.Run(query, func(t *testing.T) {
			b := open(t)
			b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
				io := socketio.New(app, socketio.Config{})
				t.Cleanup(func() { io.Close() })
				greet := func(s *socketio.Socket) error {
					s.On("round trip", func(e socketio.Event) error { return e.Ack() })
					s.On("join", func(e socketio.Event) error { return e.Ack(map[string]bool{"ok": true}) })
					s.On("bytes", func(e socketio.Event) error { return s.Emit("bytes", []byte{1, 2, 3}) })
					return s.Emit("stats", map[string]int{"clients": 1})
				}
				io.OnConnect(greet)
				io.Of("/garden").OnConnect(greet)
			})+"/rooms"+query))
			b.until(connected)
			b.row("↓ received", "0 open", `"sid":`, `"pingInterval": 25000`)
			b.row("↑ sent", "4 message 0 CONNECT", `"name":`)
			b.row("↑ sent", "4 message 0 CONNECT /garden, namespace", `"name":`)
			b.row("↓ received", "answers", "4 message 0 CONNECT /garden, namespace", `"sid":`)
			b.row("↓ received", "4 message 2 EVENT", `event "stats", 1 argument`, `["stats",{"clients":1}]`)
			b.do(chromedp.Click(card("/garden", ".trip button")))
			b.row("↑ sent", "4 message 2 EVENT /garden, namespace", "id: the sender wants an acknowledgement", `event "round trip", 0 arguments`)
			b.row("↓ received", "answers", "4 message 3 ACK /garden, namespace", "id of the event it answers")
			b.until(`document.querySelector(".wire-line").points.length >= 3`)
			b.screenshot("wire-rooms" + strings.ReplaceAll(query, "?", "-"))
			b.press("Drop")
			b.row("1006 abnormal closure")
			b.row("the page waits ", " s, then makes attempt 2")
			b.until(connected + ` && ` + wireState + ` === "open" && ` + wireRows + `.filter((row) => row.includes("/garden") && row.includes("answers")).length === 3`)
		})
	}
}

// Each part of a packet has a name, and together the parts are the packet.
func TestPacketsPartByPart(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	for text, want := range map[string]string{
		`0{"sid":"a"}`:                           `0 open|{"sid":"a"}`,
		`1`:                                      `1 close|`,
		`2`:                                      `2 ping|`,
		`2probe`:                                 `2 ping|probe`,
		`3probe`:                                 `3 pong|probe`,
		`5`:                                      `5 upgrade|`,
		`6`:                                      `6 noop|`,
		`40`:                                     `4 message|0 CONNECT|`,
		`40/garden,{"name":"ana"}`:               `4 message|0 CONNECT|/garden, namespace|{"name":"ana"}`,
		`41/garden,`:                             `4 message|1 DISCONNECT|/garden, namespace|`,
		`42["hello",1]`:                          `4 message|2 EVENT|["hello",1]|event hello`,
		`42/garden,7["join",{"room":"kitchen"}]`: `4 message|2 EVENT|/garden, namespace|7 id: the sender wants an acknowledgement|["join",{"room":"kitchen"}]|event join`,
		`43/garden,7[{"ok":true}]`:               `4 message|3 ACK|/garden, namespace|7 id of the event it answers|[{"ok":true}]`,
		`44{"message":"no"}`:                     `4 message|4 CONNECT_ERROR|{"message":"no"}`,
		`451-["b",{"_placeholder":true,"num":0}]`:  `4 message|5 BINARY_EVENT|1- 1 attachment: that many binary frames follow|["b",{"_placeholder":true,"num":0}]|event b`,
		`462-/g,12[{"_placeholder":true,"num":0}]`: `4 message|6 BINARY_ACK|2- 2 attachments: that many binary frames follow|/g, namespace|12 id of the event it answers|[{"_placeholder":true,"num":0}]`,
		`42[not JSON`:     `4 message|2 EVENT|[not JSON`,
		`49`:              `undefined`,
		`4`:               `undefined`,
		``:                `undefined`,
		`{"type":"post"}`: `undefined`,
	} {
		got := evaluate[string](b, fmt.Sprintf(`import("/wire-packet.js").then(({ packetOf }) => {
			const packet = packetOf(%q);
			return packet === undefined ? "undefined"
				: [...packet.parts.map(({ raw, name }) => raw + " " + name), packet.rest, ...packet.event === undefined ? [] : ["event " + packet.event]].join("|");
		})`, text))
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	wrong := evaluate[string](b, `import("/wire-packet.js").then(({ packetOf, layOut }) => {
		const pieces = ["0", "1", "2", "4", "42", "45", "46", "1-", "-", "/", "/garden", ",", "7", "[", "]", "{", "}", ":", '"', '"a"', '\\', '\\"', "1e9", "12345678901234567890", "null", " ", "\n", "ö", "\u{1f600}", "\ud800", "[1,[],{}]", '{"a":{"b":["c, d: [e]"]}}'];
		const some = () => Array.from({ length: Math.random() * 9 }, () => pieces[Math.floor(Math.random() * pieces.length)]).join("");
		const bare = (json) => json.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/gu, "$1");
		let read = 0;
		for (let i = 0; i < 100000; i++) {
			const text = some();
			const packet = packetOf(text);
			if (packet !== undefined && packet.parts.map(({ raw }) => raw).join("") + packet.rest !== text) return text;
			try { JSON.parse(text); } catch { continue; }
			read++;
			if (bare(layOut(text, 0)) !== bare(text)) return text;
		}
		return read > 100 ? "" : "only " + read + " were JSON";
	})`)
	if wrong != "" {
		t.Errorf("it is not the same again: %s", wrong)
	}
	laid := evaluate[string](b, `import("/wire-packet.js").then(({ layOut }) => layOut('{"a":[1,{"b":"x, \\"y\\": [z]"},[],{ }],"big":12345678901234567890,"e":1E+2}'))`)
	want := `{
  "a": [
    1,
    {
      "b": "x, \"y\": [z]"
    },
    [],
    { }
  ],
  "big": 12345678901234567890,
  "e": 1E+2
}`
	if laid != want {
		t.Errorf("JSON is laid out as %s", laid)
	}
}

// The meaning of a frame depends on the frames before it.
func TestReadingTheWire(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	for name, c := range map[string]struct{ url, frames, want string }{
		"one answer for each message, in turn": {"ws://x/ws", `sent a, got A, got B, sent c, sent d, got C, got D, got E`, `A a 1, C c 2, D d 2`},
		"the same, back as it came":            {"ws://x/ws/echo/", `sent a, got A`, `A a 1`},
		"a broadcast answers nothing":          {"ws://x/ws/broadcast", `sent a, got A`, ``},
		"posts and what answers them": {"ws://x/ws/chat/lobby?ticket=t", `sent {"type":"post";"id":"1"}, sent {"type":"typing"}, sent {"type":"post";"id":"2"},
			got {"type":"message";"id":"1"}, got {"type":"error";"id":"2"}, got {"type":"ack";"id":"1"}, got {"type":"ack";"id":"1"}`,
			`{"type":"error";"id":"2"} {"type":"post";"id":"2"} 2, {"type":"ack";"id":"1"} {"type":"post";"id":"1"} 5`},
		"events and namespaces": {"ws://x/socket.io/?EIO=4&transport=websocket", `got 0{}, sent 40, sent 40/g;{}, got 40/g;{"sid":"a"}, got 44{}, sent 421["a"], sent 42/g;1["b"],
			sent 42["c"], got 43/g;1[], got 431[], got 431[], got 2, sent 3, sent 2probe, got 3probe, sent 451-7["d"], sent 01, got 437[]`,
			`40/g;{"sid":"a"} 40/g;{} 1, 44{} 40 3, 43/g;1[] 42/g;1["b"] 2, 431[] 421["a"] 4, 3probe 2probe 1, 437[] 451-7["d"] 2`},
	} {
		got := evaluate[string](b, fmt.Sprintf(`import("/wire-read.js").then(({ reader }) => {
			const read = reader();
			return %q.split(/,\s*/).map((line, i) => {
				const [way, text] = line.split(/ (.*)/);
				const binary = text === "01";
				const entry = { n: i, at: i, socket: 1, url: %q, kind: binary ? "binary" : "text", sent: way === "sent", text: text.replaceAll(";", ","), shown: text, heldFor: undefined };
				const { answers, took } = read(entry);
				return answers === undefined ? "" : [text, answers.shown, took].join(" ");
			}).filter((one) => one !== "").join(", ");
		})`, c.frames, c.url))
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
	got := evaluate[string](b, `import("/wire-read.js").then(({ reader }) => {
		const read = reader();
		const entry = (socket, sent, text, more) => ({ n: 0, at: 10, socket, sent, url: "ws://x/socket.io/?EIO=4", kind: "text", text, ...more });
		const seen = [];
		read(entry(1, false, '40{"sid":"s","pid":"p"}'));
		seen.push(read(entry(1, false, '42["a","offset"]')).offset, read(entry(1, false, '42/g,["a","text"]')).offset, read(entry(1, false, '427["a","text"]')).offset, read(entry(1, true, '42["a","text"]')).offset, read(entry(1, false, '42["a"]')).offset);
		read(entry(1, false, '452-["b",{},{}]'));
		read(entry(1, true, '42["c"]'));
		const bytes = () => read(entry(1, false, "", { kind: "binary" })).attachment;
		seen.push(bytes().number, bytes().of, bytes());
		read(entry(1, true, '421["late"]'));
		seen.push(read(entry(1, false, "431[]", { heldFor: 7 })).took); // the page waited that much longer
		read(entry(2, true, '420["oldest"]'));
		for (let i = 1; i <= 100; i++) read(entry(2, true, "42" + i + '["x"]'));
		seen.push(read(entry(2, false, "430[]")).answers, read(entry(2, false, "431[]")).answers !== undefined);
		seen.push(Object.keys(read({ kind: "event", text: "waits" })).length);
		return seen.join();
	})`)
	if want := "true,false,false,false,false,1,2,,7,,true,0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The plot shows the latest round trips, and its words change at most once a second.
func TestThePlot(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	got := evaluate[string](b, `import("/wire-plot.js").then(({ plot }) => {
		const one = plot();
		const line = one.element.querySelector("polyline");
		const words = () => one.element.querySelector("svg").getAttribute("aria-label");
		const axis = () => [...one.element.querySelectorAll("text")].map((text) => text.textContent).join();
		const seen = [];
		one.draw();
		seen.push(line.points.length, words(), axis());
		for (let i = 0; i < 100; i++) one.add(i + 0.5);
		one.draw();
		seen.push(line.points.length, words(), axis(), line.points[0].y > line.points[59].y, line.points[59].x);
		return seen.join("|");
	})`)
	const none = "Round trips: none yet. Send something that gets an answer."
	if want := "0|" + none + "|0 ms,0.5 ms,1 ms,newest,the last 60 round trips|60|" + none + "|0 ms,50 ms,100 ms,newest,the last 60 round trips|true|392"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Beside the replies, the first page shows their causes.
func TestCauseAndEffect(t *testing.T) {
	b := open(t)
	var deaf atomic.Bool
	speak := make(chan struct{}, 1)
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(ws.Message) error {
				if deaf.Load() {
					speak <- struct{}{}
					return nil
				}
				return s.SendText(answer)
			})
			return nil
		})
	})))
	const exchanges = `[...document.querySelectorAll("#exchanges li")].map((li) => li.innerText.replaceAll(/\s+/g, " "))`
	b.until(replies + ` === 1`)
	b.do(chromedp.Click("#websocket-button"))
	b.until(replies + ` === 2 && ` + lastReply + ` === "I am using websockets!" && document.querySelector("#websocket-returns").children.length === 2`)
	for i, want := range []string{`The connection opened|↑ sent {"loaded":true} (15 bytes)`, `You clicked|↑ sent {"clicked":true} (16 bytes)`} {
		cause, sent, _ := strings.Cut(want, "|")
		b.until(fmt.Sprintf(`(one => one.startsWith(%q) && one.includes(%q) && /↓ received .*"I am using websockets!"} after \d+\.\d ms; the page appended its text$/.test(one))(%s[%d])`, cause, sent, exchanges, i))
	}
	deaf.Store(true)
	b.catchTimers(5_000) // for after that long without an answer, the page leaves the connection
	b.do(chromedp.Click("#websocket-button"))
	await(t, speak, "the page said nothing")
	b.until(exchanges + `[2]?.endsWith("no answer yet")`)
	b.screenshot("first-lesson-cause")
	b.openWire()
	b.press("Drop")
	b.until(exchanges + `[2]?.endsWith("no answer: the connection ended")`)
}

// A server may send unsolicited messages, and many of them.
func TestAServerThatSpeaksByItself(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			for i := range 150 {
				if err := s.SendText(fmt.Sprintf(`{"append":%t,"returnText":"%d"}`, i%2 == 0, i)); err != nil {
					return err
				}
			}
			return nil
		})
	})))
	b.until(replies + ` === 75 && document.querySelectorAll("#exchanges li").length === 100`)
	got := evaluate[string](b, `document.querySelector("#exchanges li:last-child").innerText.replaceAll(/\s+/g, " ")`)
	if !strings.HasPrefix(got, "The server sent a message unprompted ") || !strings.HasSuffix(got, `"returnText":"149"}; the page ignored it`) {
		t.Errorf("it shows %q", got)
	}
}

// The panel leaves enough space for the page, and its button covers nothing.
func TestTheWireOnSmallAndLargeScreens(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(f.url))
	m := f.next()
	m.history(line(1, "ana", "q2xa", "hello"), line(2, "bo", "a1b2", "hello, ana"))
	b.said(2)
	b.until(`document.querySelector(".wire-opener") !== null`)
	free := func(when string) {
		t.Helper()
		b.settled()
		if !evaluate[bool](b, `["#text", "#composer button[type=submit]"].every((selector) => {
			const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
			return document.elementFromPoint((left + right) / 2, (top + bottom) / 2)?.closest(selector) !== null && bottom <= innerHeight && right <= innerWidth;
		})`) {
			t.Errorf("%s, something covers the composer", when)
		}
		if evaluate[bool](b, "document.documentElement.scrollWidth > innerWidth") {
			t.Errorf("%s, the page is wider than the screen", when)
		}
	}
	for _, mode := range []string{"light", "dark"} {
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: mode}}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, scheme); err != nil {
			t.Fatal(err)
		}
		for _, size := range [][2]int64{{390, 844}, {1280, 800}} {
			name := fmt.Sprintf("%s-%d", mode, size[0])
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			free(name + ", closed")
			b.screenshot("wire-closed-" + name)
			b.do(chromedp.SendKeys("#text", "hello, all\r"))
			post := m.heard()
			m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":2}`, post["id"]))
			b.openWire()
			b.row("answers")
			free(name + ", open")
			b.until(`(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight > clientHeight && scrollHeight - scrollTop - clientHeight < 2)(document.querySelector(".wire-log"))`)
			b.screenshot("wire-open-" + name)
			b.press("Close")
		}
	}
}

func TestCloseCodesInWords(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	got := evaluate[string](b, `import("/close-codes.js").then(({ closeWords, closeMeaning }) => [
		closeWords(1000), closeWords(1008, "signed out"), closeWords(1013, ""), closeWords(3001), closeWords(4001, "no"), closeWords(77), closeWords(1012, "service restart"),
		closeMeaning(1012), closeMeaning(77),
		[1001, 1002, 1003, 1005, 1006, 1007, 1009, 1010, 1011, 1014, 1015, 3000, 3003, 3008].every((code) => closeWords(code).length > 8 && !closeWords(code).includes("unknown")),
	].join("|"))`)
	want := "1000 normal closure|1008 policy violation: signed out|1013 try again later|3001 library code|4001 application code: no|77 unknown code|1012 service restart|" +
		"The server is restarting. Connect again after a random wait, so that not all clients connect at once.|It is not in the registry of close codes.|true"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
