//go:build unix

package lesson

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds the wait for one step. Tests shorten it.
var patience = 2 * time.Minute

// Run works through a page in a folder that is a copy of the repository, and fails the test at the first step that does not do what the page shows.
// env is what commands find in their environment.
func Run(t testing.TB, page *Page, folder string, env []string) {
	t.Helper()
	marker := fmt.Sprintf("ECHOWS_LESSON=%d-%d", os.Getpid(), time.Now().UnixNano())
	r := &run{
		t:         t,
		page:      page,
		folder:    folder,
		ports:     FreePorts(),
		terminals: make(map[string]*window),
		pages:     make(map[string]int),
	}
	r.env = append(slices.Clone(env), marker, fmt.Sprint("PORT=", r.ports.Port(0)))
	t.Cleanup(func() {
		r.close()
		if found := left(marker); len(found) > 0 {
			t.Errorf("%s leaves processes behind that are not in its terminals any more:\n%s", page.Name, strings.Join(found, "\n"))
		}
	})
	for i := range page.Blocks {
		r.block(&page.Blocks[i])
	}
}

// run is a page that is being worked through.
type run struct {
	t         testing.TB
	page      *Page
	folder    string
	ports     Ports
	env       []string
	terminals map[string]*window
	browser   *Chromium
	pages     map[string]int // by tab, how many lines of its console were seen
}

// window is a terminal, and how many of its lines were seen.
type window struct {
	*Terminal
	seen int
}

func (r *run) block(b *Block) {
	r.t.Helper()
	switch b.Kind {
	case File:
		r.file(b)
	case Console:
		steps, _ := b.Steps()
		for i, step := range steps {
			if b.Terminal == "" {
				exit := 0
				if i == len(steps)-1 {
					exit = b.Exit
				}
				r.command(step, exit)
			} else {
				r.terminal(b.Terminal, step)
			}
		}
	case Browser:
		r.scripts(b)
	}
}

// fail says what is wrong at a line of the page, and what stands in the terminals.
func (r *run) fail(line int, format string, args ...any) {
	r.t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.terminals)) {
		if name == "" {
			continue
		}
		lines, _ := r.terminals[name].Lines(0, r.ports.Out)
		fmt.Fprintf(&b, "terminal %q has, at the end\n", name)
		listing(&b, lines[max(len(lines)-mostListed, 0):], -1)
	}
	r.t.Fatalf("%s:%d: %s\n%s", r.page.Name, line, fmt.Sprintf(format, args...), b.String())
}

func (r *run) file(b *Block) {
	r.t.Helper()
	name := filepath.Join(r.folder, filepath.FromSlash(b.Path))
	old, err := os.ReadFile(name)
	if err != nil && b.Put != Whole {
		r.fail(b.Line, "%v", err)
	}
	text, err := put(*b, r.ports.Out(string(old)))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, []byte(r.ports.In(text)), 0o644)
	}
	if err != nil {
		r.fail(b.Line, "%v", err)
	}
}

// window returns a terminal, a new one if need be.
func (r *run) window(name string) *window {
	r.t.Helper()
	if w := r.terminals[name]; w != nil {
		return w
	}
	t, err := NewTerminal(name, r.folder, r.env)
	if err != nil {
		r.t.Fatal(err)
	}
	r.terminals[name] = &window{t, 0}
	return r.terminals[name]
}

// command runs one that ends, and compares all of its output.
func (r *run) command(step Step, exit int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	w := r.window("")
	before, err := w.Type(ctx, r.ports.In(step.Text))
	if err == nil {
		err = w.End(ctx)
	}
	lines, code := w.Lines(before, r.ports.Out)
	if err != nil {
		r.fail(step.Line, "%s\ndoes not end: %v; a command that runs on needs a terminal=. So far there is\n%s", step.Text, err, strings.Join(lines, "\n"))
	}
	lines = Lines{Text: lines}.trim().Text
	if ends, _, _ := match(step.Want.Text, lines, true); ends < 0 {
		r.fail(step.Line, "%s\n%s", step.Text, difference(r.page.Name, step.Want, lines, true))
	}
	if code != exit {
		r.fail(step.Line, "%s\nends with exit code %d, and the block says %d", step.Text, code, exit)
	}
}

// terminal types into one, and waits until what is shown has come.
func (r *run) terminal(name string, step Step) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	w := r.window(name)
	var err error
	switch step.Do { // what came before something is typed is passed over
	case Command:
		w.seen, err = w.Type(ctx, r.ports.In(step.Text))
	case Input:
		w.seen, err = w.Input(r.ports.In(step.Text))
	case Interrupt:
		w.seen, err = w.Interrupt(ctx)
	}
	if err != nil {
		r.fail(step.Line, "%v", err)
	}
	ends := w.Comes(ctx, w.seen, step.Want.Text, r.ports.Out)
	if ends < 0 {
		lines, _ := w.Lines(w.seen, r.ports.Out)
		r.fail(step.Line, "%s\n%s", step.Text, difference(r.page.Name, step.Want, lines, false))
	}
	w.seen = ends
}

// scripts types into a page's console.
func (r *run) scripts(b *Block) {
	r.t.Helper()
	if r.browser == nil {
		var err error
		if r.browser, err = NewChromium(); err != nil {
			r.t.Fatal(err)
		}
	}
	tab, err := r.browser.Tab(b.Tab)
	if err == nil && b.URL != "" {
		r.pages[b.Tab] = tab.Len() // another page, another console
		err = tab.Open(r.ports.In(b.URL))
	}
	if err != nil {
		r.fail(b.Line, "%v", err)
	}
	steps, _ := b.Steps()
	for _, step := range steps {
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		if step.Do == Script { // what came before is passed over
			r.pages[b.Tab] = tab.Len()
			err = tab.Type(r.ports.In(step.Text))
		}
		if err != nil {
			r.fail(step.Line, "%v", err)
		}
		ends, lines := tab.Comes(ctx, r.pages[b.Tab], step.Want.Text, r.ports.Out)
		cancel()
		if ends < 0 {
			r.fail(step.Line, "%s\n%s", step.Text, difference(r.page.Name, step.Want, lines, false))
		}
		r.pages[b.Tab] = ends
	}
}

// close ends the browser and the terminals, with all that runs there.
func (r *run) close() {
	if r.browser != nil {
		r.browser.Close()
	}
	for _, w := range r.terminals {
		if err := w.Close(); err != nil {
			r.t.Error(err)
		}
	}
}
