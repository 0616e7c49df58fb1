package views_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"echows/internal/certtest"
	"echows/internal/porttest"
	"echows/internal/programtest"
	"echows/views"
	"echows/ws"
)

// patience bounds every wait.
const patience = time.Minute

// browser is a page in headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// open starts Chromium. Without Chromium it skips the test, or fails it if ECHOWS_BROWSER is "required", as
// in CI. Errors that the page reports fail the test, except for those in expected.
func open(t *testing.T, expected ...string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("ECHOWS_BROWSER") == "required" {
			t.Fatal("no chromium on this machine, and ECHOWS_BROWSER requires one: apt-get install chromium")
		}
		t.Skip("no chromium on this machine: apt-get install chromium")
	}
	beside(t)
	temp, err := os.MkdirTemp("", "echows-chromium-") // for what Chromium leaves when it is killed; a path of t.TempDir is too long for its socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) }) // after Chromium's end
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Env("TMPDIR="+temp),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(900, 760),
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(patience))
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	expected = append(expected, "/icon.svg") // Chromium may request it just when the server stops
	complain := func(text string) {
		if t.Context().Err() != nil {
			return // the test is over, and its server is gone
		}
		for _, e := range expected {
			if strings.Contains(text, e) {
				return
			}
		}
		t.Errorf("the page reports: %s", text)
	}
	if err := chromedp.Do(ctx); err != nil { // starts Chromium, which lives as long as this ctx
		t.Fatal(err)
	}
	err = chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complain(fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.URL))
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				complain(e.Entry.Text + " " + e.Entry.URL)
			}
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, ctx}
}

// unhurried serves connection.js with the longest patience for each attempt to connect. On a busy machine a page would otherwise
// leave the connection that the test takes for the page's only one. With hurried the script is as the program serves it.
func unhurried(t *testing.T, e *echo.Echo, hurried *atomic.Bool) {
	t.Helper()
	const own, longest = "attemptTime = 4_000;", "attemptTime = longestDelay;"
	script, err := views.Files.ReadFile("connection.js")
	if err != nil || !bytes.Contains(script, []byte(own)) {
		t.Fatalf("connection.js, %v, does not have %q", err, own)
	}
	patient := bytes.Replace(script, []byte(own), []byte(longest), 1)
	e.GET("/connection.js", func(c echo.Context) error {
		served := patient
		if hurried.Load() {
			served = script
		}
		return c.Blob(http.StatusOK, "text/javascript; charset=utf-8", served)
	})
}

// beside runs a test in parallel with others, since it mostly waits: for a page to try again, for a state to appear. Subtests
// do not run in parallel: their parent's server would be gone.
func beside(t *testing.T) {
	if _, again := parallel.LoadOrStore(t, true); !again && !strings.Contains(t.Name(), "/") {
		t.Parallel()
	}
}

var parallel sync.Map // the tests that have called beside, by *testing.T

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		page, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%v; the page shows:\n%s", err, page)
	}
}

// until waits for a JavaScript expression to become true.
func (b *browser) until(condition string) {
	b.t.Helper()
	b.do(chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(20*time.Millisecond)))
}

// comes is like until, for when the page changes: between two pages Chromium answers with an error, and it never answers a
// poll in a page that it has kept.
func (b *browser) comes(condition string) {
	b.t.Helper()
	for came := false; !came; {
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s does not come", condition)
		}
		came, _ = chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition))
	}
}

