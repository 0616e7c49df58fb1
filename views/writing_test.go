package views_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"echows/chat"
	"echows/ws"
)

// A message that is too long cannot be sent. The page shows by how much immediately, and tells a screen reader when the writer pauses.
func TestTooLong(t *testing.T) {
	b, _, m := openChat(t)
	b.until(connected)
	for _, c := range []struct {
		text     string // JavaScript
		count    string
		disabled bool
	}{
		{`"x".repeat(1800)`, "", false},
		{`"x".repeat(1801)`, "199 characters left", false},
		{`"x".repeat(1999)`, "1 character left", false},
		{`"😀".repeat(2000)`, "0 characters left", false},
		{`"😀".repeat(2001)`, "1 character too many", true},
		{`"x".repeat(2023)`, "23 characters too many", true},
	} {
		got := evaluate[string](b, `(() => {
			text.value = `+c.text+`;
			text.dispatchEvent(new Event("input"));
			return document.querySelector("#count").textContent + " " + document.querySelector("#send").disabled;
		})()`)
		if want := fmt.Sprint(c.count, " ", c.disabled); got != want {
			t.Errorf("%s: %s, want %s", c.text, got, want)
		}
	}
	b.until(`document.querySelector("#count-spoken").textContent === "23 characters too many"`)
	evaluate[bool](b, `composer.requestSubmit(), true`) // as Enter does
	b.until(`document.querySelector("#problem").textContent.includes("2023")`)
	evaluate[bool](b, `(() => {
		text.value = "short";
		text.dispatchEvent(new Event("input"));
		composer.requestSubmit();
		return true;
	})()`)
	if got := m.heard(); got["text"] != "short" {
		t.Errorf("the page sends %.40v", got)
	}
	b.until(`document.querySelector("#problem").hidden`)
}

// A refused message that is taken back for editing goes before what is being written.
func TestEditingARefusedMessage(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	b.until(connected)
	for _, c := range []struct{ writing, want string }{
		{"", "refused 😀"},
		{"half a thought", "refused 😀\nhalf a thought"},
	} {
		b.do(chromedp.SendKeys("#text", "refused 😀\r"))
		m.say(fmt.Sprintf(`{"type":"error","code":"bad_text","message":"not that","id":%q}`, m.heard()["id"]))
		b.until(`document.querySelector("#pending .state").textContent === "not that Edit" && document.querySelector("#empty").hidden`)
		b.do(chromedp.SendKeys("#text", c.writing), chromedp.Focus("#pending button"), chromedp.KeyEvent("\r"))
		b.until(focus + ` === "text" && ` + pendingCount + ` === 0 && !document.querySelector("#empty").hidden`)
		got := evaluate[string](b, `JSON.stringify([text.value, text.selectionStart, text.selectionEnd])`)
		want, _ := json.Marshal([]any{c.want, len("refused ") + 2, len("refused ") + 2}) // a UTF-16 pair
		if got != string(want) {
			t.Errorf("the text, with the caret, is %s, want %s", got, want)
		}
		b.do(chromedp.Reload())
		m = f.next()
		m.history()
		b.until(fmt.Sprintf(`document.querySelector("#composer").checkVisibility() && text.value === %q`, c.want))
		evaluate[bool](b, `(text.value = "", text.dispatchEvent(new Event("input")), true)`)
	}
}

// If a name cannot be sent, or the browser does not keep the answer's cookie, the page says so, and the name can be sent again.
func TestANameThatCannotBeSent(t *testing.T) {
	b := open(t, "/ticket", "/session")
	f := newFakeChat(t)
	f.over.Store(true)
	b.do(chromedp.Navigate(f.url))
	b.until(`document.querySelector("#sign-in").checkVisibility()`)
	f.broken.Store(true)
	b.do(chromedp.SetValue("#name", "bo"), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("#name-problem").textContent === "That did not work; try again." && !document.querySelector("#sign-in-button").disabled`)
	f.broken.Store(false)
	f.bare.Store(true)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("#name-problem").textContent.includes("cookies") && document.querySelector("#sign-in").checkVisibility()`)
	f.bare.Store(false)
	b.do(chromedp.KeyEvent("\r"))
	f.next().history()
	b.until(connected + ` && document.querySelector("#me").textContent === "bo"`)
}

