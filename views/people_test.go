package views_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"echows/ws"
)

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC)
}

// livelyRoom is a conversation of five people over three days. Two of them are called ana.
var livelyRoom = []said{
	{Seq: 1, ID: "1", From: "ana", Mark: "q2xa", Text: "Who has the key to the kitchen?", At: at(19, 17, 2)},
	{Seq: 2, ID: "2", From: "Béa", Mark: "m5tz", Text: "On the hook behind the door 🔑", At: at(19, 17, 3)},
	{Seq: 3, ID: "3", From: "ana", Mark: "q2xa", Text: "Found it, thanks!", At: at(19, 17, 9)},
	{Seq: 4, ID: "4", From: "נועם", Mark: "w7hd", Text: "שלום לכולם, מי מגיע ביום שבת?", At: at(20, 8, 31)},
	{Seq: 5, ID: "5", From: "Jonas", Mark: "c4ub", Text: "Me. I bring bread.", At: at(20, 8, 40)},
	{Seq: 6, ID: "6", From: "Jonas", Mark: "c4ub", Text: "The recipe is at https://example.com/bread/rye-with-walnuts-and-a-very-long-name?portions=12. It takes a night to rise, so whoever " +
		"wants to bake along has to begin this evening: flour, water, salt, a spoon of honey, and patience.", At: at(20, 8, 41)},
	{Seq: 7, ID: "7", From: "ana", Mark: "k3f7", Text: "I will make soup then", At: at(20, 8, 44)},
	{Seq: 8, ID: "8", From: "ana", Mark: "k3f7", Text: "and bring:\n· bowls\n· spoons", At: at(20, 8, 45)},
	{Seq: 9, ID: "9", From: "ana", Mark: "q2xa", Text: "Perfect", At: at(20, 8, 46)},
	{Seq: 10, ID: "10", From: "Béa", Mark: "m5tz", Text: "The stove is on", At: at(21, 10, 5)},
	{Seq: 11, ID: "11", From: "ana", Mark: "k3f7", Text: "On my way, 5 minutes", At: at(21, 10, 6)},
}

const fivePeople = `{"type":"presence","count":6,"people":[{"name":"ana","mark":"k3f7"},{"name":"ana","mark":"q2xa"},` +
	`{"name":"Béa","mark":"m5tz"},{"name":"Jonas","mark":"c4ub"},{"name":"נועם","mark":"w7hd"}]}`

// hidden makes the page believe that its tab is hidden, or that it is not.
func (b *browser) hidden(is bool) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`(() => {
		Object.defineProperty(document, "hidden", { configurable: true, get: () => %t });
		document.dispatchEvent(new Event("visibilitychange"));
		return true;
	})()`, is))
}

// later moves the page's clocks forward.
func (b *browser) later(d time.Duration) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`[Date, performance].forEach((clock) => { const now = clock.now.bind(clock); clock.now = () => now() + %d; }), true`, d.Milliseconds()))
}

// fits checks that nothing is wider than the screen, or below its end, where focusing it would scroll the page.
func (b *browser) fits(what string) {
	b.t.Helper()
	if got := evaluate[string](b, `JSON.stringify([document.documentElement.scrollWidth > innerWidth,
		document.querySelector("#composer").getBoundingClientRect().bottom > innerHeight + 0.5 || document.documentElement.scrollHeight > innerHeight + 1])`); got != "[false,false]" {
		b.t.Errorf("%s: wider than the screen, below its end: %s", what, got)
	}
}

const (
	people     = `[...document.querySelectorAll("#people li")].map((li) => li.innerText.replace(/\s+/g, " ").trim()).join(", ")`
	drawer     = `document.querySelector("#side").checkVisibility()`
	typingLine = `document.querySelector("#typing").textContent`
	newLine    = `document.querySelector("#messages .line")`
	title      = `document.title`
)

