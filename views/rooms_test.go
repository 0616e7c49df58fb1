package views_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"echows/internal/porttest"
	"echows/socketio"
	"echows/views"
	"echows/ws"
)

// card is a selector within a namespace's card.
func card(namespace, selector string) string {
	return fmt.Sprintf(`[data-namespace="%s"] %s`, namespace, selector)
}

// enter fills an input, and submits its form.
func (b *browser) enter(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(selector, text), chromedp.Focus(selector), chromedp.KeyEvent("\r"))
}

// shows waits until an element's text contains a part.
func (b *browser) shows(selector, part string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%q)?.innerText.includes(%q)`, selector, part))
}

// hides checks that it does not.
func (b *browser) hides(selector, part string) {
	b.t.Helper()
	if strings.Contains(evaluate[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, selector)), part) {
		b.t.Errorf("%s shows %q", selector, part)
	}
}

func TestThreeTabsOfRooms(t *testing.T) {
	addr, _ := start(t, build(t), "127.0.0.1:0")
	threeTabs(t, "http://"+addr+"/rooms")
}

func TestThreeTabsWithTheSmallClient(t *testing.T) {
	addr, _ := start(t, build(t), "127.0.0.1:0")
	threeTabs(t, "http://"+addr+"/rooms?client=small")
}

func threeTabs(t *testing.T, page string) {
	one, two, three := open(t), open(t), open(t)
	for i, b := range []*browser{one, two, three} {
		b.do(chromedp.Navigate(page))
		b.until(connected)
		one.shows(card("/", ".clients"), fmt.Sprint(i+1, " connected"))
		one.shows(card("/garden", ".clients"), fmt.Sprint(i+1, " connected"))
	}
	one.shows(card("/", ".log"), "joined")
	name := evaluate[string](one, `document.querySelector("#me").textContent`)

	one.enter(card("/", ".say input"), "hello <b>hall</b>")
	for _, b := range []*browser{one, two, three} {
		b.shows(card("/", ".log"), name+": hello <b>hall</b>")
		b.hides(card("/garden", ".log"), "hello")
	}
	one.enter(card("/", ".join input"), "Not A Room")
	one.shows(card("/", ".problem"), "1 to 64")
	for _, b := range []*browser{one, two} {
		b.enter(card("/", ".join input"), "kitchen")
		b.until(fmt.Sprintf(`document.querySelector(%q) !== null`, card("/", `[data-room="kitchen"]`)))
	}
	two.enter(card("/", `[data-room="kitchen"] input`), "only for cooks")
	for _, b := range []*browser{one, two} {
		b.shows(card("/", ".log"), "kitchen · ")
		b.shows(card("/", ".log"), "only for cooks")
	}
	three.enter(card("/", ".say input"), "after")
	three.shows(card("/", ".log"), "after")
	three.hides(card("/", ".log"), "only for cooks")

	one.do(chromedp.Click(card("/garden", ".trip button")))
	one.shows(card("/garden", ".trip output"), " ms")
	one.do(chromedp.Click(card("/", `[data-room="kitchen"] .leave`)))
	one.until(fmt.Sprintf(`document.querySelector(%q) === null`, card("/", `[data-room="kitchen"]`)))
	two.enter(card("/", `[data-room="kitchen"] input`), "alone")
	two.shows(card("/", ".log"), "alone")
	two.enter(card("/", ".say input"), "all hear")
	one.shows(card("/", ".log"), "all hear")
	one.hides(card("/", ".log"), "alone")
	one.screenshot("rooms-light")
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(two.ctx, emulation.SetEmulatedMedia, dark); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{390, 360, 320} {
		two.do(chromedp.EmulateViewport(width, 740))
		if evaluate[bool](two, "document.documentElement.scrollWidth > innerWidth") {
			t.Errorf("on a phone of %d px the page is wider than the screen", width)
		}
	}
	two.do(chromedp.EmulateViewport(390, 844))
	two.screenshot("rooms-phone-dark")
	three.do(chromedp.Navigate("about:blank")) // leaves
	one.shows(card("/", ".clients"), "2 connected")
	one.shows(card("/", ".log"), "left")
}

// Our client, without the page: the features that the page does not use.
func TestTheSmallClient(t *testing.T) {
	b := open(t, "WebSocket connection to", "ERR_CONNECTION_REFUSED")
	program := build(t)
	addr, stop := start(t, program, porttest.Address(t))
	b.do(chromedp.Navigate("http://" + addr + "/rooms"))
	b.until(connected)
	got := evaluate[string](b, `(async () => {
		const { io } = await import("/socket.io/small.js");
		const log = [];
		const refused = io("/", { forceNew: true, auth: { name: "" } });
		log.push(await new Promise((done) => refused.on("connect_error", (error) => done(error.message))));
		const unknown = io("/nowhere", { forceNew: true });
		log.push(await new Promise((done) => unknown.on("connect_error", (error) => done(error.message))));
		const socket = io("/", { forceNew: true, auth: (cb) => cb({ name: "tester" }) });
		log.push(await socket.timeout(10_000).emitWithAck("join", { room: "a" }).then(JSON.stringify));
		log.push(await socket.timeout(100).emitWithAck("nobody answers").catch((error) => error.message));
		log.push(await new Promise((done) => {
			socket.once("error", ({ event }) => done(event));
			socket.emit("join", 5);
		}));
		try { socket.emit("connect"); } catch (error) { log.push(error.message); }
		socket.disconnect();
		log.push(socket.connected, socket.active);
		window.again = io("/garden", { forceNew: true, auth: { name: "comes back" } });
		await new Promise((done) => window.again.once("connect", done));
		window.states = [];
		window.again.on("disconnect", (reason) => window.states.push(reason));
		window.again.on("connect", () => window.states.push("connect"));
		return log.join("|");
	})()`)
	want := `the name must have 1 to 32 characters; this one has 0|Invalid namespace|{"ok":true,"rooms":["a"]}|operation has timed out|join|"connect" is a reserved event name|false|false`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	stop()
	b.until(`window.states.length === 1`)
	start(t, program, addr)
	b.until(`window.states.at(-1) === "connect"`)
	b.until(connected)
}

// When the server refuses, the page shows its reason, and does not pretend otherwise.
func TestRefusals(t *testing.T) {
	for _, query := range []string{"", "?client=small"} {
		t.Run(query, func(t *testing.T) {
			b := open(t)
			e := echo.New()
			pages := views.New()
			e.GET("/rooms", pages.Show("rooms"))
			e.StaticFS("/", views.Files)
			app := ws.New(e, ws.Config{})
			io := socketio.New(app, socketio.Config{})
			defer io.Close()
			type answer struct {
				OK    bool   `json:"ok"`
				Error string `json:"error"`
			}
			var joins atomic.Int32
			io.OnConnect(func(s *socketio.Socket) error {
				s.On("join", func(e socketio.Event) error {
					if joins.Add(1) > 1 {
						return e.Ack(answer{Error: "not a second time"})
					}
					return e.Ack(answer{OK: true})
				})
				s.On("leave", func(e socketio.Event) error { return e.Ack(answer{Error: "stay a while"}) })
				s.On("message", func(e socketio.Event) error { s.Disconnect(false); return nil })
				return nil
			})
			var open atomic.Bool
			io.Of("/garden").Use(func(*socketio.Socket) error {
				if !open.Load() {
					return errors.New("the garden is closed")
				}
				return nil
			})
			server := httptest.NewServer(e)
			defer server.Close()
			defer app.Shutdown(context.Background())

			b.do(chromedp.Navigate(server.URL + "/rooms" + query))
			const state = `document.querySelector("#connection").dataset.state`
			b.until(state + ` === "stopped" && document.querySelector("#connection").innerText === "partly connected"`)
			b.shows(card("/garden", ".problem"), "The server refused the connection: the garden is closed")
			b.enter(card("/garden", ".say input"), "hello")
			b.shows(card("/garden", ".problem"), "the garden is closed")
			b.screenshot("rooms-refused")
			row := fmt.Sprintf(`document.querySelector(%q)`, card("/", `[data-room="kitchen"]`))
			b.enter(card("/", ".join input"), "kitchen")
			b.until(row + " !== null")
			b.do(chromedp.Click(card("/", `[data-room="kitchen"] .leave`)))
			b.shows(card("/", ".problem"), "stay a while")
			if !evaluate[bool](b, row+" !== null") {
				t.Error("the page forgot a room that it is in")
			}
			b.enter(card("/", ".say input"), "goodbye")
			b.shows(card("/", ".problem"), "The server ended this connection.")
			b.until(state + ` === "stopped" && document.querySelector("#connection").innerText === "not connected"`)
			b.do(chromedp.Click(card("/", ".again")))
			b.shows(card("/", ".problem"), "not a second time")
			b.until(row + " === null")
			open.Store(true)
			b.do(chromedp.Click(card("/garden", ".again")))
			b.until(connected + ` && document.activeElement.closest("[data-namespace]").dataset.namespace === "/garden"`)
			b.until(fmt.Sprintf(`document.querySelector(%q).hidden && document.querySelector(%q).hidden`, card("/garden", ".problem"), card("/garden", ".again")))
		})
	}
}

// After going back in the browser's history the page is connected, whether the browser kept it or not.
func TestTheWayBackToTheRooms(t *testing.T) {
	for _, query := range []string{"", "?client=small"} {
		t.Run(query, func(t *testing.T) {
			b := open(t)
			addr, _ := start(t, build(t), "127.0.0.1:0")
			b.do(chromedp.Navigate("http://" + addr + "/rooms" + query))
			b.until(connected)
			b.do(chromedp.Navigate("http://" + addr + "/"))
			b.until(connected)
			evaluate[bool](b, `history.back(), true`)
			b.comes(`location.pathname === "/rooms" && ` + connected)
			evaluate[bool](b, fmt.Sprintf(`(() => {
				const form = document.querySelector(%q);
				form.text.value = "back again";
				form.requestSubmit();
				return true;
			})()`, card("/", ".say")))
			b.comes(fmt.Sprintf(`document.querySelector(%q).innerText.includes("back again")`, card("/", ".log")))
		})
	}
}

// Names stand out in announcements, and a name cannot imitate another one.
func TestNamesInAnnouncements(t *testing.T) {
	b := open(t)
	e := echo.New()
	pages := views.New()
	e.GET("/rooms", pages.Show("rooms"))
	e.StaticFS("/", views.Files)
	app := ws.New(e, ws.Config{})
	io := socketio.New(app, socketio.Config{})
	defer io.Close()
	announce := func(s *socketio.Socket) error {
		for _, text := range []string{"“bob left” joined", "“x” left, “bob” joined", "“אבג”, “<b>z</b>” and 3 others left", "ana joined", "” “"} {
			if err := s.Emit("announcements", map[string]string{"text": text}); err != nil {
				return err
			}
		}
		return nil
	}
	io.OnConnect(announce)
	io.Of("/garden").OnConnect(func(*socketio.Socket) error { return nil })
	server := httptest.NewServer(e)
	defer server.Close()
	defer app.Shutdown(context.Background())
	b.do(chromedp.Navigate(server.URL + "/rooms"))
	lines := fmt.Sprintf(`[...document.querySelectorAll(%q)]`, card("/", ".log .announcement"))
	b.until(lines + `.length === 5`)
	got := evaluate[string](b, `JSON.stringify(`+lines+`.map((p) => [p.textContent, ...[...p.querySelectorAll("bdi.who")].map((name) => name.textContent)]))`)
	want := `[["“bob left” joined","bob left"],["“x” left, “bob” joined","x” left, “bob"],` +
		`["“אבג”, “<b>z</b>” and 3 others left","אבג","<b>z</b>"],["ana joined"],["” “"]]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.screenshot("rooms-announcements")
}
