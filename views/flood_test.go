package views_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

const (
	leastFlood = 3000 // messages
	mostBehind = 2000 // messages that were sent and are not shown yet
)

// flood sends a thousand messages a second, ten at a time, until stop is called. A page that is too slow for that, on a busy
// machine, gets as many as it can show: shown is a JavaScript expression for the number of the last message it shows. stop
// returns how many there were.
func (b *browser) flood(shown string, say func(n int) error) (stop func() int) {
	b.t.Helper()
	var work sync.WaitGroup
	enough := make(chan struct{})
	said := 0
	work.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for done := false; !done || said < leastFlood; {
			select {
			case <-enough:
				done = true
			case <-b.t.Context().Done():
				return
			case <-tick.C:
				for range 10 {
					said++
					if err := say(said); err != nil {
						b.t.Errorf("message %d: %v", said, err)
						return
					}
				}
				if said%(mostBehind/2) == 0 && !b.reaches(shown, said-mostBehind) {
					return
				}
			}
		}
	})
	stop = sync.OnceValue(func() int {
		close(enough)
		work.Wait()
		return said
	})
	b.t.Cleanup(func() { stop() })
	return stop
}

// reaches waits until the page shows a message with at least that number. It may be called from any goroutine.
func (b *browser) reaches(shown string, number int) bool {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Poll[chromedp.Void](fmt.Sprintf("!(%s < %d)", shown, number), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		b.t.Errorf("the page does not show message %d: %v", number, err)
	}
	return err == nil
}

// layouts is what Chromium had laid out when something began.
type layouts struct {
	count float64
	begun time.Time
}

// countLayouts starts counting how often the page is laid out, and its frames.
func (b *browser) countLayouts() layouts {
	b.t.Helper()
	evaluate[bool](b, `(() => {
		window.drawn = 0;
		const count = () => {
			drawn += 1;
			requestAnimationFrame(count);
		};
		count();
		return true;
	})()`)
	return layouts{b.metric("LayoutCount"), time.Now()}
}

// metric is one of Chromium's own numbers.
func (b *browser) metric(name string) float64 {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, performance.Enable, performance.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	got, err := chromedp.Call(b.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, one := range got.Metrics {
		if one.Name == name {
			return one.Value
		}
	}
	b.t.Fatalf("Chromium does not say its %s", name)
	return 0
}

// laidOutByFrame checks that the number of layouts depends on the frames, and not on the messages.
func (b *browser) laidOutByFrame(from layouts, messages int) {
	b.t.Helper()
	count, frames, took := b.metric("LayoutCount")-from.count, evaluate[float64](b, `drawn`), time.Since(from.begun).Seconds()
	b.t.Logf("%d messages, %.0f a second; %.0f frames, %.0f a second; laid out %.0f times", messages, float64(messages)/took, frames, frames/took, count)
	// One per frame, and some for what the test itself looks at, clicks and types.
	if count > 1.5*frames+50 {
		b.t.Errorf("the page was laid out %.0f times in %.0f frames", count, frames)
	}
}

// keeps checks that a list has that many children, and that the note beside it says how many are gone.
func (b *browser) keeps(list, note string, kept, all int) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%q).childElementCount === %d`, list, kept))
	words := evaluate[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, note))
	if want := fmt.Sprintf("The last %d are kept; %d older ones were removed.", kept, all-kept); strings.ReplaceAll(words, ",", "") != want {
		b.t.Errorf("%s says %q, want %q", note, words, want)
	}
}

// wireCounted checks that the panel has a bounded number of rows, but has counted all messages.
func (b *browser) wireCounted(messages int) {
	b.t.Helper()
	all, err := strconv.Atoi(evaluate[string](b, `import("/wire-record.js").then(({ entries }) => String(entries.at(-1).n))`))
	if err != nil || all <= messages {
		b.t.Errorf("the panel has counted %d of %d messages, %v", all, messages, err)
	}
	b.until(fmt.Sprintf(`document.querySelector(".wire-row:last-child").dataset.n === "%d"`, all))
	if n := evaluate[int](b, `document.querySelectorAll(".wire-rows > *").length`); n > 200 {
		b.t.Errorf("the panel has %d rows", n)
	}
	b.until(fmt.Sprintf(`document.querySelector(".wire-log .wire-note").textContent.replaceAll(",", "") === "The last 200 are kept; %d older ones were removed."`, all-200))
}

// With a thousand messages a second and the panel open, the first page still responds to clicks.
func TestAFloodOfReplies(t *testing.T) {
	b := open(t)
	sockets := make(chan *ws.Socket, 1)
	clicked := make(chan struct{}, 1)
	b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if m.Text() == `{"clicked":true}` {
					clicked <- struct{}{}
				}
				return nil
			})
			sockets <- s
			return nil
		})
	}) + "/?wire"))
	socket := await(t, sockets, "the page does not connect")
	b.until(enabled)
	b.row("open")
	from := b.countLayouts()
	stop := b.flood(`Number(`+lastReply+`?.slice("reply ".length))`, func(n int) error { return socket.SendText(fmt.Sprintf(`{"append":true,"returnText":"reply %d"}`, n)) })
	b.until(replies + ` === 500`)
	b.do(chromedp.Click("#websocket-button"))
	await(t, clicked, "a click does nothing")
	count := stop()
	b.until(fmt.Sprintf(`%s === "reply %d"`, lastReply, count))
	b.laidOutByFrame(from, count)
	b.keeps("#websocket-returns", "#replies-gone", 500, count)
	b.keeps("#exchanges ol", "#exchanges-gone", 100, count)
	b.wireCounted(count)
	b.screenshot("flood-first-lesson")
}

// In the same flood, people can still write in the chat.
func TestAFloodOfMessages(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url + "?wire"))
	m := f.next()
	m.history()
	b.until(connected)
	b.row("open")
	from := b.countLayouts()
	stop := b.flood(`Number(document.querySelector("#messages > li:last-child")?.dataset.seq)`, func(n int) error {
		return m.socket.SendText(fmt.Sprintf(`{"type":"message","seq":%d,"id":"id-%[1]d","from":"bo","mark":"q2xa","text":"message %[1]d","at":"2026-11-22T12:00:00Z"}`, n))
	})
	b.until(`document.querySelectorAll("#messages > li").length === 1000`)
	b.do(chromedp.SendKeys("#text", "written in a flood"))
	b.until(`text.value === "written in a flood"`)
	b.do(chromedp.KeyEvent("\r"))
	post := m.heard()
	if post["text"] != "written in a flood" {
		t.Errorf("the page says %v", post)
	}
	m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":1}`, post["id"])) // otherwise the page would leave a connection that is silent later
	count := stop()
	b.until(fmt.Sprintf(`document.querySelector("#messages > li:last-child").dataset.seq === "%d"`, count))
	b.laidOutByFrame(from, count)
	if got := evaluate[string](b, `[...document.querySelectorAll("#messages > li")].map((li) => li.dataset.seq).filter((seq, i, all) => i > 0 && seq - all[i - 1] !== 1).join()`); got != "" {
		t.Errorf("before these one is missing: %s", got)
	}
	if n := len(b.said(1000)); n != 1000 {
		t.Errorf("it keeps %d messages", n)
	}
	b.until(`document.querySelector("#newest").hidden`) // the end is in view
	b.wireCounted(count)
	b.screenshot("flood-chat")
}

