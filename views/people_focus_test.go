package views_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The list of people keeps the focus when it gets shorter, and stops being a tab stop once the reader leaves it.
func TestAListThatGetsShorterKeepsTheFocus(t *testing.T) {
	b := open(t)
	focused := emulation.SetFocusEmulationEnabledParams{Enabled: true} // without it, Chromium has no focus events
	if _, err := chromedp.Call(b.ctx, emulation.SetFocusEmulationEnabled, focused); err != nil {
		t.Fatal(err)
	}
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(1280, 600), chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	m.say(crowd())
	b.until(`document.querySelector("#people-list").tabIndex === 0`)
	b.do(chromedp.Focus("#room-input"))
	b.tabs("Go", "#people-list")
	m.say(fivePeople)
	b.until(here(6) + ` && document.querySelector("#people-list").scrollHeight === document.querySelector("#people-list").clientHeight`)
	b.settled()
	b.until(focus + ` === "people-list"`)
	b.tabs("#scroller")
	b.until(`!document.querySelector("#people-list").hasAttribute("tabindex")`)
}
