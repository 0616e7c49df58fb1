package views_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe is axe-core's program, if npm has installed it. Otherwise the test is skipped, or fails if ECHOWS_NODE is "required", as in
// CI.
func axe(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile("axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("ECHOWS_NODE") == "required" {
			t.Fatal("no axe-core, and ECHOWS_NODE requires it: cd views/axe && npm ci")
		}
		t.Skip("no axe-core: cd views/axe && npm ci")
	}
	return string(program)
}

// Every page in every state, on a phone and on a desktop, light and dark: axe-core finds no barrier for people with disabilities.
func TestAxe(t *testing.T) {
	program := axe(t)
	for _, size := range sizes {
		b := open(t, expectedAway...)
		width, height := size.width, size.height
		b.looks(width, height, "light")
		scenes(t, b, func(name string) {
			// DevTools may run a script that the page's policy would not load.
			evaluate[bool](b, program+`; true`)
			for i, scheme := range []string{"light", "dark"} {
				if i > 0 && width != 390 && width != 1280 {
					break // the colours are the same at all sizes
				}
				b.looks(width, height, scheme)
				b.until(fmt.Sprintf(`matchMedia("(prefers-color-scheme: %s)").matches`, scheme))
				found := evaluate[[]string](b, `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
					violations.map(({ id, nodes }) => id + ": " + nodes.map(({ target, failureSummary }) => target + ": " + failureSummary).join("\n\t")))`)
				for _, one := range found {
					t.Errorf("%s at %d px, %s: %s", name, width, scheme, one)
				}
			}
			if evaluate[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s is wider than %d px", name, width)
			}
			b.looks(width, height, "light")
		})
	}
}

// tab presses Tab that many times, and returns what had the focus: ids, or else the texts of links and buttons.
func (b *browser) tab(times int) (stops []string) {
	b.t.Helper()
	for range times {
		b.do(chromedp.KeyEvent("\t"))
		stops = append(stops, evaluate[string](b, `(() => {
			const one = document.activeElement;
			return one.id !== "" && !one.id.startsWith("input-") ? "#" + one.id : one.name || one.textContent.trim() || one.className;
		})()`))
	}
	return stops
}

func (b *browser) tabs(want ...string) {
	b.t.Helper()
	if got := b.tab(len(want)); !slices.Equal(got, want) {
		b.t.Errorf("Tab goes to\n%s, want\n%s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// Everything works with a keyboard alone, in visual order.
func TestWithAKeyboard(t *testing.T) {
	b := open(t, "/ticket", "/nothing")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.do(chromedp.EmulateViewport(1280, 844), chromedp.Navigate("http://"+addr))
	b.until(enabled)
	header := []string{"Skip to content", "echows", "First WebSocket", "Group chat", "Events and rooms"}
	b.tabs(append(header, "#websocket-button")...)
	b.do(chromedp.KeyEvent("\r"))
	b.until(replies + ` === 2`)

	// The first stop skips the header.
	b.do(chromedp.Navigate("http://" + addr))
	b.until(enabled)
	b.tabs("Skip to content")
	b.do(chromedp.KeyEvent("\r"))
	b.tabs("#websocket-button")

	b.do(chromedp.Navigate("http://" + addr + "/chat/kitchen"))
	b.until(`document.activeElement.id === "name"`)
	b.do(chromedp.KeyEvent("ana\r"))
	b.until(connected + ` && document.activeElement.id === "text"`)
	b.do(chromedp.KeyEvent("hello\r"))
	b.said(1)
	b.until(pendingCount + ` === 0`)
	b.tabs("#send", "#rename")
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === "name" && document.querySelector("#name").value === "ana" && document.querySelector("#sign-in-button").textContent === "Change name"`)
	b.do(chromedp.KeyEvent("\u001b"))
	b.until(`document.activeElement.id === "rename" && !document.querySelector("#sign-in").checkVisibility() && document.querySelector("#composer").checkVisibility()`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === "name"`)
	b.do(chromedp.KeyEvent("bo"))
	b.tabs("#sign-in-button", "#sign-in-cancel")
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === "rename" && document.querySelector("#me").textContent === "ana"`)
	b.do(chromedp.Navigate("http://" + addr + "/chat/kitchen"))
	b.until(connected + ` && document.querySelector("#composer").checkVisibility()`)
	b.said(1)
	b.tabs(append(header, "kitchen", "lobby", "#room-input", "Go", "#scroller", "#text", "#send", "#rename")...)

	b.do(chromedp.Navigate("http://" + addr + "/rooms"))
	b.until(connected)
	b.tabs(append(header, "log", "text", "Send", "room")...)
	b.do(chromedp.KeyEvent("kitchen\r"))
	b.until(`document.activeElement.closest("[data-room]")?.dataset.room === "kitchen"`)
	b.tabs("Send", "Leave", "Measure a round trip")
	b.do(chromedp.KeyEvent("\r"))
	b.shows(card("/", ".trip output"), " ms")
	b.tabs("log", "text", "Send", "room", "Join", "Measure a round trip", "← Group chat")

	b.do(chromedp.Navigate("http://" + addr + "/nothing"))
	b.tabs(append(header, "Go to the first lesson")...)
	b.do(chromedp.KeyEvent("\r"))
	b.comes(enabled)
}