// In the same flood, people can still speak in a namespace, with either client.
func TestAFloodOfEvents(t *testing.T) {
	for _, query := range []string{"?wire", "?wire&client=small"} {
		t.Run(query, func(t *testing.T) {
			b := open(t)
			sockets := make(chan *socketio.Socket, 1)
			spoken := make(chan string, 1)
			b.do(chromedp.Navigate(servePages(t, func(_ *echo.Echo, app *ws.App) {
				io := socketio.New(app, socketio.Config{})
				t.Cleanup(func() { io.Close() })
				io.OnConnect(func(s *socketio.Socket) error {
					s.On("message", func(e socketio.Event) error {
						spoken <- string(e.Arg(0).JSON())
						return e.Ack(map[string]bool{"ok": true})
					})
					sockets <- s
					return nil
				})
				io.Of("/garden").OnConnect(func(*socketio.Socket) error { return nil })
			}) + "/rooms" + query))
			socket := await(t, sockets, "the page does not connect")
			b.until(connected)
			b.row("open")
			from := b.countLayouts()
			log := card("/", ".log")
			shown := fmt.Sprintf(`Number(document.querySelector(%q).lastChild?.textContent.slice("bo: message ".length))`, log)
			stop := b.flood(shown, func(n int) error {
				return socket.Emit("message", map[string]string{"from": "bo", "text": fmt.Sprint("message ", n)})
			})
			b.until(fmt.Sprintf(`document.querySelector(%q).childElementCount === 300`, log))
			b.enter(card("/", ".say input"), "said in a flood")
			if got := await(t, spoken, "the page says nothing"); !strings.Contains(got, "said in a flood") {
				t.Errorf("the page says %s", got)
			}
			count := stop()
			b.until(fmt.Sprintf(`document.querySelector(%q).lastChild.textContent === "bo: message %d"`, log, count))
			b.laidOutByFrame(from, count)
			b.keeps(log, card("/", ".gone"), 300, count)
			b.wireCounted(count)
			b.screenshot("flood-rooms")
		})
	}
}

// A hidden page has no frames, but still draws, even after a long time.
func TestAFloodWhileHidden(t *testing.T) {
	b, _, m := openChat(t, line(1, "bo", "q2xa", "hello"))
	b.said(1)
	evaluate[bool](b, `window.requestAnimationFrame = () => 0, true`)
	m.message(line(2, "bo", "q2xa", "asked for a frame that does not come"))
	b.hidden(true)
	b.said(2)
	m.message(line(3, "bo", "q2xa", "unseen"))
	b.until(title + ` === "(2) #kitchen · echows"`)
	// Without frames and timers, the number of waiting messages is bounded.
	evaluate[bool](b, `window.timeout = setTimeout, window.setTimeout = () => 0, true`)
	for i := 4; i <= 2003; i++ {
		m.message(line(i, "bo", "q2xa", "much"))
	}
	b.comes(title + ` === "(2002) #kitchen · echows"`)
	evaluate[bool](b, `window.setTimeout = timeout, true`)
	if got := b.said(1000)[999]; got != "much" {
		t.Errorf("the last is %q", got)
	}
	b.until(`document.querySelector("#messages > li:last-child").dataset.seq === "2003"`)
}