// A name's length is counted as on the server.
func TestNameLengths(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	f.over.Store(true)
	b.do(chromedp.Navigate(f.url))
	b.until(`document.querySelector("#sign-in").checkVisibility()`)
	for _, name := range []string{
		"", " \t ", "a", strings.Repeat("a", 32), strings.Repeat("a", 33), strings.Repeat("😀", 32), strings.Repeat("😀", 33),
		"  " + strings.Repeat("a", 32) + " \u3000", strings.Repeat("a ", 16) + "b", strings.Repeat("a  ", 16) + "b",
		strings.Repeat("e\u0301", 32), strings.Repeat("e\u0301", 33),
	} {
		_, err := chat.CleanName(name)
		quoted, _ := json.Marshal(name)
		if wrong := evaluate[string](b, fmt.Sprintf(`import("/chat-rules.js").then(({ nameProblem }) => nameProblem(%s))`, quoted)); (err != nil) != (wrong != "") {
			t.Errorf("%q: the server says %v, the page %q", name, err, wrong)
		}
	}
	b.do(chromedp.SendKeys("#name", strings.Repeat("x", 33)))
	b.until(`document.querySelector("#name-problem").textContent === "A name has 1 to 32 characters; this one has 33." && document.querySelector("#sign-in-button").disabled`)
	b.do(chromedp.KeyEvent("\b"))
	b.until(`document.querySelector("#name-problem").hidden && !document.querySelector("#sign-in-button").disabled`)
	if evaluate[bool](b, `document.querySelector("#sign-in-cancel").checkVisibility()`) {
		t.Error("it can be cancelled to have no name")
	}
}

// Code stands out, links stay links, and both are shown as text.
func TestCode(t *testing.T) {
	b, _, _ := openChat(t,
		line(1, "bo", "q2xa", "run `go test` and `<b>x</b>`, see https://a.example/`x`"),
		line(2, "bo", "q2xa", "```\nif a {\n\tb()\n}\n```\nafter"),
		line(3, "bo", "q2xa", "a ` alone, and\n` lines, and ``` three"),
		line(4, "bo", "q2xa", "``````"),
		line(5, "bo", "q2xa", "`https://a.example/`"),
	)
	b.said(5)
	got := evaluate[string](b, `JSON.stringify([...document.querySelectorAll("#messages .text")].map((p) => [...p.childNodes].map((one) =>
		(one.nodeName === "CODE" ? one.className + "|" : one.nodeName === "A" ? "link|" : "") + one.textContent)))`)
	want := `[["run ","inline|go test"," and ","inline|<b>x</b>",", see ","link|https://a.example/","inline|x"],` +
		`["block|if a {\n\tb()\n}","after"],` +
		"[\"a ` alone, and\\n\",\"inline| lines, and \",\"`` three\"]," +
		"[\"``````\"],[\"inline|https://a.example/\"]]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// No message makes the page compute for long: these are the longest texts, of the worst kinds found.
	if !evaluate[bool](b, "import(\"/chat-rules.js\").then(({ splitText }) => [\"`\", \"``` \", \"```\\n\", \"` \", \"```a\", \"https://`\"].every((s) => "+
		"splitText(s.repeat(2000 / s.length)).length > 0 && splitText(\"```\" + \" \".repeat(1000) + s.repeat(500)).length > 0))") {
		t.Error("a text has no parts")
	}
}

