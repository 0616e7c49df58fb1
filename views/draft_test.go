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