func TestALivelyRoom(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(f.url))
	m := f.next()
	m.history(livelyRoom...)
	m.say(fivePeople)
	b.said(11)
	b.catchTimers(4_000)

	// Two people of the same name stay apart.
	got := evaluate[string](b, `JSON.stringify([...document.querySelectorAll("#messages > li")].map((li) => li.className))`)
	want := `["first-of-day","","","first-of-day","","same","own","own same","","first-of-day","own"]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = evaluate[string](b, `JSON.stringify([...document.querySelectorAll("#messages .person")].map((p) => p.textContent))`)
	want = `["ana q2xa","Béa m5tz","ana q2xa","נועם w7hd","Jonas c4ub","Jonas c4ub","You","You","ana q2xa","Béa m5tz","You"]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if evaluate[bool](b, `(() => {
		const face = (mark) => getComputedStyle([...document.querySelectorAll("#people li")].find((li) => li.textContent.includes(mark)), "::before").backgroundColor;
		return face("k3f7") === face("q2xa");
	})()`) {
		t.Error("two of one name have one colour")
	}

	// The list of people is beside the messages if the window is wide enough.
	b.until(people + ` === "ana k3f7 (you), ana q2xa, Béa m5tz, Jonas c4ub, נועם w7hd" && document.querySelector("#people").checkVisibility()`)
	b.until(here(6) + ` && document.querySelector("#people .more").textContent === "and 1 more connection"`)
	// A screen reader announces messages and the connection, but not who comes, goes and types.
	got = evaluate[string](b, `[...document.querySelectorAll("[role=status], [role=log], [role=alert], [aria-live]")].map((one) => one.id).join(" ")`)
	if want := "connection-state log name-problem problem count-spoken"; got != want {
		t.Errorf("spoken are %s", got)
	}
	m.say(`{"type":"typing","from":"Jonas","mark":"c4ub"}`)
	m.say(`{"type":"typing","from":"ana","mark":"q2xa"}`)
	b.until(typingLine + ` === "Jonas c4ub and ana q2xa are typing"`)
	b.hidden(true)
	m.message(said{Seq: 12, ID: "12", From: "ana", Mark: "q2xa", Text: "The soup spoons are in the drawer on the left", At: at(21, 10, 20)})
	m.message(said{Seq: 13, ID: "13", From: "נועם", Mark: "w7hd", Text: "אני מביא סלט 🥗", At: at(21, 10, 21)})
	b.said(13)
	b.until(title + ` === "(2) #kitchen · echows" && ` + newLine + `.parentElement.dataset.seq === "12"`)
	b.until(typingLine + ` === "Jonas c4ub is typing"`)
	b.hidden(false)
	m.say(`{"type":"typing","from":"Béa","mark":"m5tz"}`)
	b.until(typingLine + ` === "Jonas c4ub and Béa m5tz are typing" && ` + newLine + ` !== null && ` + title + ` === "#kitchen · echows"`)
	b.fits("on a wide screen")
	b.due(4_000)
	b.until(newLine + ` === null && ` + typingLine + ` === ""`) // the line was seen

	// On a narrow window it covers them.
	b.do(chromedp.EmulateViewport(390, 844))
	b.until(`innerWidth === 390 && !document.querySelector("#side").checkVisibility()`)
	b.hidden(true)
	m.message(said{Seq: 14, ID: "14", From: "Béa", Mark: "m5tz", Text: "Ready!", At: at(21, 10, 30)})
	b.said(14)
	b.hidden(false)
	m.say(`{"type":"typing","from":"Jonas","mark":"c4ub"}`)
	b.until(typingLine + ` !== "" && document.querySelector("#presence").textContent === "Rooms · 6 here"`)
	b.do(chromedp.Click("#presence"))
	b.until(drawer + ` && document.querySelector("#presence").getAttribute("aria-expanded") === "true" && document.activeElement.id === "side-close"`)
	b.fits("with the list")
	b.do(chromedp.KeyEvent("\u001b"))
	b.until(`!` + drawer + ` && document.activeElement.id === "presence"`)
	b.do(chromedp.Click("#presence"), chromedp.Click("#side-close"))
	b.until(`!` + drawer + ` && document.activeElement.id === "presence"`)
	b.do(chromedp.Click("#presence"))
	b.until(drawer)
	b.do(chromedp.Click("#text"))
	b.until(`!` + drawer)

	// The keyboard takes half of the screen: the browser makes the page smaller, or covers it.
	const newestInSight = `(() => {
		const view = document.querySelector("#scroller").getBoundingClientRect();
		const newest = document.querySelector("#messages > li:last-child").getBoundingClientRect();
		return newest.top >= view.top && newest.bottom <= view.bottom + 1;
	})()`
	b.do(chromedp.EmulateViewport(390, 480))
	b.until(`innerHeight === 480 && ` + newestInSight)
	b.fits("with a keyboard")
	b.screenshot("chat-390-keyboard")
	b.do(chromedp.EmulateViewport(390, 844))
	b.until(`innerHeight === 844 && ` + newestInSight)
	evaluate[bool](b, `(() => {
		Object.defineProperty(visualViewport, "height", { configurable: true, get: () => 430 });
		visualViewport.dispatchEvent(new Event("resize"));
		return true;
	})()`)
	b.until(newestInSight + ` && document.querySelector("#composer").getBoundingClientRect().bottom <= 430`)
	evaluate[bool](b, `delete visualViewport.height && visualViewport.dispatchEvent(new Event("resize"))`)
	b.until(newestInSight + ` && document.querySelector("#composer").getBoundingClientRect().bottom > 800`)
}

