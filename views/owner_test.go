package views_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// Waiting messages go out under their writer's name, unless another person adopts them.
func TestWhatWaitsHasAWriter(t *testing.T) {
	b := open(t, "/ticket")
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	m := f.next()
	m.history()
	b.until(connected)
	f.over.Store(true)
	m.socket.Close(1008, "signed out")
	b.until(`document.querySelector("#connection").dataset.state === "stopped"`)
	for i, text := range []string{"one", "two", "three"} {
		b.do(chromedp.SendKeys("#text", text+"\r"))
		b.until(fmt.Sprintf(`%s === %d`, pendingCount, i+1))
	}
	b.do(chromedp.Reload())
	signIn := func(name string) *fakeMember {
		t.Helper()
		b.until(`document.querySelector("#sign-in").checkVisibility()`)
		b.do(chromedp.SetValue("#name", name), chromedp.Focus("#name"), chromedp.KeyEvent("\r"))
		m := f.next()
		m.history(line(1, "cleo", "q2xa", "hello"))
		b.said(1)
		return m
	}
	const notes = `[...document.querySelectorAll("#pending .state")].map((p) => p.textContent.replaceAll(/\s+/g, " ")).join("|")`
	const kept = "Not sent: written as ana k3f7. Send as bo Discard"
	press := func(n int, words string) {
		t.Helper()
		evaluate[bool](b, fmt.Sprintf(`[...document.querySelectorAll("#pending li")][%d].querySelectorAll("button").forEach((one) => one.textContent === %q && one.click()), true`, n, words))
	}

	m = signIn("bo")
	b.catchTimers(5_000) // answers do not come
	b.until(notes + ` === ` + fmt.Sprintf("%q", kept+"|"+kept+"|"+kept))
	b.screenshot("chat-kept")
	press(2, "Discard")
	b.until(pendingCount + ` === 2 && document.activeElement.id === "text"`)
	press(1, "Send as bo")
	if got := m.heard(); got["text"] != "two" {
		t.Errorf("the server hears %v", got)
	}
	b.do(chromedp.SendKeys("#text", "bo's own\r"))
	if got := m.heard(); got["text"] != "bo's own" {
		t.Errorf("the server hears %v", got)
	}

	// Also within the same page, without a reload.
	f.over.Store(true)
	m.socket.Close(1008, "signed out")
	b.until(`document.querySelector("#connection").dataset.state === "stopped"`)
	b.do(chromedp.Click("#connection-now"))
	m = signIn("ana")
	if got := m.heard(); got["text"] != "one" {
		t.Errorf("the server hears %v", got)
	}
	b.until(fmt.Sprintf(`%s.startsWith("sending …|Not sent: written as bo k3f7. ")`, notes))
	if len(m.posts) > 0 {
		t.Errorf("the server hears %v", m.heard())
	}
}
