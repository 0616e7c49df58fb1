//go:build unix

package lesson

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Chromium is a browser without a window.
type Chromium struct {
	ctx  context.Context
	end  []context.CancelFunc
	tabs map[string]*Tab
}

// NewChromium starts it. Close it.
func NewChromium() (*Chromium, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "echows-chromium-") // for what Chromium leaves
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Env("TMPDIR="+temp),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(900, 760),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(time.Minute))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	c := &Chromium{ctx, []context.CancelFunc{end, cancel, func() { os.RemoveAll(temp) }}, make(map[string]*Tab)}
	if err := chromedp.Do(ctx); err != nil { // starts it
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends it, and waits.
func (c *Chromium) Close() {
	chromedp.Cancel(c.ctx)
	for _, end := range c.end {
		end()
	}
}

// Tab is a page and its console.
type Tab struct {
	ctx context.Context

	mu      sync.Mutex // guards the rest
	lines   []string   // what the console shows
	answers int        // scripts whose end was heard
	changed chan struct{}
}

// Tab returns the tab of that name, a new one if need be.
func (c *Chromium) Tab(name string) (*Tab, error) {
	if t := c.tabs[name]; t != nil {
		return t, nil
	}
	ctx, end := chromedp.NewContext(c.ctx)
	c.end = slices.Insert(c.end, 0, end)
	t := &Tab{ctx: ctx, changed: make(chan struct{})}
	if err := chromedp.Do(ctx); err != nil {
		return nil, err
	}
	if err := chromedp.Listen(ctx, t.hear); err != nil {
		return nil, err
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		return nil, err
	}
	c.tabs[name] = t
	return t, nil
}

// Open goes to a page, and returns when it is loaded.
func (t *Tab) Open(url string) error {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

// value begins a console line of ours: what a script came to, or nothing. It goes the way of all lines, so that it is in their order.
const value = "\x02"

// helper is for scripts in comments: it waits for something on the page.
const helper = `globalThis.until ??= async (ready) => {
	for (const end = Date.now() + 30000; !ready(); await new Promise((next) => setTimeout(next, 20))) {
		if (Date.now() > end) throw new Error("waited in vain for " + ready);
	}
}; 0`

// Type types a script into the console, where await works, and returns when all that it showed is heard. What it comes to is a line there, unless
// that is undefined, or an object.
func (t *Tab) Type(script string) error {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: helper}); err != nil {
		return err
	}
	yes := true
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: script, ReplMode: &yes, AwaitPromise: &yes, UserGesture: &yes, IncludeCommandLineAPI: &yes,
	})
	if err != nil {
		return err
	}
	line := ""
	switch {
	case got.ExceptionDetails != nil:
		line = exception(got.ExceptionDetails)
	case got.Result.Type == "string":
		line = "'" + text(got.Result) + "'"
	case got.Result.Type != "undefined" && got.Result.Type != "function" && (got.Result.Type != "object" || got.Result.Subtype == "null"):
		line = text(got.Result)
	}
	quoted, err := json.Marshal(value + line)
	if err != nil {
		return err
	}
	t.mu.Lock()
	before := t.answers
	t.mu.Unlock()
	if _, err = chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "console.log(" + string(quoted) + ")"}); err != nil {
		return err
	}
	return t.until(ctx, func() bool { return t.answers > before })
}

// until waits for a condition, which is asked for with mu held, at each change.
func (t *Tab) until(ctx context.Context, condition func() bool) error {
	for {
		t.mu.Lock()
		ok, changed := condition(), t.changed
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hear gets the page's events.
func (t *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var all []string
		for _, arg := range e.Args {
			all = append(all, text(arg))
		}
		line, ours := strings.CutPrefix(strings.Join(all, " "), value)
		t.add(line, ours)
	case *runtime.EventExceptionThrown:
		t.add(exception(e.ExceptionDetails), false)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") {
			t.add(e.Entry.Text, false)
		}
	}
}

func (t *Tab) add(text string, ours bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ours {
		t.answers++
	}
	if !ours || text != "" {
		t.lines = append(t.lines, strings.Split(text, "\n")...)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// Len is how many lines the console has.
func (t *Tab) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lines)
}

// Comes waits until lines after the first skipped are as shown, and returns how many of all have come then, or -1, and these lines.
func (t *Tab) Comes(ctx context.Context, skipped int, shown []string, out func(string) string) (int, []string) {
	var lines []string
	ends := -1
	t.until(ctx, func() bool {
		lines = slices.Clone(t.lines[skipped:])
		for i := range lines {
			lines[i] = out(lines[i])
		}
		ends, _, _ = match(shown, lines, false)
		return ends >= 0
	})
	if ends < 0 {
		return -1, lines
	}
	return skipped + ends, lines
}

// text is how a console shows a value.
func text(o *runtime.RemoteObject) string {
	var s string
	switch {
	case o.Type == "undefined":
		return "undefined"
	case o.UnserializableValue != "":
		return string(o.UnserializableValue)
	case o.Type == "string" && json.Unmarshal(o.Value, &s) == nil:
		return s
	case o.Type == "object" && o.Subtype != "null", o.Type == "function":
		return o.Description
	}
	return string(o.Value)
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception == nil {
		return d.Text
	}
	first, _, _ := strings.Cut(cmp.Or(d.Exception.Description, text(d.Exception)), "\n")
	return fmt.Sprint(d.Text, " ", first)
}