// Names and marks are treated as text, whatever they contain, and an older server sends fewer of them.
func TestPeopleAreNoMarkup(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	f.old.Store(true)
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(f.url))
	m := f.next()
	b.catchTimers(4_000)
	m.history(line(1, "<b>x</b>", "<i>y</i>", "hello"), line(2, "ana", "", "without marks nobody is me"))
	m.say(`{"type":"typing","from":"<b>x</b>","mark":"<i>y</i>"}`)
	m.say(`{"type":"presence","count":3}`)
	b.until(typingLine + ` === "<b>x</b> <i>y</i> is typing"`)
	b.until(here(3) + ` && document.querySelectorAll("#people li").length === 0`)
	// A server that does not tell who is here gets no typing notices.
	b.do(chromedp.SendKeys("#text", "hi\r"))
	if got := m.heard(); got["type"] != "post" {
		t.Errorf("the page said %v", got)
	}
	m.say(`{"type":"presence","count":1,"people":[{"name":"<b>x</b>","mark":"<i>y</i>"}]}`)
	b.until(people + ` === "<b>x</b> <i>y</i>"`)
	if n := evaluate[int](b, `document.querySelectorAll("main b, main i, .own:not(#pending *)").length`); n > 0 {
		t.Errorf("%d elements come from what people wrote, or are taken for mine", n)
	}
	for _, bad := range []string{`{"type":"presence","count":1,"people":[{}]}`, `{"type":"presence","count":1,"people":{}}`,
		`{"type":"typing"}`, `{"type":"typing","from":"x","mark":5}`, `{"type":"history","messages":[],"complete":true,"more":1}`} {
		if !evaluate[bool](b, fmt.Sprintf(`import("/chat-rules.js").then(({ parse }) => parse(%q) === undefined)`, bad)) {
			t.Errorf("taken: %s", bad)
		}
	}
}

// The page sends a typing notice from time to time, until the server says that it does not know them.
func TestTelling(t *testing.T) {
	b, _, m := openChat(t)
	m.say(`{"type":"presence","count":1,"people":[{"name":"ana","mark":"k3f7"}]}`)
	b.until(here(1))
	b.stopClock() // typing may take long
	b.do(chromedp.SendKeys("#text", "  "))
	b.later(4 * time.Second)
	b.do(chromedp.SendKeys("#text", "hello"))
	if got := m.heard(); got["type"] != "typing" || len(got) != 1 {
		t.Errorf("the page said %v", got)
	}
	b.later(4 * time.Second)
	b.do(chromedp.SendKeys("#text", " all\r"))
	if got := m.heard(); got["type"] != "typing" {
		t.Errorf("then %v", got)
	}
	post := m.heard() // and not one for every key
	if post["type"] != "post" || post["text"] != "  hello all" {
		t.Errorf("then %v", post)
	}
	m.say(`{"type":"error","code":"unknown_type","message":"the type must be \"post\""}`)
	m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":1}`, post["id"]))
	b.until(`document.querySelector("#pending .state").textContent === ""`)
	m.say(`{"type":"presence","count":2,"people":[{"name":"ana","mark":"k3f7"}]}`)
	b.until(here(2))
	b.later(4 * time.Second)
	b.do(chromedp.SendKeys("#text", "again\r"))
	if got := m.heard(); got["type"] != "post" {
		t.Errorf("told once more: %v", got)
	}
	if !evaluate[bool](b, `document.querySelector("#problem").hidden`) {
		t.Error("the reader is told of what does not concern them")
	}
}

