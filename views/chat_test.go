package views_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"echows/internal/porttest"
)

// said waits until the page shows that many messages, and returns all their texts.
func (b *browser) said(n int) []string {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelectorAll("#messages > li").length === %d`, n))
	return evaluate[[]string](b, `[...document.querySelectorAll("#messages .text")].map((p) => p.textContent)`)
}

// signIn opens the room and gives a name.
func (b *browser) signIn(url, name string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.until(`!document.querySelector("#sign-in").hidden`)
	b.do(chromedp.SetValue("#name", name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
	b.until(connected)
	b.until(fmt.Sprintf(`document.querySelector("#me").textContent === %q`, name))
}

// here reports whether the page shows that many connections in the room.
func here(n int) string {
	return fmt.Sprintf(`document.querySelector("#people-title").textContent === "%d here"`, n)
}

const pendingCount = `document.querySelectorAll("#pending > li").length`

func TestTwoChatAndTheServerRestarts(t *testing.T) {
	expected := []string{"ERR_CONNECTION_REFUSED", "WebSocket connection to", "/ticket", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"}
	ana, bea := open(t, expected...), open(t, expected...)
	program := build(t)
	addr, stop := start(t, program, porttest.Address(t))
	ana.signIn("http://"+addr+"/chat/kitchen", "ana")
	bea.signIn("http://"+addr+"/chat/kitchen", "Béa 👩‍🍳")
	ana.until(here(2))

	ana.do(chromedp.SendKeys("#text", "hello <b>Béa</b>, see https://example.com/a?b=c.\r"))
	bea.until(`document.querySelector("#messages a")?.href === "https://example.com/a?b=c"`)
	bea.do(chromedp.SendKeys("#text", "שלום, and a second line\r"))
	ana.said(2)
	if got := bea.said(2); got[0] != "hello <b>Béa</b>, see https://example.com/a?b=c." || got[1] != "שלום, and a second line" {
		t.Errorf("béa sees %q", got)
	}
	if evaluate[int](bea, `document.querySelectorAll("#messages b").length`) > 0 {
		t.Error("markup became markup")
	}
	ana.until(pendingCount + " === 0")

	stop()
	ana.until(waiting)
	ana.do(chromedp.SendKeys("#text", "said while nobody listened\r"))
	ana.until(pendingCount + ` === 1 && document.querySelector("#pending .state").textContent.includes("waiting")`)
	ana.screenshot("chat-waiting")
	start(t, program, addr)
	for _, b := range []*browser{ana, bea} {
		b.until(`document.querySelector("#connection").dataset.state !== "waiting" || (document.querySelector("#connection-now").click(), false)`)
		b.until(connected)
		if got := b.said(3); got[2] != "said while nobody listened" {
			t.Errorf("after the restart: %q", got)
		}
	}
	ana.until(pendingCount + " === 0")
	ana.until(here(2))
	bea.do(chromedp.SendKeys("#text", "welcome back\r"))
	ana.said(4)
	bea.screenshot("chat-light")

	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(ana.ctx, emulation.SetEmulatedMedia, dark); err != nil {
		t.Fatal(err)
	}
	ana.do(chromedp.EmulateViewport(360, 740))
	ana.screenshot("chat-phone-dark")
	if evaluate[bool](ana, "document.documentElement.scrollWidth > innerWidth") {
		t.Error("on a phone the page is wider than the screen")
	}
	ana.do(chromedp.Click("#rename"), chromedp.SetValue("#name", "anna"), chromedp.KeyEvent("\r"))
	ana.until(connected + ` && document.querySelector("#me").textContent === "anna"`)
	ana.do(chromedp.SendKeys("#text", "I have a new name\r"))
	bea.until(`[...document.querySelectorAll("#messages bdi")].at(-1).textContent === "anna"`)
	// A reload keeps unsent messages, and the session.
	ana.do(chromedp.Reload())
	ana.until(connected + ` && document.querySelectorAll("#messages > li").length === 5`)
}

// The page keeps its position while somebody reads back, and loads older messages.
func TestReadingBack(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0", "-post-rate", "100000", "-sync", "1s")
	b.signIn("http://"+addr+"/chat", "ana")
	post := func(from, to int) {
		t.Helper()
		evaluate[bool](b, fmt.Sprintf(`(async () => {
			const { ticket } = await (await fetch("/ticket", { method: "POST" })).json();
			const socket = new WebSocket("ws://" + location.host + "/ws/chat/lobby?ticket=" + ticket);
			await new Promise((open) => { socket.onopen = open; });
			const done = new Promise((resolve) => {
				socket.onmessage = (e) => { const m = JSON.parse(e.data); if (m.type === "ack" && m.id === "m%d") resolve(); };
			});
			for (let i = %d; i <= %d; i++) socket.send(JSON.stringify({ type: "post", id: "m" + i, text: "message " + i }));
			await done;
			socket.close();
			return true;
		})()`, to, from, to))
	}
	post(1, 180)
	b.said(180)
	b.do(chromedp.Reload())
	b.said(50)
	const top = `document.querySelector("#scroller").scrollTop`
	b.until(top + " > 100")
	evaluate[bool](b, `document.querySelector("#scroller").scrollTop = 50; true`)
	got := b.said(100)
	if got[0] != "message 81" || got[99] != "message 180" {
		t.Errorf("older messages from %q to %q", got[0], got[99])
	}
	b.until(top + " > 1000") // the messages being read are still in view
	before := evaluate[int](b, top)
	post(181, 182)
	b.said(102)
	if after := evaluate[int](b, top); after != before {
		t.Errorf("new messages moved the view from %d to %d", before, after)
	}
	b.until(`!document.querySelector("#newest").hidden`)
	b.screenshot("chat-reading-back")
	b.do(chromedp.Click("#newest"))
	b.until(`document.querySelector("#newest").hidden`)
	evaluate[bool](b, `document.querySelector("#scroller").scrollTop = 0; true`)
	b.said(152)
	evaluate[bool](b, `document.querySelector("#scroller").scrollTop = 0; true`)
	if got := b.said(182); got[0] != "message 1" || len(got) != 182 {
		t.Errorf("it begins with %q", got[0])
	}
	evaluate[bool](b, `document.querySelector("#scroller").scrollTop = 0; true`)
	b.until(`document.querySelector("#older").textContent.includes("no older messages")`)

	// A message that was stored, but not acknowledged before the page was left, is not sent again.
	evaluate[bool](b, `(() => {
		const seq = Number(document.querySelector("#messages > li:last-child").dataset.seq);
		sessionStorage.setItem("pending:lobby", JSON.stringify({ since: seq - 1, waiting: [["m182", "message 182"]] }));
		return true;
	})()`)
	b.do(chromedp.Reload())
	got = b.said(51) // the new one, and a page of older ones
	if got[50] != "message 182" || got[49] != "message 181" {
		t.Errorf("after the reload: %q", got[48:])
	}
	b.until(pendingCount + " === 0")
	post(183, 183)
	if got := b.said(52); got[51] != "message 183" || got[50] != "message 182" {
		t.Errorf("and then: %q", got[49:])
	}
}

// Errors appear next to the message that caused them.
func TestARefusedMessage(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0", "-post-rate", "1")
	b.signIn("http://"+addr+"/chat", "ana")
	b.do(chromedp.SendKeys("#text", "   \r"))
	b.until(`document.querySelector("#problem").textContent.includes("Write something")`)
	// In one burst: otherwise a slow server might accept them all.
	evaluate[bool](b, `new Promise((refused) => {
		new MutationObserver(() => {
			if (document.querySelector("#pending").innerText.includes("trying again")) refused(true);
		}).observe(document.querySelector("#pending"), { subtree: true, childList: true, characterData: true });
		for (let i = 0; i < 6; i++) {
			document.querySelector("#text").value = "message " + i;
			document.querySelector("#composer").requestSubmit();
		}
	})`)
	b.said(6) // and then they get through
	long := strings.Repeat("x", 2001)
	evaluate[bool](b, `document.querySelector("#text").value = "`+long+`"; document.querySelector("#composer").requestSubmit(); true`)
	b.until(`document.querySelector("#problem").textContent.includes("2001")`)
	if got := evaluate[int](b, `document.querySelector("#text").value.length`); got != 2001 {
		t.Errorf("%d characters are left to be mended", got)
	}
}

// The text field grows with its lines, with or without the browser's help, and on a touch screen Enter starts a new line.
func TestWritingSeveralLines(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.signIn("http://"+addr+"/chat", "ana")
	const height = `document.querySelector("#text").offsetHeight`
	heights := func(lines int) (all []int) {
		for n := range lines {
			all = append(all, evaluate[int](b, fmt.Sprintf(`(() => {
				const text = document.querySelector("#text");
				text.value = %q;
				text.dispatchEvent(new Event("input"));
				return text.offsetHeight;
			})()`, strings.Repeat("line\n", n)+"line")))
		}
		return all
	}
	own := heights(12)
	if own[1] <= own[0] || own[3] <= own[2] || own[11] != own[10] || own[11] > 200 {
		t.Errorf("with more and more lines it is %v px high", own)
	}
	evaluate[bool](b, `document.querySelector("#text").style.fieldSizing = "fixed", true`)
	if ours := heights(12); !slices.Equal(ours, own) {
		t.Errorf("without field-sizing it is %v px high, with it %v", ours, own)
	}
	heights(1)
	if got := evaluate[int](b, height); got != own[0] {
		t.Errorf("it stays %d px high with one line", got)
	}
	evaluate[bool](b, `document.querySelector("#text").value = "", true`)

	if _, err := chromedp.Call(b.ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	b.until(`matchMedia("(pointer: coarse)").matches && getComputedStyle(document.querySelector(".keys")).display === "none"`)
	b.do(chromedp.SendKeys("#text", "one\rtwo"))
	b.until(`document.querySelector("#text").value === "one\ntwo"`)
	b.screenshot("chat-two-lines")
	b.do(chromedp.Click("#composer button[type=submit]"))
	if got := b.said(1); got[0] != "one\ntwo" {
		t.Errorf("it says %q", got)
	}
}

// For a screen reader there is a list of messages, in a log that does not inherit the name of its surroundings.
func TestRolesOfTheChat(t *testing.T) {
	b := open(t, "/ticket")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.signIn("http://"+addr+"/chat", "ana")
	b.do(chromedp.SendKeys("#text", "hello\r"))
	b.said(1)
	b.until(pendingCount + " === 0")
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, node := range tree.Nodes {
		if node.Ignored {
			continue
		}
		switch role := strings.Trim(string(node.Role.Value), `"`); role {
		case "region", "log", "list", "listitem":
			got = append(got, role+" "+strings.Trim(string(node.Name.Value), `"`))
		}
	}
	if want := []string{"list ", "listitem ", "listitem ", "listitem ", "region Messages", "log ", "list ", "listitem "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChatRules(t *testing.T) {
	b := open(t)
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.do(chromedp.Navigate("http://" + addr))
	got := evaluate[string](b, `import("/chat-rules.js").then(({ parse, splitText, textProblem, characters }) => JSON.stringify([
		["", "null", "[]", "{", '{"type":"toString"}', '{"type":"ack","id":1,"seq":1}', '{"type":"ack","id":"a","seq":-1}', '{"type":"presence","count":1.5}',
			'{"type":"message","seq":1,"id":"a","from":"b","text":"c","at":"never"}', '{"type":"history","messages":[{}],"complete":true}',
			'{"type":"error","code":"a","message":5}'].map((text) => parse(text) === undefined),
		parse('{"type":"presence","count":3}').count,
		splitText("see https://a.example/x(1), or javascript:alert(1) http://").map(({ part, link }) => [part, link ?? ""]),
		textProblem("a"), textProblem("\u200b ") !== "", textProblem("a\u0000") !== "", textProblem("x\n\t"), characters("😀é"),
	]))`)
	want := `[[true,true,true,true,true,true,true,true,true,true,true],3,` +
		`[["see ",""],["https://a.example/x(1","https://a.example/x(1"],["), or javascript:alert(1) http://",""]],` +
		`"",true,true,"",2]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
