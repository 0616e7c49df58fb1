package views_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// within reports whether an element is in the window, and nothing covers its middle.
func within(selector string) string {
	return fmt.Sprintf(`(() => {
		const one = document.querySelector(%[1]q);
		const { left, right, top, bottom } = one.getBoundingClientRect();
		const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
		return top >= 0 && bottom <= innerHeight + 0.5 && one.contains(there);
	})()`, selector)
}

// In low windows the panel's log is in view, whether its tools are open or not, and the page keeps the space it needs.
func TestTheWireInLowWindows(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url + "?wire"))
	m := f.next()
	for i := range 20 {
		m.message(line(i+1, "bo", "q2xa", "hello"))
	}
	b.row("received")
	for _, size := range [][2]int64{{390, 844}, {640, 400}, {844, 390}, {1280, 500}, {320, 568}, {1440, 900}} {
		b.do(chromedp.EmulateViewport(size[0], size[1]))
		for _, open := range []bool{false, true} {
			evaluate[bool](b, fmt.Sprintf(`document.querySelector(".wire-tools").open = %t, true`, open))
			b.settled()
			if !evaluate[bool](b, within(".wire-log")+` && document.querySelector(".wire-log").clientHeight >= 60 && `+within(".wire-title")) {
				t.Errorf("at %v, tools open %t, the log is not in sight: %s", size, open, evaluate[string](b, `["#wire-panel", ".wire-title", ".wire-tools", ".wire-log"].map((one) => {
					const { top, bottom } = document.querySelector(one).getBoundingClientRect();
					return one + " from " + top + " to " + bottom;
				}).join()`))
			}
			b.screenshot(fmt.Sprintf("wire-low-%d-%d-%t", size[0], size[1], open))
		}
		if evaluate[bool](b, `document.querySelector(".wire-opener").checkVisibility()`) {
			t.Error("there are two buttons for the panel")
		}
	}
	if got := evaluate[int](b, `document.querySelectorAll("#wire section, #wire [aria-labelledby]").length`); got > 0 {
		t.Errorf("%d parts of the panel have a name beside that of the whole", got)
	}
	m.history()
}

// With the panel open, each page keeps enough space for its purpose.
func TestThePagesBesideTheWire(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	url := servePages(t, answering)
	for _, c := range []struct{ url, part string }{{url + "/?wire", ".effects"}, {f.url + "?wire", "#scroller"}} {
		b.do(chromedp.Navigate(c.url))
		b.until(connected)
		b.row("open")
		for _, width := range []int64{1000, 1024, 1030, 1090, 1150, 1280, 1440} {
			b.do(chromedp.EmulateViewport(width, 800))
			b.settled()
			if got := evaluate[float64](b, fmt.Sprintf(`document.querySelector(%q).getBoundingClientRect().width`, c.part)); got < 370 {
				t.Errorf("%s at %d px is %v px wide", c.part, width, got)
			}
			if evaluate[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("at %d px %s is wider than the window", width, c.url)
			}
		}
	}
}

// The name can be entered however low the window is.
func TestTheNameInLowWindows(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	f.over.Store(true)
	for _, c := range []struct {
		width, height int64
		query         string
		want          []string
	}{
		{640, 400, "", []string{"#name", "#sign-in-button"}},
		{844, 390, "", []string{"#name", "#sign-in-button"}},
		{390, 844, "?wire", []string{"#name"}},
		{390, 700, "?wire", []string{"#name"}},
	} {
		b.do(chromedp.EmulateViewport(c.width, c.height), chromedp.Navigate(f.url+c.query))
		b.until(focus + ` === "name"`)
		if c.query != "" {
			b.until(`document.querySelector("#wire-panel")?.checkVisibility() === true`)
		}
		b.settled()
		for _, one := range c.want {
			if !evaluate[bool](b, within(one)) {
				t.Errorf("at %d × %d%s, %s is not in sight", c.width, c.height, c.query, one)
			}
		}
		b.screenshot(fmt.Sprintf("sign-in-%d-%d%s", c.width, c.height, strings.ReplaceAll(c.query, "?", "-")))
	}
}

