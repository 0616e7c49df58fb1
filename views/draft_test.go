package views_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"echows/ws"
)

// A draft survives a reload, in its room and for its writer, until it is sent or nobody is signed in.
func TestDrafts(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	visit := func(room string) *fakeMember {
		t.Helper()
		b.do(chromedp.Navigate(strings.Replace(f.url, "kitchen", room, 1)))
		m := f.nextIn(room)
		m.history()
		b.until(connected)
		return m
	}
	is := func(want string) {
		t.Helper()
		b.until(fmt.Sprintf(`document.querySelector("#composer").checkVisibility() && text.value === %q`, want))
	}
	visit("kitchen")
	b.do(chromedp.SendKeys("#text", "half a thought, 😀"))
	is("half a thought, 😀")
	visit("garden")
	is("")
	b.do(chromedp.SendKeys("#text", "another"))
	m := visit("kitchen")
	is("half a thought, 😀")
	b.do(chromedp.SendKeys("#text", "\r"))
	if got := m.heard(); got["text"] != "half a thought, 😀" {
		t.Errorf("the page sends %v", got)
	}
	m.message(said{Seq: 1, ID: "other", From: "ana", Mark: "k3f7", Text: "x", At: at(22, 9, 0)})
	b.said(1)
	visit("kitchen")
	is("")

	// It is kept when the message is refused and taken back for editing, and up to its longest length.
	evaluate[bool](b, `(text.value = "x".repeat(20000), text.dispatchEvent(new Event("input")), true)`)
	visit("kitchen")
	b.until(`text.value.length === 10000 && document.querySelector("#count").textContent === "8000 characters too many"`)
	evaluate[bool](b, `(text.value = "short", text.dispatchEvent(new Event("input")), true)`)

	// Nobody gets what somebody else was writing.
	f.name.Store("bo")
	visit("kitchen")
	is("")
	f.name.Store("ana")
	visit("garden")
	is("another")
	f.over.Store(true)
	b.do(chromedp.Reload())
	b.until(`document.querySelector("#sign-in").checkVisibility() && sessionStorage.getItem("drafts") === null`)
	b.do(chromedp.SetValue("#name", "ana"), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
	m = f.nextIn("garden")
	m.history()
	is("")
	for _, c := range []struct{ name, text string }{{"ana", "mine"}, {"bo", ""}} { // the writer continues, another person does not
		evaluate[bool](b, `(text.value = "mine", text.dispatchEvent(new Event("input")), true)`)
		f.over.Store(true)
		m.socket.Close(ws.CloseServiceRestart, "")
		b.until(`document.querySelector("#sign-in").checkVisibility()`)
		b.do(chromedp.SetValue("#name", c.name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		m = f.nextIn("garden")
		m.history()
		is(c.text)
	}
	visit("garden")

	// The number of rooms with drafts is bounded, and invalid entries from other pages are ignored.
	for i := range 15 {
		evaluate[bool](b, fmt.Sprintf(`import("/chat-draft.js").then(({ saveDraft }) => (saveDraft("room-%d", { name: "bo", mark: "k3f7" }, "a"), true))`, i))
	}
	got := evaluate[string](b, `import("/chat-draft.js").then(({ draftOf }) => [0, 2, 3, 14].map((i) => draftOf("room-" + i, { name: "bo", mark: "k3f7" })).join() + draftOf("room-3", { name: "bo", mark: "q2xa" }))`)
	if got != ",,a,a" {
		t.Errorf("of rooms 0, 2, 3 and 14, and of another of that name, the drafts are %s", got)
	}
	for _, kept := range []string{"nonsense", "7", `[["garden","bo","k3f7",7]]`, `[7,null,["garden"]]`} {
		evaluate[bool](b, fmt.Sprintf(`sessionStorage.setItem("drafts", %q), true`, kept))
		b.do(chromedp.Reload())
		f.nextIn("garden").history()
		is("")
	}
}

// A writer who changes the name keeps the drafts in all rooms, in this tab and others. Another person does not get them: neither
// one who signs in later, nor one who finds the page of a writer who has been signed out.
func TestDraftsOfSomebodyWhoChangesTheName(t *testing.T) {
	b := open(t, "/ticket", "/session")
	f := newFakeChat(t)
	visit := func(b *browser, room string) *fakeMember {
		t.Helper()
		b.do(chromedp.Navigate(strings.Replace(f.url, "kitchen", room, 1)))
		m := f.nextIn(room)
		m.history()
		b.until(connected + ` && document.querySelector("#composer").checkVisibility()`)
		return m
	}
	names := func(name, room string) *fakeMember {
		t.Helper()
		b.do(chromedp.SetValue("#name", name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		m := f.nextIn(room)
		m.history()
		b.until(fmt.Sprintf(`%s && document.querySelector("#me").textContent === %q`, connected, name))
		return m
	}
	has := func(b *browser, want string) {
		t.Helper()
		if got := evaluate[string](b, `text.value`); got != want {
			t.Errorf("%s has %q to send, want %q", evaluate[string](b, `location.pathname`), got, want)
		}
	}
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // opens a tab, which lives as long as this ctx
		t.Fatal(err)
	}
	other := &browser{t, ctx}
	inAttic := visit(other, "attic")
	other.do(chromedp.SendKeys("#text", "for the attic"))
	visit(b, "garden")
	b.do(chromedp.SendKeys("#text", "for the garden"))
	visit(b, "kitchen")
	b.do(chromedp.SendKeys("#text", "for the kitchen"))
	for _, name := range []string{"anna", "annie"} {
		b.do(chromedp.Click("#rename"))
		f.failing.Store(true) // which does not mean that nobody is signed in
		b.do(chromedp.SetValue("#name", name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		b.until(`!document.querySelector("#name-problem").hidden && !document.querySelector("#sign-in-button").disabled`)
		f.failing.Store(false)
		names(name, "kitchen")
		has(b, "for the kitchen")
	}
	visit(b, "garden")
	has(b, "for the garden")
	inAttic.socket.Close(ws.CloseServiceRestart, "") // only the next connection tells that tab
	f.nextIn("attic").history()
	other.until(connected + ` && document.querySelector("#me").textContent === "annie"`)
	has(other, "for the attic")
	visit(other, "attic")
	has(other, "for the attic")

	// Signed out elsewhere: whoever enters a name here does not change that of the writer.
	m := visit(b, "kitchen")
	f.over.Store(true)
	m.socket.Close(ws.ClosePolicyViolation, "signed out")
	b.until(`document.querySelector("#connection").dataset.state === "stopped"`)
	b.do(chromedp.Click("#rename"))
	names("bo", "kitchen")
	has(b, "")
	if kept := evaluate[string](b, `sessionStorage.getItem("drafts")`); strings.Contains(kept, "garden") {
		t.Errorf("kept are %s", kept)
	}
	visit(b, "garden")
	has(b, "")
	visit(other, "attic")
	has(other, "")
	b.do(chromedp.SendKeys("#text", "bo's"))

	// Signed in elsewhere, without the page's doing.
	f.name.Store("cleo")
	m = visit(b, "garden")
	has(b, "")
	f.over.Store(true)
	m.socket.Close(ws.CloseServiceRestart, "")
	b.until(`document.querySelector("#sign-in").checkVisibility() && localStorage.getItem("renamed") === null`)
	names("dora", "garden")
	has(b, "")
}

// holdName holds the answer to a new name, which sets heldName, until the page has handled the next answer about who is signed in.
// That answer is from before the new name if old. names are those that the page shows as its reader's from then on.
const holdName = `((old) => {
	const real = fetch;
	let before, go;
	window.heldName = false;
	window.names = [];
	const me = document.querySelector("#me");
	new MutationObserver(() => names.push(me.textContent)).observe(me, { childList: true });
	window.fetch = async (path, options) => {
		const response = await real(path, options);
		if (path !== "/session") {
			return response;
		}
		if (options?.method === "POST") {
			await new Promise((resolve) => {
				go = resolve;
				heldName = true;
			});
			return response;
		}
		const { ok, status } = response;
		let answer = await response.json();
		before ??= answer; // to signIn, which asks first
		if (go !== undefined) {
			answer = old ? before : answer;
			setTimeout(go); // after what the page does with this answer
			go = undefined;
		}
		return { ok, status, json: async () => answer };
	};
	return true;
})`

// A page that reconnects while its writer changes the name keeps the draft, under the new name, or under the old one if the server
// refuses the new one.
func TestADraftWhileTheNameChanges(t *testing.T) {
	b := open(t, "/session")
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	b.until(connected)
	b.do(chromedp.SendKeys("#text", "half a thought"))
	for _, c := range []struct {
		refused, old bool
		want         string
	}{{true, false, "ana"}, {false, false, "anna"}, {false, true, "annie"}} {
		f.broken.Store(c.refused)
		evaluate[bool](b, fmt.Sprintf(`%s(%t)`, holdName, c.old))
		b.do(chromedp.Click("#rename"), chromedp.SetValue("#name", strings.Replace(c.want, "ana", "bo", 1)), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		b.until(`heldName`)
		m.socket.Close(ws.CloseServiceRestart, "")
		b.until(fmt.Sprintf(`document.querySelector("#me").textContent === %q && !document.querySelector("#sign-in-button").disabled`, c.want))
		if got := evaluate[string](b, `text.value`); got != "half a thought" {
			t.Errorf("%s has %q to send", c.want, got)
		}
		m = f.next()
		m.history()
		b.until(connected)
		if got := evaluate[string](b, `names.join()`); strings.ReplaceAll(strings.ReplaceAll(got, c.want, ""), ",", "") != "" {
			t.Errorf("the reader is shown as %s", got)
		}
		b.do(chromedp.Reload())
		m = f.next()
		m.history()
		b.until(connected + ` && document.querySelector("#composer").checkVisibility() && text.value === "half a thought"`)
	}
}

// Whoever signs in again under the same name, and so with another mark, continues to write; another person begins anew.
func TestADraftAfterSigningInAgain(t *testing.T) {
	b := open(t, "/ticket", "/session")
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.signIn("http://"+addr+"/chat/kitchen", "ana")
	b.do(chromedp.SendKeys("#text", "half a thought"))
	for _, c := range []struct{ name, want string }{{"ana", "half a thought"}, {"bo", ""}} {
		evaluate[bool](b, `fetch("/session", { method: "DELETE" }).then(() => true)`)
		b.until(`document.querySelector("#connection").dataset.state === "stopped"`)
		b.do(chromedp.Click("#connection-now"))
		b.until(`document.querySelector("#sign-in").checkVisibility()`)
		b.do(chromedp.SetValue("#name", c.name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		b.until(fmt.Sprintf(`%s && document.querySelector("#me").textContent === %q`, connected, c.name))
		if got := evaluate[string](b, `text.value`); got != c.want {
			t.Errorf("%s has %q to send, want %q", c.name, got, c.want)
		}
	}
}
