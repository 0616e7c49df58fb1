package lesson

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// References checks what a page refers to: links to files and headings, and lines of files.
type References struct {
	top   string
	files []string // all of the repository's
}

// NewReferences checks against the repository's files, as Tracked returns them.
func NewReferences(top string, files []string) *References { return &References{top, files} }

// reference is one link, or one mention of a line.
type reference struct {
	line     int
	text     string // of the link, without `
	isCode   bool   // the text was in `
	file     string // from the top of the repository
	fragment string // behind #; L12 for a line
}

var (
	linkPattern = regexp.MustCompile(`\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)`)
	linePattern = regexp.MustCompile("`([A-Za-z0-9_./-]+\\.(?:go|js|mjs|html|css)):([0-9]+)`")
	codePattern = regexp.MustCompile("^`(?:[A-Za-z_$][A-Za-z0-9_$]*\\.)*([A-Za-z_$][A-Za-z0-9_$]*)(?:\\(\\))?`$")
	spans       = regexp.MustCompile("``[^`](?s:.)*?``") // code that has ` in it, such as an example of a link
	blocks      = regexp.MustCompile("(?ms)^[ ]*(```+|~~~+).*?^[ ]*(```+|~~~+)[ ]*$")
)

// of finds a page's references.
func (r *References) of(p *Page) (all []reference) {
	// Blocks are not text; their lines stay, so that lines can be counted.
	text := blocks.ReplaceAllStringFunc(p.Text, func(block string) string { return strings.Repeat("\n", strings.Count(block, "\n")) })
	text = spans.ReplaceAllStringFunc(text, func(span string) string { return strings.Repeat("\n", strings.Count(span, "\n")) })
	lineAt := func(i int) int { return 1 + strings.Count(text[:i], "\n") }
	for _, m := range linkPattern.FindAllStringSubmatchIndex(text, -1) {
		label, target := text[m[2]:m[3]], text[m[4]:m[5]]
		if strings.Contains(target, ":") || strings.HasPrefix(target, "//") {
			continue // http:, mailto:
		}
		file, fragment, _ := strings.Cut(target, "#")
		if file == "" {
			file = p.Name
		} else {
			file = path.Join(path.Dir(p.Name), file)
		}
		one := reference{lineAt(m[0]), label, false, file, fragment}
		if name := codePattern.FindStringSubmatch(label); name != nil {
			one.text, one.isCode = name[1], true
		}
		all = append(all, one)
	}
	for _, m := range linePattern.FindAllStringSubmatchIndex(text, -1) {
		file := path.Join(path.Dir(p.Name), text[m[2]:m[3]])
		if !slices.Contains(r.files, file) {
			file = text[m[2]:m[3]]
		}
		all = append(all, reference{lineAt(m[0]), "", false, file, "L" + text[m[4]:m[5]]})
	}
	return all
}

// Check returns what is wrong with a page's references, each as "page:line: what".
func (r *References) Check(p *Page) (wrong []string) {
	for _, one := range r.of(p) {
		if err := r.check(one); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %v", p.Name, one.line, err))
		}
	}
	return wrong
}

func (r *References) check(one reference) error {
	if !r.exists(one.file) {
		return fmt.Errorf("there is no %s", one.file)
	}
	if !slices.Contains(r.files, one.file) { // a folder
		if one.fragment != "" {
			return fmt.Errorf("%s is a folder, and has no #%s", one.file, one.fragment)
		}
		return nil
	}
	data, err := os.ReadFile(filepath.Join(r.top, one.file))
	if err != nil {
		return err
	}
	text := string(data)
	if path.Ext(one.file) == ".md" {
		if one.fragment != "" && !slices.Contains(anchors(text), one.fragment) {
			return fmt.Errorf("%s has no heading for #%s", one.file, one.fragment)
		}
		return nil
	}
	return checkCode(one, text)
}

// checkCode checks a reference to code: that the line is there, and what it is said to hold.
func checkCode(one reference, text string) error {
	isName := one.isCode && one.text+path.Ext(one.file) != path.Base(one.file) && slices.Contains([]string{".go", ".js", ".mjs"}, path.Ext(one.file)) &&
		!strings.HasSuffix(one.file, "."+one.text)
	if isName && !contains(text, one.text) {
		return fmt.Errorf("%s has no %s", one.file, one.text)
	}
	if one.fragment == "" {
		return nil
	}
	number, err := strconv.Atoi(strings.TrimPrefix(one.fragment, "L"))
	lines := strings.Split(text, "\n")
	if err != nil || number < 1 || number > len(lines) {
		return fmt.Errorf("%s has no line for #%s", one.file, one.fragment)
	}
	if !isName {
		return nil
	}
	if at := declared(lines, one.text); len(at) == 1 && at[0] != number {
		return fmt.Errorf("%s is at line %d of %s, not %d (go test ./lessons -run References -update mends that)", one.text, at[0], one.file, number)
	}
	if !contains(lines[number-1], one.text) {
		return fmt.Errorf("line %d of %s is not about %s: %s", number, one.file, one.text, strings.TrimSpace(lines[number-1]))
	}
	return nil
}

// Mend returns the page's text with the right lines in links such as [`name`](file.go#L12), where the name is declared once.
func (r *References) Mend(p *Page) string {
	return linkPattern.ReplaceAllStringFunc(p.Text, func(link string) string {
		m := linkPattern.FindStringSubmatch(link)
		name := codePattern.FindStringSubmatch(m[1])
		file, fragment, _ := strings.Cut(m[2], "#")
		if name == nil || !strings.HasPrefix(fragment, "L") || strings.Contains(file, ":") {
			return link
		}
		data, err := os.ReadFile(filepath.Join(r.top, path.Join(path.Dir(p.Name), file)))
		if err != nil {
			return link
		}
		at := declared(strings.Split(string(data), "\n"), name[1])
		if len(at) != 1 {
			return link
		}
		return fmt.Sprintf("[%s](%s#L%d)", m[1], file, at[0])
	})
}

// declared are the lines that declare a name, in Go or JavaScript.
func declared(lines []string, name string) (at []int) {
	pattern := regexp.MustCompile(`^(?:export )?(?:default )?(?:async )?(?:func (?:\([^)]*\) )?|type |var |const |let |function |class )` + regexp.QuoteMeta(name) + `\b`)
	for i, line := range lines {
		if pattern.MatchString(line) {
			at = append(at, i+1)
		}
	}
	return at
}

// contains reports whether a text has a name as a word.
func contains(text, name string) bool {
	isPart := func(c byte) bool {
		return c == '_' || c == '$' || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(name)
		if (begin == 0 || !isPart(text[begin-1])) && (end == len(text) || !isPart(text[end])) {
			return true
		}
		from = begin + 1
	}
}

// exists reports whether the repository has a file, or a folder with one.
func (r *References) exists(name string) bool {
	return name == "." || slices.ContainsFunc(r.files, func(f string) bool { return f == name || strings.HasPrefix(f, name+"/") })
}

var heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)(?: +#+)?$`)

// anchors are those of a page's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
		label := linkPattern.ReplaceAllString(m[1], "$1")
		var b strings.Builder
		for _, c := range strings.ToLower(label) {
			switch {
			case c == ' ':
				b.WriteByte('-')
			case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
				b.WriteRune(c)
			}
		}
		anchor := b.String()
		for n := 1; slices.Contains(all, anchor); n++ {
			anchor = fmt.Sprint(b.String(), "-", n)
		}
		all = append(all, anchor)
	}
	return all
}
