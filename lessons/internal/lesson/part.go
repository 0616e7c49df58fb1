package lesson

import (
	"fmt"
	"go/format"
	"slices"
	"strings"
)

// put returns a file of the reader's after a block: the block itself, or the old text with the block's parts in their
// places. A Go file has to be as gofmt would have it.
func put(b Block, old string) (string, error) {
	text := strings.Join(b.Text, "\n") + "\n"
	switch b.Put {
	case Part:
		var err error
		if text, err = replace(old, b.Text); err != nil {
			return "", err
		}
	case Append:
		text = strings.TrimRight(old, "\n") + "\n\n" + text
	}
	if strings.HasSuffix(b.Path, ".go") {
		formatted, err := format.Source([]byte(text))
		if err != nil {
			return "", fmt.Errorf("%s cannot be parsed: %w", b.Path, err)
		}
		if string(formatted) != text {
			return "", fmt.Errorf("%s is not as gofmt would have it: %s", b.Path, firstDifference(text, string(formatted)))
		}
	}
	return text, nil
}

// replace puts the parts of a block into a text. Lines with an ellipsis alone stand between parts. A part begins with a line that is once in
// the text, ends with the next one there that is the same as its own last line, and replaces these and what is between them.
func replace(old string, block []string) (string, error) {
	lines := strings.Split(old, "\n")
	for _, part := range split(block) {
		begin := slices.Index(lines, part[0])
		if begin < 0 {
			return "", fmt.Errorf("the file has no line %q, where the part would begin", part[0])
		}
		if slices.Contains(lines[begin+1:], part[0]) {
			return "", fmt.Errorf("the file has the line %q, where the part would begin, more than once", part[0])
		}
		end := begin
		if last := part[len(part)-1]; len(part) > 1 {
			if end = slices.Index(lines[begin+1:], last); end < 0 {
				return "", fmt.Errorf("the file has no line %q after %q, where the part would end", last, part[0])
			}
			end += begin + 1
		}
		lines = slices.Replace(lines, begin, end+1, part...)
	}
	return strings.Join(lines, "\n"), nil
}

// split returns the parts of a block, without the lines between them.
func split(block []string) (parts [][]string) {
	var part []string
	for _, line := range append(slices.Clone(block), ellipsis) {
		if strings.TrimSpace(line) != ellipsis {
			part = append(part, line)
			continue
		}
		if part = (Lines{Text: part}).trim().Text; len(part) > 0 {
			parts = append(parts, part)
		}
		part = nil
	}
	return parts
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d, %q", i+1, g[i])
		}
	}
	return "its end"
}