// A history's pages belong together: waiting messages are sent after the last one, and only the first may clear the list.
func TestAHistoryInPages(t *testing.T) {
	b, f, m := openChat(t, line(1, "ana", "q2xa", "one"), line(2, "ana", "q2xa", "two"))
	b.said(2)
	b.catchTimers(5_000) // the answer may take long
	b.do(chromedp.SendKeys("#text", "waits\r"))
	first := m.heard()
	m.socket.Close(ws.CloseServiceRestart, "")

	m = f.next()
	if m.after != "2" {
		t.Errorf("it goes on after %q", m.after)
	}
	m.page(true, true, line(3, "ana", "q2xa", "three"))
	b.said(3)
	b.do(chromedp.SendKeys("#text", "and this\r"))
	b.until(pendingCount + ` === 2 && [...document.querySelectorAll("#pending > li")].every((li) => li.className === "own waiting")`)
	m.page(true, true, line(4, "ana", "q2xa", "four"))
	m.page(false, true, line(5, "ana", "q2xa", "five"))
	if got := m.heard(); got["id"] != first["id"] || got["text"] != "waits" {
		t.Errorf("the page said %v, and %v before", got, first)
	}
	if got := m.heard(); got["text"] != "and this" {
		t.Errorf("then %v", got)
	}
	b.said(5)
	m.socket.Close(ws.CloseServiceRestart, "")

	m = f.next()
	m.page(true, false, line(10, "ana", "q2xa", "ten"))
	b.said(1)
	m.page(false, false, line(11, "ana", "q2xa", "eleven"))
	if got := b.said(2); strings.Join(got, " ") != "ten eleven waits and this" && strings.Join(got, " ") != "ten eleven" {
		t.Errorf("it shows %q", got)
	}

	// A list that is replaced is shown to its end, wherever the reader was.
	var many []said
	for i := range 50 {
		many = append(many, line(12+i, "ana", "q2xa", fmt.Sprint("message ", i)))
	}
	for _, one := range many {
		m.message(one)
	}
	b.said(52)
	evaluate[bool](b, `document.querySelector("#scroller").scrollTop = 0, true`)
	b.until(`!document.querySelector("#newest").hidden`)
	m.socket.Close(ws.CloseServiceRestart, "")
	m = f.next()
	for i := range many {
		many[i].Seq += 1000
	}
	m.page(false, false, many...)
	b.until(`document.querySelector("#newest").hidden && document.querySelector("#scroller").scrollTop > 100`)
}

// A server that refuses a message unread cannot say which one: all unanswered ones are sent again.
func TestARefusalOfNothingInParticular(t *testing.T) {
	b, _, m := openChat(t)
	b.until(connected)
	b.do(chromedp.SendKeys("#text", "one\r"), chromedp.SendKeys("#text", "two\r"))
	one, two := m.heard(), m.heard()
	b.catchTimers(1_000)
	m.say(`{"type":"error","code":"rate_limited","message":"too many messages"}`)
	b.until(`[...document.querySelectorAll("#pending .state")].every((p) => p.textContent === "too many messages (trying again)")`)
	b.due(1_000)
	if again := m.heard(); again["id"] != one["id"] {
		t.Errorf("it sends %v", again)
	}
	if again := m.heard(); again["id"] != two["id"] {
		t.Errorf("it sends %v", again)
	}
	m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":1}`, one["id"]))
	m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":2}`, two["id"]))
	b.until(`[...document.querySelectorAll("#pending > li")].every((li) => li.className === "own stored")`)
	m.say(`{"type":"error","code":"unavailable","message":"the room cannot be opened at the moment"}`)
	b.until(`document.querySelector("#problem").textContent === "the room cannot be opened at the moment"`)
}

