package lesson

import (
	"strings"
	"testing"
)

func TestMatchLine(t *testing.T) {
	for _, c := range []struct {
		shown, line string
		want        bool
	}{
		{"", "", true},
		{"a", "a ", true},
		{"a ", "a\r", true},
		{"a", "ab", false},
		{"a…", "ab", true},
		{"b…", "ab", false},
		{"…b", "ab", true},
		{"a…b", "ab", true},
		{"a…b", "a", false},
		{"aa…aa", "aaa", false},
		{"a…c…e", "abcde", true},
		{"a…c…c", "abc", false},
		{"ok  \techows/x\t…s", "ok  \techows/x\t0.01s", true},
	} {
		if got := matchLine(c.shown, c.line); got != c.want {
			t.Errorf("%q as %q: %v", c.line, c.shown, got)
		}
	}
}

func TestMatch(t *testing.T) {
	lines := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, " ")
	}
	for _, c := range []struct {
		shown, lines string
		whole        bool
		ends         int
	}{
		{"", "", true, 0},
		{"", "a", true, -1},
		{"", "a", false, 0},
		{"a", "a b", false, 1},
		{"a", "a b", true, -1},
		{"a b", "a", true, -1},
		{"…", "", true, 0},
		{"…", "a b", true, 2},
		{"…", "a b", false, 0},
		{"… b", "a b c b", false, 2},
		{"… b", "a b c b", true, 4},
		{"a … c …", "a b c d", true, 4},
		{"a … c …", "a b d", true, -1},
		{"… a… …", "x ab y", true, 3},
	} {
		if ends, _, _ := match(lines(c.shown), lines(c.lines), c.whole); ends != c.ends {
			t.Errorf("%q as %q, whole %v: %d, want %d", c.lines, c.shown, c.whole, ends, c.ends)
		}
	}
}

func TestDifference(t *testing.T) {
	want := Lines{10, []string{"one", "…", "four"}}
	got := difference("p.md", want, []string{"one", "two", "three"}, true)
	const missing = `p.md:12: this did not come:
the page shows
    one
    …
  → four
what came is
    one
  → two
    three
`
	if got != missing {
		t.Errorf("got\n%s", got)
	}
	got = difference("p.md", Lines{10, []string{"one"}}, []string{"one", "two"}, true)
	const more = `p.md:10: more came than is shown:
the page shows
    one
  → (the end)
what came is
    one
  → two
`
	if got != more {
		t.Errorf("got\n%s", got)
	}
}

// What is shown of any lines, with some left out, matches them.
func FuzzMatch(f *testing.F) {
	f.Add("one\ntwo\nthree", uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, text string, from, to uint8) {
		if strings.Contains(text, ellipsis) {
			return
		}
		lines := strings.Split(text, "\n")
		a, b := int(from)%(len(lines)+1), int(to)%(len(lines)+1)
		if a > b {
			a, b = b, a
		}
		shown := append(append(append([]string{}, lines[:a]...), ellipsis), lines[b:]...)
		if ends, _, _ := match(shown, lines, true); ends != len(lines) {
			t.Errorf("%q is not as %q", lines, shown)
		}
		for _, line := range lines {
			if line = strings.TrimRight(line, " \t\r"); !matchLine(line[:len(line)/2]+ellipsis, line) && strings.ToValidUTF8(line, "") == line {
				t.Errorf("%q does not begin with its half", line)
			}
		}
	})
}