// The links to the other lessons disappear only while somebody writes in a low and narrow window, and buttons that this moves can
// still be clicked.
func TestTheLessonsInLowWindows(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	focused := emulation.SetFocusEmulationEnabledParams{Enabled: true} // without it, Chromium has no focus events
	if _, err := chromedp.Call(b.ctx, emulation.SetFocusEmulationEnabled, focused); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(390, 480), chromedp.Navigate(f.url))
	f.next().history()
	b.until(connected)
	const shown = `document.querySelector(".lessons").checkVisibility()`
	b.do(chromedp.Focus("#scroller"))
	b.until(shown)
	b.do(chromedp.Focus("#text"))
	b.until(`!` + shown)
	b.do(chromedp.Click("#presence"))
	b.until(drawer)
	b.until(shown)
	b.do(chromedp.Focus("#text"))
	b.until(`!` + shown)
	b.do(chromedp.EmulateViewport(640, 400))
	b.until(shown)
	b.settled()
	if !evaluate[bool](b, `(([one, two]) => one.bottom > two.top && two.bottom > one.top)([".brand", ".lessons"].map((each) => document.querySelector(each).getBoundingClientRect()))`) {
		t.Error("on its side, a phone gives the lessons a line of their own")
	}
}

// With the panel open on a phone, upright with its keyboard or on its side, the newest message is in view, and writing works.
func TestTheChatBesideTheWireOnAPhone(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(f.url+"?wire"))
	m := f.next()
	m.history(livelyRoom...)
	b.said(11)
	b.row("received")
	b.do(chromedp.Focus("#text"))
	for _, size := range [][2]int64{{640, 400}, {844, 390}, {390, 480}, {390, 844}, {320, 568}} {
		b.do(chromedp.EmulateViewport(size[0], size[1]))
		b.until(fmt.Sprintf(`innerWidth === %d && innerHeight === %d`, size[0], size[1]))
		b.settled()
		for _, one := range []string{"#text", "#send", "#messages > li:last-child .text", ".wire-title"} {
			if !evaluate[bool](b, within(one)) {
				t.Errorf("at %v, %s is not in sight", size, one)
			}
		}
		if evaluate[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("at %v the page is wider than the window", size)
		}
		b.screenshot(fmt.Sprintf("wire-chat-%d-%d", size[0], size[1]))
	}
}

// A room's longest name leaves enough space for the messages, even on the smallest phone, and the list of rooms shows it in full.
func TestTheLongestNameOfARoom(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(320, 568), chromedp.Navigate(strings.Replace(f.url, "kitchen", longestRoom, 1)))
	m := f.next()
	m.history(livelyRoom...)
	m.say(crowd())
	b.said(11)
	b.until(here(120))
	if got := evaluate[float64](b, `document.querySelector(".room").getBoundingClientRect().height`); got > 60 {
		t.Errorf("the heading is %v px high", got)
	}
	b.fits("with a long name")
	b.do(chromedp.Click("#presence"))
	b.until(drawer)
	if got := evaluate[string](b, `(({ textContent, scrollWidth, clientWidth }) => [textContent, scrollWidth > clientWidth].join())(document.querySelector("#rooms [aria-current]"))`); got != longestRoom+",false" {
		t.Errorf("among the rooms is %s", got)
	}
}

// Whoever reads back stays there when the phone is turned, or the panel opened beside the messages.
func TestTurningAPhoneKeepsThePlace(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(844, 390), chromedp.Navigate(f.url))
	m := f.next()
	m.history(busyRoom()...)
	b.said(30)
	// The message at the view's top. Browsers round positions, and the view has a border.
	const atTop = `(() => {
		const { top } = document.querySelector("#scroller").getBoundingClientRect();
		return [...document.querySelectorAll("#messages > li")].find((li) => li.getBoundingClientRect().bottom > top + 4).dataset.seq;
	})()`
	for _, seq := range []int{18, 5} {
		evaluate[bool](b, fmt.Sprintf(`document.querySelector("#messages > li[data-seq='%d']").scrollIntoView(), true`, seq))
		b.until(fmt.Sprintf(`!document.querySelector("#newest").hidden && %s === "%d"`, atTop, seq))
		b.settled()
		for _, size := range [][2]int64{{390, 844}, {1280, 800}, {844, 390}} {
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			b.until(fmt.Sprintf(`innerWidth === %d && innerHeight === %d`, size[0], size[1]))
			b.settled()
			if got := evaluate[string](b, atTop); got != fmt.Sprint(seq) {
				t.Errorf("at %v the first message in view is %s, want %d", size, got, seq)
			}
		}
	}
}
