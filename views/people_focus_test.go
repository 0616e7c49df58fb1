package views_test

import (
	"fmt"
	"math"
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

// The column of rooms and people ends where the page's other column ends, and one's own name has its note right behind it.
func TestTheColumnOfPeople(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	f.over.Store(true)
	f.name.Store("Anastasia of the Long Corridor 7")
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(f.url))
	ends := func(last string) {
		t.Helper()
		got := evaluate[[]float64](b, fmt.Sprintf(`["#side", %q].map((one) => document.querySelector(one).getBoundingClientRect().bottom)`, last))
		if math.Abs(got[0]-got[1]) > 1 {
			t.Errorf("the columns end at %v px", got)
		}
	}
	b.until(focus + ` === "name"`)
	ends(".stage")
	f.over.Store(false)
	b.do(chromedp.Reload())
	m := f.next()
	m.history()
	m.say(`{"type":"presence","count":1,"people":[{"name":"Anastasia of the Long Corridor 7","mark":"k3f7"}]}`)
	b.until(here(1) + ` && document.querySelector("#composer").checkVisibility()`)
	b.settled()
	ends("#composer")
	if !evaluate[bool](b, `(([mark, you]) => you.top < mark.bottom && you.left - mark.right < 12)([".mark", ".note"].map((one) => document.querySelector("#people " + one).getBoundingClientRect()))`) {
		t.Error("“(you)” is away from the name")
	}
}
