package views_test

import (
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// blockStorage makes the browser refuse storage to all pages to come, as some do for sites without cookies.
func (b *browser) blockStorage() {
	b.t.Helper()
	script := page.AddScriptToEvaluateOnNewDocumentParams{Source: `for (const area of ["localStorage", "sessionStorage"]) {
		Object.defineProperty(window, area, { get() { throw new DOMException("access is denied for this document", "SecurityError"); } });
	}`}
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, script); err != nil {
		b.t.Fatal(err)
	}
}

// Where storage is blocked, the pages work all the same, and lose what they keep when they are left.
func TestWithoutStorage(t *testing.T) {
	b := open(t, "/ticket")
	b.blockStorage()
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.do(chromedp.Navigate("http://" + addr + "/rooms"))
	b.until(connected + ` && document.querySelector("#me").textContent.startsWith("guest ")`)
	b.enter(card("/", ".say input"), "hello, hall")
	b.shows(card("/", ".log"), "hello, hall")

	b.signIn("http://"+addr+"/chat/kitchen", "ana")
	b.do(chromedp.SendKeys("#text", "hello\r"))
	b.said(1)
	b.until(pendingCount + ` === 0 && document.querySelectorAll("#rooms a").length === 2`)
	b.do(chromedp.SendKeys("#text", "half"))
	b.do(chromedp.Click("#rename"), chromedp.SetValue("#name", "anna"), chromedp.KeyEvent("\r"))
	b.until(connected + ` && document.querySelector("#me").textContent === "anna" && text.value === "half"`)
	b.do(chromedp.Reload())
	b.said(1)
	b.until(connected + ` && document.querySelector("#me").textContent === "anna" && text.value === ""`)
}

// What the browser does not keep is remembered until the page is left.
func TestAFullStorage(t *testing.T) {
	b := open(t)
	f := newFakeChat(t)
	b.do(chromedp.Navigate(f.url))
	f.next().history()
	b.until(connected)
	if got := evaluate[string](b, `import("/storage.js").then(({ tab }) => {
		const seen = [tab.get("a")];
		tab.set("a", "kept");
		seen.push(tab.get("a"), sessionStorage.getItem("a"));
		tab.set("a", "x".repeat(20_000_000));
		seen.push(tab.get("a").length, sessionStorage.getItem("a"));
		tab.set("a", ["short"]);
		seen.push(tab.get("a"), sessionStorage.getItem("a"));
		tab.set("a", "x".repeat(20_000_000));
		tab.remove("a");
		sessionStorage.setItem("b", "no JSON");
		seen.push(tab.get("a"), sessionStorage.getItem("a"), tab.get("b"));
		return JSON.stringify(seen);
	})`); got != `[null,"kept","\"kept\"",20000000,"\"kept\"",["short"],"[\"short\"]",null,null,null]` {
		t.Errorf("it remembers %s", got)
	}
}
