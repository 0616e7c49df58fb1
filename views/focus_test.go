package views_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

const (
	focus  = `document.activeElement.id`
	stated = `document.querySelector("#connection-state").textContent`
)

// drop ends the page's connections as a network failure would. A long wait follows.
func (b *browser) drop() {
	b.t.Helper()
	evaluate[bool](b, `Math.random = () => 100, import("/wire-socket.js").then(({ dropAll }) => (dropAll(), true))`)
	b.until(waiting)
}

// A lost connection does not move the focus, and the page says how the connection ended.
func TestALossLeavesTheFocus(t *testing.T) {
	url := servePages(t, func(e *echo.Echo, app *ws.App) {
		answering(e, app)
		io := socketio.New(app, socketio.Config{})
		t.Cleanup(func() { io.Close() })
		io.OnConnect(func(*socketio.Socket) error { return nil })
		io.Of("/garden").OnConnect(func(*socketio.Socket) error { return nil })
	})
	f := newFakeChat(t)
	for _, c := range []struct{ url, said string }{
		{url, `"not connected (1006 abnormal closure), trying again"`},
		{f.url, `"not connected (1006 abnormal closure), trying again"`},
		{url + "/rooms", `"not connected, trying again" && document.querySelector("#cause").textContent === "The connection ended: 1006 abnormal closure"`},
		{url + "/rooms?client=small", `"not connected, trying again" && document.querySelector("#cause").textContent === "The connection ended: 1006 abnormal closure"`},
	} {
		t.Run(c.url, func(t *testing.T) {
			b := open(t)
			b.do(chromedp.Navigate(c.url))
			b.until(connected)
			if c.url == url {
				b.until(enabled)
				b.do(chromedp.Focus("#websocket-button"))
			}
			b.drop()
			b.until(stated + ` === ` + c.said)
			if got := evaluate[string](b, focus); c.url == url && got != "websocket-button" {
				t.Errorf("after a loss, the focus is at %q", got)
			}
			if c.url == url {
				b.until(`document.activeElement.getAttribute("aria-disabled") === "true"`)
				b.do(chromedp.KeyEvent("\r")) // has no effect
			}
			b.do(chromedp.Focus("#connection-now"), chromedp.KeyEvent("\r"))
			b.until(connected + ` && ` + focus + ` === "connection-state"`)
		})
	}
}

// If the server gives a reason for closing, the page shows it.
func TestWhyThePageComesBack(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	b.until(connected)
	evaluate[bool](b, `Math.random = () => 100, true`)
	m.socket.Close(ws.CloseInternalError, "the room could not be read")
	b.until(stated + ` === "not connected (1011 internal error: the room could not be read), trying again"`)
	b.fits("with a reason")
	b.screenshot("chat-390-away")
}

// The first page expects an answer to each message, so it leaves a frozen connection.
func TestTheFirstPageLeavesAFrozenConnection(t *testing.T) {
	b := open(t)
	b.do(chromedp.Navigate(servePages(t, answering)))
	b.until(connected + " && " + replies + " === 1")
	b.openWire()
	b.catchTimers(5_000)
	b.press("Freeze")
	b.pressed("Freeze", true)
	b.do(chromedp.Click("#websocket-button"))
	b.until(`late.filter((f) => f).length === 1`)
	evaluate[bool](b, `late.find((f) => f)(), true`)
	b.row("nothing was heard for 5 s, although an answer was expected: the page abandons the connection")
	b.until(connected + " && " + replies + " === 2")
}