// evaluate returns the value of a JavaScript expression, or of its promise.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// screenshot saves a picture for a person to look at, if ECHOWS_SCREENSHOTS names a folder.
func (b *browser) screenshot(name string) {
	folder := os.Getenv("ECHOWS_SCREENSHOTS")
	if folder == "" {
		return
	}
	evaluate[bool](b, `Promise.all(document.getAnimations().map((a) => a.effect.getTiming().iterations === 1 && a.finished)).then(() => true)`)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func TestMain(m *testing.M) { programtest.Exit(m.Run()) }

// build returns a folder for a program's data, to pass to start.
func build(t *testing.T) string { return t.TempDir() }

// start runs the program on an address and with a folder, which keeps its data across restarts. It returns the address, and a
// function that stops the program and checks its exit code.
func start(t *testing.T, folder, addr string, args ...string) (string, func()) {
	t.Helper()
	p := programtest.Start(t, append([]string{"-addr", addr, "-data", folder}, args...)...)
	_, addr, _ = strings.Cut(p.URL, "://")
	return addr, p.End
}

const (
	replies   = `document.querySelectorAll("#websocket-returns > p").length`
	lastReply = `document.querySelector("#websocket-returns > p:last-child")?.textContent`
	connected = `document.querySelector("#connection").dataset.state === "open"`
	waiting   = `document.querySelector("#connection").dataset.state === "waiting"`
	enabled   = `document.querySelector("#websocket-button").matches(":enabled:not([aria-disabled=true])")`
)

func TestClickStopAndStartAgain(t *testing.T) {
	b := open(t, "ERR_CONNECTION_REFUSED", "WebSocket connection to")
	program := build(t)
	addr, stop := start(t, program, porttest.Address(t))

	b.do(chromedp.Navigate("http://" + addr))
	b.until(connected + " && " + enabled + " && " + replies + " === 1")
	b.do(chromedp.Click("#websocket-button"))
	b.until(replies + ` === 2 && ` + lastReply + ` === "I am using websockets!"`)
	b.screenshot("first-lesson")

	stop()
	b.until(waiting + " && !(" + enabled + ")")
	b.until(`document.querySelector("#connection").innerText.includes("trying again") && document.querySelector("#connection-seconds").textContent.startsWith("in ")`)
	b.screenshot("first-lesson-waiting")

	start(t, program, addr)
	b.until(connected + " && " + replies + " === 3")
	b.do(chromedp.Focus("#websocket-button"), chromedp.KeyEvent("\r"))
	b.until(replies + " === 4")
}

// Two things cut a wait short: the button, and the return of the network.
func TestWaitsEndEarly(t *testing.T) {
	b := open(t, "ERR_CONNECTION_REFUSED", "WebSocket connection to")
	program := build(t)
	addr, stop := start(t, program, porttest.Address(t))
	b.do(chromedp.Navigate("http://" + addr))
	b.until(connected)
	stop()
	b.until(waiting)
	// The longest of all waits, so that only the button can end it.
	evaluate[bool](b, `Math.random = () => 1e6; true`)
	b.until(waiting + ` && parseInt(document.querySelector("#connection-seconds").textContent.slice(3)) > 1000`)
	_, stop = start(t, program, addr)
	b.do(chromedp.Click("#connection-now"))
	b.until(connected + " && " + enabled)
	b.do(chromedp.Click("#websocket-button"))
	b.until(lastReply + ` === "I am using websockets!"`)

	stop()
	b.until(waiting)
	start(t, program, addr)
	evaluate[bool](b, `dispatchEvent(new Event("online"))`)
	b.until(connected)
}

func TestThePageOverTLS(t *testing.T) {
	b := open(t)
	cert, key, _ := certtest.Files(t)
	addr, _ := start(t, build(t), "127.0.0.1:0", "-tls-cert", cert, "-tls-key", key)
	b.do(chromedp.Navigate("https://" + addr))
	b.until(connected)
	b.do(chromedp.Click("#websocket-button"))
	b.until(replies + " === 2")
}

// Chrome splits large messages into fragments.
func TestLargeMessagesFromABrowser(t *testing.T) {
	b := open(t)
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.do(chromedp.Navigate("http://" + addr))
	same := evaluate[bool](b, `new Promise((resolve, reject) => {
		const sent = "wörld ".repeat(100_000);
		const socket = new WebSocket("ws://" + location.host + "/ws/echo");
		socket.onopen = () => socket.send(sent);
		socket.onmessage = (e) => { resolve(e.data === sent); socket.close(); };
		socket.onclose = (e) => reject(e.code);
	})`)
	if !same {
		t.Error("a large message came back changed")
	}
}

// The page does not trust the server's messages.
func TestThePageIgnoresWhatItDoesNotKnow(t *testing.T) {
	b := open(t)
	e := echo.New()
	app := ws.New(e, ws.Config{})
	pages := views.New()
	e.GET("/", pages.Show("index"))
	e.StaticFS("/", views.Files)
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
		s.SendBinary([]byte{0xff, 0})
		for _, text := range []string{
			"", "not JSON", "null", "7", `"text"`, "[]", "{}",
			`{"append":false,"returnText":"no"}`, `{"append":"true","returnText":"no"}`, `{"append":true}`, `{"append":true,"returnText":5}`,
			`{"append":true,"returnText":"<img src=x onerror=alert(1)>"}`,
		} {
			s.SendText(text)
		}
		return nil
	})
	server := httptest.NewServer(e)
	defer server.Close()
	defer app.Shutdown(context.Background())
	b.do(chromedp.Navigate(server.URL))
	b.until(replies + ` === 1 && ` + lastReply + ` === "<img src=x onerror=alert(1)>"`)
	for _, mode := range []string{"dark", "phone"} {
		if mode == "dark" {
			dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, dark); err != nil {
				t.Fatal(err)
			}
		} else {
			b.do(chromedp.EmulateViewport(360, 740))
		}
		b.screenshot("first-lesson-" + mode)
	}
	if evaluate[bool](b, "document.documentElement.scrollWidth > innerWidth") {
		t.Error("on a phone the page is wider than the screen")
	}
}

func TestDelaysAndAddresses(t *testing.T) {
	b := open(t)
	addr, _ := start(t, build(t), "127.0.0.1:0")
	b.do(chromedp.Navigate("http://" + addr))
	got := evaluate[string](b, `import("/connection.js").then(({ delay, address }) => JSON.stringify([
		delay(0, () => 0), delay(0, () => 1), delay(1, () => 1), delay(3, () => 0.5), delay(1000, () => 1),
		address("/ws", { protocol: "https:", host: "example.com" }), address("/ws", { protocol: "http:", host: "localhost:3000" }),
	]))`)
	if want := `[0,500,1000,2000,30000,"wss://example.com/ws","ws://localhost:3000/ws"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