// Messages that came while the tab was hidden begin below a line, which is in view.
func TestUnread(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	var before []said
	for i := range 30 {
		before = append(before, line(i+1, "ana", "q2xa", fmt.Sprint("message ", i+1)))
	}
	m.history(before...)
	b.said(30)
	if evaluate[bool](b, newLine+` !== null`) {
		t.Error("what was said before is new")
	}
	m.message(line(31, "ana", "q2xa", "seen"))
	b.said(31)
	if evaluate[bool](b, newLine+` !== null`) {
		t.Error("what is seen is new")
	}
	b.hidden(true)
	m.message(line(32, "ana", "k3f7", "mine, from elsewhere"))
	for i := 33; i <= 72; i++ {
		m.message(line(i, "Béa", "m5tz", fmt.Sprint("message ", i)))
	}
	b.said(72)
	b.until(title + ` === "(40) #kitchen · echows"`)
	b.hidden(false)
	const lineInSight = `(() => {
		const view = document.querySelector("#scroller").getBoundingClientRect();
		const line = document.querySelector("#messages .line").getBoundingClientRect();
		return line.top >= view.top && line.bottom < view.top + 60;
	})()`
	b.until(lineInSight + ` && ` + newLine + `.parentElement.dataset.seq === "33"`)
	b.until(`document.querySelector("#newest").textContent === "40 new messages ↓" && !document.querySelector("#newest").hidden`)
	b.screenshot("chat-unread")
	m.message(line(73, "ana", "k3f7", "mine do not count"))
	m.message(line(74, "Béa", "m5tz", "one more"))
	b.until(`document.querySelector("#newest").textContent === "41 new messages ↓"`)
	b.do(chromedp.Click("#newest"))
	b.until(`document.querySelector("#newest").hidden && ` + title + ` === "#kitchen · echows"`)
	b.until(newLine + ` === null`)
	// The reader's own message counts as an answer to all before it.
	b.hidden(true)
	m.message(line(75, "Béa", "m5tz", "and another"))
	b.until(newLine + ` !== null`)
	b.hidden(false)
	b.do(chromedp.SendKeys("#text", "yes\r"))
	if got := evaluate[bool](b, newLine+` === null`); !got {
		t.Error("the line stays")
	}
}

// If more people are here than the server names, the page says how many more connections there are. The keyboard can scroll the list
// to its end, on a phone too.
func TestACrowd(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(1280, 600), chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	m.say(crowd())
	b.until(here(120) + ` && document.querySelectorAll("#people-list > li").length === 50`)
	read := func() {
		t.Helper()
		b.until(`document.querySelector("#people-list").tabIndex === 0`)
		b.settled()
		if got := evaluate[string](b, `document.querySelector("#people .more").textContent`); got != "and 70 more connections" || !evaluate[bool](b, within("#people .more")) {
			t.Errorf("below the list it says %q, in sight: %s", got, evaluate[string](b, `JSON.stringify(document.querySelector("#people .more").getBoundingClientRect())`))
		}
		b.do(chromedp.Focus("#room-input"))
		b.tabs("Go", "#people-list")
		b.do(chromedp.KeyEvent(kb.End))
		b.until(within("#people-list > li:last-child"))
	}
	read()
	b.do(chromedp.EmulateViewport(320, 568), chromedp.Click("#presence"))
	b.until(drawer)
	read()
	b.screenshot("chat-crowd")
	// A list that does not scroll is not a tab stop, unless it has the focus.
	b.do(chromedp.Focus("#room-input"))
	m.say(fivePeople)
	b.until(here(6) + ` && document.querySelector("#people-list").tabIndex === -1`)
}