// Right-to-left messages are on the right, like the reader's own, but look different.
func TestRightToLeft(t *testing.T) {
	b, _, _ := openChat(t,
		line(1, "bo", "q2xa", "left to right, with שלום inside"),
		line(2, "bo", "q2xa", "123 - שלום, with English inside"),
		line(3, "bo", "q2xa", "مرحبا"),
		line(4, "bo", "q2xa", "42"),
		line(5, "ana", "k3f7", "שלום"),
	)
	b.said(5)
	// Initials have their own direction, and are on the side where the message begins.
	initials := evaluate[string](b, `JSON.stringify([0, 1].map((n) => {
		const { direction, unicodeBidi, left, right } = getComputedStyle(document.querySelectorAll("#messages .who")[n], "::before");
		return [direction, unicodeBidi, parseFloat(left) < 0, parseFloat(right) < 0];
	}))`)
	if want := `[["ltr","isolate",true,false],["ltr","isolate",false,true]]`; initials != want {
		t.Errorf("initials are %s, want %s", initials, want)
	}
	got := evaluate[string](b, `JSON.stringify([...document.querySelectorAll("#messages > li")].map((li) => {
		const list = li.parentElement.getBoundingClientRect(), text = li.querySelector(".text").getBoundingClientRect();
		return [text.left - list.left < list.right - text.right ? "left" : "right", li.className];
	}))`)
	if want := `[["left","first-of-day"],["right",""],["right","same"],["left",""],["right","own"]]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Each colour is legible behind initials and as a name's, in light and in dark, and different people have different ones.
func TestColours(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	f.next().history(line(1, "bo", "q2xa", "hello"))
	b.said(1)
	for _, scheme := range []string{"light", "dark"} {
		b.looks(900, 760, scheme)
		bad := evaluate[[]string](b, `import("/chat-message.js").then(({ hashed, shade }) => {
			const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
			const light = (colour) => {
				pen.fillStyle = colour;
				pen.fillRect(0, 0, 1, 1);
				const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => (c /= 255, c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
				return 0.2126 * r + 0.7152 * g + 0.0722 * b;
			};
			const contrast = (...colours) => (([x, y]) => (x + 0.05) / (y + 0.05))(colours.map(light).sort((x, y) => y - x));
			const who = document.querySelector("#messages .who"), name = who.querySelector("bdi");
			const card = getComputedStyle(document.querySelector("#scroller")).backgroundColor;
			const bad = [], seen = new Map();
			for (let i = 0; i < 2000; i++) {
				const [hue, deep] = shade(hashed("someone\u0000" + i.toString(36)));
				seen.set(hue + "/" + deep, (seen.get(hue + "/" + deep) ?? 0) + 1);
				if (seen.get(hue + "/" + deep) > 1) continue;
				who.style.setProperty("--hue", hue);
				who.classList.toggle("deep", deep);
				const face = getComputedStyle(who, "::before");
				for (const ratio of [contrast(face.color, face.backgroundColor), contrast(getComputedStyle(name).color, card)]) {
					if (ratio < 4.5) bad.push(hue + (deep ? " deep: " : ": ") + ratio);
				}
			}
			if (seen.size !== 18) bad.push(seen.size + " colours");
			seen.forEach((n, key) => (n < 70 || n > 160) && bad.push(key + " is that of " + n + " of 2,000"));
			return bad;
		})`)
		if len(bad) > 0 {
			t.Errorf("%s: %q", scheme, bad)
		}
	}
	// People of the same name have different colours, whoever comes first; other people may share one, which is the same everywhere.
	if bad := evaluate[string](b, `import("/chat-message.js").then(({ hashed, numberOf, keyOf }) => {
		const bad = [];
		for (let i = 0; i < 100; i++) {
			const marks = Array.from({ length: 18 }, (_, j) => "m" + i + "-" + j);
			const numbers = marks.map((mark) => numberOf("name " + i, mark));
			if (new Set(numbers).size !== 18) bad.push(numbers.join());
			if (numbers[0] !== hashed(keyOf("name " + i, marks[0]))) bad.push("the first has another than everywhere");
			if (marks.some((mark, j) => numberOf("name " + i, mark) !== numbers[j])) bad.push("a colour changes");
			if (!(numberOf("name " + i, "one more") < 18)) bad.push("no colour for the nineteenth");
		}
		for (let i = 0; i < 600; i++) numberOf("many " + i, "");
		if (numberOf("name 0", "m0-17") !== hashed(keyOf("name 0", "m0-17"))) bad.push("it remembers all names");
		return bad.join("; ");
	})`); bad != "" {
		t.Error(bad)
	}
	got := evaluate[string](b, `import("/chat-message.js").then(({ initials }) => ["ana", "Max Ben", "נועם", "👩‍🍳 cook", "guest 1", "A. B. C"].map(initials).join(" "))`)
	if want := "A MB נ 👩‍🍳C G1 AC"; got != want {
		t.Errorf("initials are %s, want %s", got, want)
	}
}

// Messages written without a connection are not sent all together.
func TestManyPostsAtOnce(t *testing.T) {
	b, f, m := openChat(t)
	b.until(connected)
	evaluate[bool](b, `Math.random = () => 100, true`) // a wait of fifty seconds
	m.socket.Close(ws.CloseServiceRestart, "")
	b.until(waiting)
	evaluate[bool](b, `(() => {
		for (let i = 0; i < 50; i++) {
			text.value = "post " + i;
			composer.requestSubmit();
		}
		return true;
	})()`)
	b.until(pendingCount + ` === 50`)
	b.catchTimers(1_000)
	b.stopClock() // the second in which the page sends no more than twenty
	b.do(chromedp.Click("#connection-now"))
	m = f.next()
	m.history()
	states := `JSON.stringify(["sending", "waiting"].map((state) => document.querySelectorAll("#pending > li." + state).length))`
	var ids []any
	hear := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			post := m.heard()
			if want := fmt.Sprint("post ", i); post["text"] != want {
				t.Fatalf("the page sends %v, want %s", post["text"], want)
			}
			ids = append(ids, post["id"])
		}
	}
	hear(0, 20)
	b.until(states + ` === "[20,30]"`)

	// A refusal halves the window and stops all sending for a second; then it continues in the same order.
	for i := range 19 {
		m.say(fmt.Sprintf(`{"type":"ack","id":%q,"seq":%d}`, ids[i], i+1))
	}
	m.say(fmt.Sprintf(`{"type":"error","code":"rate_limited","message":"too many messages","id":%q}`, ids[19]))
	b.until(states + ` !== "[20,30]" && document.querySelector("#pending").innerText.includes("too many messages (trying again)")`)
	b.later(time.Second)
	b.due(1_000)
	hear(19, 29)
	b.until(states + ` === "[10,21]"`)
	if len(f.joined) > 0 {
		t.Error("it left the connection")
	}
}

// Two hundred waiting posts arrive, in order, on one connection.
func TestManyPostsArrive(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0", "-sync", "1s")
	b.signIn("http://"+addr+"/chat", "ana")
	evaluate[bool](b, `(() => {
		window.states = [];
		const connection = document.querySelector("#connection");
		new MutationObserver(() => states.push(connection.dataset.state)).observe(connection, { attributes: true });
		for (let i = 0; i < 200; i++) {
			text.value = "post " + i;
			composer.requestSubmit();
		}
		return true;
	})()`)
	for i, text := range b.said(200) {
		if want := fmt.Sprint("post ", i); text != want {
			t.Fatalf("at %d is %q", i, text)
		}
	}
	if states := evaluate[string](b, `states.join(" ")`); strings.ReplaceAll(states, "open", "") != strings.Repeat(" ", strings.Count(states, " ")) {
		t.Errorf("the connection was %s", states)
	}
}

// The list shows the rooms visited, marks the current one, and has a bounded length.
func TestRoomsVisited(t *testing.T) {
	b := open(t, "/chat/")
	f := newFakeChat(t)
	list := `JSON.stringify([...document.querySelectorAll("#rooms a")].map((a) => a.textContent + (a.getAttribute("aria-current") === "page" ? "*" : "")))`
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(f.url))
	b.until(list + ` === '["kitchen*","lobby"]'`)
	b.do(chromedp.SetValue("#room-input", "garden"), chromedp.Focus("#room-input"), chromedp.KeyEvent("\r"))
	b.comes(`location.pathname === "/chat/garden" && ` + list + ` === '["garden*","kitchen","lobby"]'`)
	b.do(chromedp.Click(`#rooms a[href="/chat/kitchen"]`))
	b.comes(`location.pathname === "/chat/kitchen" && ` + list + ` === '["garden","kitchen*","lobby"]'`)
	for _, kept := range []string{`{"a":1}`, `nonsense`, `["<b>", 7, null, "Bad Room", "a", "javascript:alert(1)"]`} {
		quoted, _ := json.Marshal(kept)
		evaluate[bool](b, fmt.Sprintf(`localStorage.setItem("rooms", %s), true`, quoted))
		b.do(chromedp.Reload())
		b.until(list + ` === '["kitchen*","lobby"]' || ` + list + ` === '["a","kitchen*","lobby"]'`)
	}
	evaluate[bool](b, `localStorage.setItem("rooms", JSON.stringify(Array.from({ length: 40 }, (_, i) => "r" + i))), true`)
	b.do(chromedp.Reload())
	b.until(`document.querySelectorAll("#rooms a").length === 13`) // twelve, and the lobby
}

// A list at its end stays there when its space shrinks, because of a long text or while the tab is hidden.
func TestTheEndStaysInSight(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(f.url))
	m := f.next()
	m.history(writtenRoom()...)
	b.said(14)
	const atEnd = `scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 2 && document.querySelector("#newest").hidden`
	b.until(atEnd)
	before := evaluate[int](b, `scroller.clientHeight`)
	evaluate[bool](b, `(() => {
		text.value = "line\n".repeat(5) + "line";
		text.dispatchEvent(new Event("input"));
		return true;
	})()`)
	b.until(fmt.Sprintf(`scroller.clientHeight < %d - 80 && `, before) + atEnd)
	// All together, as in a browser that lays out a hidden tab when it is shown.
	b.hidden(true)
	if !evaluate[bool](b, `(() => {
		document.body.style.height = "500px";
		Object.defineProperty(document, "hidden", { configurable: true, get: () => false });
		document.dispatchEvent(new Event("visibilitychange"));
		return `+atEnd+`;
	})()`) {
		t.Error("the newest message is out of sight")
	}
}
