package views_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"echows/internal/porttest"
)

// While the server is away, the page says when it will try again, tries immediately when told to, and shows no counts.
func TestRoomsWhileTheServerIsAway(t *testing.T) {
	for _, query := range []string{"", "?client=small"} {
		t.Run(query, func(t *testing.T) {
			b := open(t, "ERR_CONNECTION_REFUSED", "WebSocket connection to")
			program := build(t)
			addr, stop := start(t, program, porttest.Address(t))
			b.do(chromedp.Navigate("http://" + addr + "/rooms" + query))
			b.until(connected)
			b.shows(card("/", ".clients"), "1 connected")
			b.enter(card("/garden", ".join input"), "pond")
			b.until(fmt.Sprintf(`document.querySelector(%q) !== null`, card("/garden", `[data-room="pond"]`)))

			evaluate[bool](b, `Math.random = () => 100, true`) // the next wait is fifty seconds
			stop()
			b.until(waiting + ` && document.querySelector("#connection").innerText.replace(/\s+/g, " ").match(/^not connected, trying again in [1-5]\d? s Try now$/)`)
			for _, namespace := range []string{"/", "/garden"} {
				b.until(fmt.Sprintf(`document.querySelector(%q).textContent === "not connected"`, card(namespace, ".clients")))
			}
			b.until(`document.querySelector("#cause").checkVisibility() && document.querySelector("#cause").textContent.startsWith("The connection ended: 1012 service restart")`)
			b.enter(card("/", ".say input"), "into the void")
			b.shows(card("/", ".problem"), "Not connected at the moment")

			// After a failed attempt it waits again.
			evaluate[bool](b, `document.querySelector("#connection-seconds").textContent = "", true`)
			b.do(chromedp.Click("#connection-now"))
			b.until(waiting + ` && document.querySelector("#connection-seconds").textContent.startsWith("in ")`)
			_, stop = start(t, program, addr)
			b.do(chromedp.Click("#connection-now"))
			b.until(connected + ` && document.querySelector("#connection-now").hidden && !document.querySelector("#cause").checkVisibility()`)
			for _, namespace := range []string{"/", "/garden"} {
				b.shows(card(namespace, ".clients"), "1 connected")
			}
			b.enter(card("/garden", `[data-room="pond"] input`), "still a member")
			b.shows(card("/garden", ".log"), "still a member")

			// The return of the network ends a wait, too.
			stop()
			b.until(waiting)
			start(t, program, addr)
			evaluate[bool](b, `dispatchEvent(new Event("online"))`)
			b.until(connected)
		})
	}
}
