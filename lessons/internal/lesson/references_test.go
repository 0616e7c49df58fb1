package lesson

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	top := t.TempDir()
	files := map[string]string{
		"a.go":         "package a\n\nfunc One() {}\n\nfunc (x T) two() {} // calls One\n",
		"sub/b.js":     "export function three() {}\n",
		"sub/other.md": "# Ö *the* `title`: a-b\n\n# Twice\n\n```text\n# not\n```\n# Twice\n",
	}
	var names []string
	for name, text := range files {
		names = append(names, name)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names = append(names, "sub/page.md")
	r := NewReferences(top, names)
	check := func(text string) string {
		return strings.Join(r.Check(&Page{Name: "sub/page.md", Text: text}), "\n")
	}
	for _, good := range []string{
		"[a](../a.go) ![p](b.js) [`One`](../a.go#L3) [`T.two()`](../a.go#L5) [`a.go`](../a.go#L1) `a.go:5` `b.js:1`",
		"[x](other.md#ö-the-title-a-b) [y](other.md#twice-1) [of two\nlines](other.md#twice) [top](../) [sub](../sub)",
		"[x](http://localhost:3000/nothing) [![in](b.js)](other.md)",
		"```text\n[x](nothing)\n```",
	} {
		if wrong := check(good); wrong != "" {
			t.Errorf("%s:\n%s", good, wrong)
		}
	}
	for text, want := range map[string]string{
		"\n[x](nothing.go)":           "sub/page.md:2: there is no sub/nothing.go",
		"![x](page.png)":              "there is no sub/page.png",
		"```text\n\n```\n\n[x](c.go)": "sub/page.md:5: ",
		"[x](other.md#not)":           "has no heading for #not",
		"[`Four`](../a.go)":           "a.go has no Four",
		"[`On`](../a.go)":             "a.go has no On",
		"[`One`](../a.go#L5)":         "One is at line 3 of a.go, not 5",
		"[`three`](b.js#L2)":          "three is at line 1",
		"[x](../a.go#L7)":             "no line for #L7",
		"`a.go:9`":                    "no line for #L9",
		"`c.go:1`":                    "there is no c.go",
		"[x](../sub#a)":               "is a folder",
		"[`package`](../a.go#L5)":     "not about package",
	} {
		if wrong := check(text); !strings.Contains(wrong, want) {
			t.Errorf("%s: %q, want %s", text, wrong, want)
		}
	}
	const old = "[`One`](../a.go#L1), [`two`](../a.go#L3), [`nothing`](../a.go#L2) and [One](../a.go#L2)"
	const mended = "[`One`](../a.go#L3), [`two`](../a.go#L5), [`nothing`](../a.go#L2) and [One](../a.go#L2)"
	if got := r.Mend(&Page{Name: "sub/page.md", Text: old}); got != mended {
		t.Errorf("mended to %s", got)
	}
}

func TestAnchors(t *testing.T) {
	got := anchors("# How fast, how small\n## `ws`: an [express-ws](http://x) for Echo\n### a_b ###\n")
	if want := []string{"how-fast-how-small", "ws-an-express-ws-for-echo", "a_b"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
