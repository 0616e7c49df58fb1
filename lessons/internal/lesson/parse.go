package lesson

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Page is a Markdown page as its reader works through it.
type Page struct {
	Name   string   // its path from the top of the repository, with slashes
	Text   string   // as it is
	Needs  []string // programs that the page names as <!-- needs: node nginx -->
	Blocks []Block  // in order, those in comments too
}

// Kind is what is done with a block.
type Kind int

const (
	Console Kind = iota // typed into a terminal
	File                // a file of the reader's, or a part of one
	Browser             // typed into the console of a page
	NotRun              // looked at
)

// Block is one fenced block.
type Block struct {
	Kind Kind
	Word string   // the first of the info string: console, go, js, text, …
	Line int      // of Text[0] in the page, from 1
	Text []string // its lines

	// Of a Console.
	Terminal string // "" for the one whose commands end
	Exit     int    // of the last command

	// Of a File.
	Path string
	Put  Put

	// Of a Browser.
	URL string // to be opened first, or ""
	Tab string

	// Of a NotRun.
	Reason string // "" where the word says it: text, powershell
}

// Put is how a File gets into the file.
type Put int

const (
	Whole  Put = iota // it is the file
	Part              // it replaces lines
	Append            // it comes at the end
)

// looked are the words of blocks that need no reason for not being run.
var looked = []string{"text", "powershell"}

// Parse finds the blocks of a page.
func Parse(name, text string) (*Page, error) {
	p := &Page{Name: name, Text: text, Needs: needs(text)}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		open, ok := fenceOf(lines[i])
		if !ok {
			continue
		}
		b := Block{Line: i + 2}
		if err := b.readInfo(open.info); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		end := slices.IndexFunc(lines[i+1:], open.isClosedBy)
		if end < 0 {
			return nil, fmt.Errorf("%s:%d: the block is not closed", name, i+1)
		}
		for _, line := range lines[i+1 : i+1+end] {
			b.Text = append(b.Text, open.unindent(strings.TrimSuffix(line, "\r")))
		}
		if err := b.check(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		p.Blocks = append(p.Blocks, b)
		i += end + 1
	}
	return p, nil
}

var needsComment = regexp.MustCompile(`(?m)^<!-- needs: ([a-z0-9 -]+?) -->$`)

func needs(text string) (all []string) {
	for _, m := range needsComment.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Fields(m[1])...)
	}
	return all
}

// fence is the line that opens a block.
type fence struct {
	indent int
	marks  string // ``` or more, or ~~~ or more
	info   string
}

// fenceOf reads a line that opens a block (CommonMark 4.5), at any depth, as blocks in lists are indented.
func fenceOf(line string) (fence, bool) {
	text := strings.TrimLeft(line, " ")
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(text, mark)
		marks := text[:len(text)-len(rest)]
		if len(marks) >= 3 && !(mark == "`" && strings.Contains(rest, "`")) {
			return fence{len(line) - len(text), marks, strings.TrimSpace(rest)}, true
		}
	}
	return fence{}, false
}

func (f fence) isClosedBy(line string) bool {
	text := strings.TrimSpace(line)
	return len(text) >= len(f.marks) && strings.Trim(text, f.marks[:1]) == ""
}

// unindent takes away as much as the fence is indented.
func (f fence) unindent(line string) string {
	for range f.indent {
		line = strings.TrimPrefix(line, " ")
	}
	return line
}

// readInfo reads what stands behind the fence.
func (b *Block) readInfo(info string) error {
	info, reason, notRun := strings.Cut(info, "not-run:")
	words := strings.Fields(info)
	if len(words) == 0 {
		return fmt.Errorf("the block does not say what it is: text, if it is only to be looked at")
	}
	b.Word, words = words[0], words[1:]
	switch {
	case notRun:
		if b.Reason = strings.TrimSpace(reason); b.Reason == "" {
			return fmt.Errorf("not-run: says no reason")
		}
		b.Kind = NotRun
	case slices.Contains(looked, b.Word):
		b.Kind = NotRun
	case b.Word == "console":
		b.Kind = Console
	case b.Word == "js" && len(words) > 0 && words[0] == "console":
		b.Kind, b.Tab, words = Browser, "1", words[1:]
	default:
		b.Kind = File
	}
	for _, word := range words {
		if err := b.readOption(word); err != nil {
			return err
		}
	}
	if b.Kind == File && b.Path == "" {
		return fmt.Errorf("a block of %s is neither a file (file=…), nor says why it is not run (not-run: …)", b.Word)
	}
	return nil
}

func (b *Block) readOption(word string) (err error) {
	name, value, _ := strings.Cut(word, "=")
	switch {
	case b.Kind == Console && name == "terminal" && value != "":
		b.Terminal = value
	case b.Kind == Console && name == "exit":
		if b.Exit, err = strconv.Atoi(value); err != nil || b.Exit < 1 || b.Exit > 255 {
			return fmt.Errorf("exit=%s is not 1 to 255", value)
		}
	case b.Kind == File && name == "file":
		b.Path = value
	case b.Kind == File && word == "part":
		b.Put = Part
	case b.Kind == File && word == "append":
		b.Put = Append
	case b.Kind == Browser && name == "page" && value != "":
		b.URL = value
	case b.Kind == Browser && name == "tab" && value != "":
		b.Tab = value
	default:
		return fmt.Errorf("%q means nothing for a block of %s", word, b.Word)
	}
	return nil
}

// check says what is wrong with a block as a whole.
func (b *Block) check() error {
	switch {
	case b.Kind == Console && b.Terminal != "" && b.Exit != 0:
		return fmt.Errorf("exit= is for commands that end; a terminal's run on")
	case b.Kind == File && !isLearners(b.Path):
		return fmt.Errorf("%s is not below mine/, where the reader's files are", b.Path)
	case b.Kind == Console:
		_, err := b.Steps()
		return err
	}
	return nil
}

// isLearners reports whether a file is below mine/, as a clean path.
func isLearners(path string) bool {
	parts := strings.Split(path, "/")
	return len(parts) > 1 && parts[0] == "mine" && !slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." })
}
