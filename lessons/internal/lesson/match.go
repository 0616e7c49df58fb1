package lesson

import (
	"fmt"
	"strings"
)

// ellipsis stands for whatever there is: within a line for a part of it, as a line of its own for any number of lines.
const ellipsis = "…"

// matchLine reports whether a line is as it is shown. Space at its end does not count.
func matchLine(shown, line string) bool {
	line = strings.TrimRight(line, " \t\r")
	parts := strings.Split(strings.TrimRight(shown, " \t\r"), ellipsis)
	last := len(parts) - 1
	if last == 0 {
		return line == parts[0]
	}
	if !strings.HasPrefix(line, parts[0]) {
		return false
	}
	line = line[len(parts[0]):]
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(line, part)
		if !found {
			return false
		}
		line = after
	}
	return strings.HasSuffix(line, parts[last])
}

// match compares lines to what is shown. ends is after how many lines everything that is shown has come, -1 if it has not; with
// whole, these have to be all lines. at is the first of shown that did not come, and from the line since which it did not.
func match(shown, lines []string, whole bool) (ends, at, from int) {
	// can[j] is whether shown[:i] can be the first j lines.
	can := make([]bool, len(lines)+1)
	can[0] = true
	for i, want := range shown {
		next := make([]bool, len(can))
		if strings.TrimSpace(want) == ellipsis {
			some := false
			for j := range can {
				some = some || can[j]
				next[j] = some
			}
		} else {
			for j, line := range lines {
				next[j+1] = can[j] && matchLine(want, line)
			}
		}
		if first(next) < 0 {
			return -1, i, first(can)
		}
		can = next
	}
	if !whole {
		return first(can), 0, 0
	}
	if !can[len(lines)] {
		return -1, len(shown), first(can)
	}
	return len(lines), 0, 0
}

func first(can []bool) int {
	for j, ok := range can {
		if ok {
			return j
		}
	}
	return -1
}

// difference says where what came is not what is shown: both, with the place marked in each.
func difference(page string, want Lines, lines []string, whole bool) string {
	_, at, from := match(want.Text, lines, whole)
	var b strings.Builder
	place := want.Line + min(at, max(len(want.Text)-1, 0))
	if at < len(want.Text) {
		fmt.Fprintf(&b, "%s:%d: this did not come:\n", page, place)
	} else {
		fmt.Fprintf(&b, "%s:%d: more came than is shown:\n", page, place)
	}
	b.WriteString("the page shows\n")
	listing(&b, want.Text, at)
	b.WriteString("what came is\n")
	listing(&b, lines, from)
	return b.String()
}

// mostListed is how many lines are listed before and after the marked one.
const mostListed = 30

// listing writes lines, with an arrow at one of them.
func listing(b *strings.Builder, lines []string, marked int) {
	if len(lines) == 0 {
		b.WriteString("  → (nothing)\n")
		return
	}
	begin, end := max(marked-mostListed, 0), min(marked+mostListed, len(lines))
	if begin > 0 {
		fmt.Fprintf(b, "    (%d lines)\n", begin)
	}
	for i := begin; i < end; i++ {
		arrow := "   "
		if i == marked {
			arrow = "  →"
		}
		fmt.Fprintf(b, "%s %s\n", arrow, lines[i])
	}
	switch {
	case end < len(lines):
		fmt.Fprintf(b, "    (%d lines)\n", len(lines)-end)
	case marked >= len(lines):
		b.WriteString("  → (the end)\n")
	}
}
