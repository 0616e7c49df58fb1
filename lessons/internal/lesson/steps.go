package lesson

import (
	"fmt"
	"strings"
)

// Step is one thing that is typed, and what comes after it.
type Step struct {
	Do   Do
	Text string // the command, the line or the script; of several lines, perhaps
	Line int    // in the page
	Want Lines  // what is to come
}

// Do is what a step does.
type Do int

const (
	Look      Do = iota // nothing is typed: more comes
	Command             // typed to the shell
	Input               // a line, typed to the program that runs
	Interrupt           // Ctrl-C
	Script              // typed into a page's console
)

// Lines are some of a page's, as they are shown.
type Lines struct {
	Line int // of Text[0] in the page
	Text []string
}

// trim takes empty lines from both ends.
func (l Lines) trim() Lines {
	for len(l.Text) > 0 && strings.TrimSpace(l.Text[0]) == "" {
		l.Line, l.Text = l.Line+1, l.Text[1:]
	}
	for len(l.Text) > 0 && strings.TrimSpace(l.Text[len(l.Text)-1]) == "" {
		l.Text = l.Text[:len(l.Text)-1]
	}
	return l
}

// Steps are what a block of the kind Console or Browser does, in order.
func (b *Block) Steps() (steps []Step, err error) {
	if b.Kind == Browser {
		steps = b.scripts()
	} else {
		steps, err = b.typed()
	}
	for i := range steps {
		steps[i].Want = steps[i].Want.trim()
	}
	return steps, err
}

// typed reads a terminal: "$ command", which goes on in the next line after a \, "> input", "^C", and output.
func (b *Block) typed() ([]Step, error) {
	var steps []Step
	for i := 0; i < len(b.Text); i++ {
		text, line := b.Text[i], b.Line+i
		step := Step{Line: line}
		switch {
		case strings.HasPrefix(text, "$ "):
			step.Do, step.Text = Command, text[2:]
			for strings.HasSuffix(b.Text[i], `\`) && i+1 < len(b.Text) {
				i++
				step.Text += "\n" + b.Text[i]
			}
		case b.Terminal != "" && strings.HasPrefix(text, "> "):
			step.Do, step.Text = Input, text[2:]
		case b.Terminal != "" && text == "^C":
			step.Do = Interrupt
		case len(steps) > 0:
			last := &steps[len(steps)-1]
			last.Want.Text = append(last.Want.Text, text)
			continue
		case b.Terminal == "":
			return nil, fmt.Errorf("the block does not begin with a command: $ …")
		default:
			step.Want = Lines{line, []string{text}}
			steps = append(steps, step)
			continue
		}
		step.Want.Line = b.Line + i + 1
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("the block is empty")
	}
	return steps, nil
}

// shown begins a line of what a page's console shows. To JavaScript it is a comment, so that a block can be pasted whole.
const shown = "//> "

// scripts reads what is typed into a page's console, up to what it shows, and what comes next.
func (b *Block) scripts() []Step {
	var steps []Step
	for i, text := range b.Text {
		if want, ok := strings.CutPrefix(strings.TrimLeft(text, " "), shown); ok {
			if len(steps) == 0 {
				steps = append(steps, Step{Do: Look, Line: b.Line + i})
			}
			last := &steps[len(steps)-1]
			if last.Want.Line == 0 {
				last.Want.Line = b.Line + i
			}
			last.Want.Text = append(last.Want.Text, want)
			continue
		}
		if len(steps) == 0 || len(steps[len(steps)-1].Want.Text) > 0 {
			steps = append(steps, Step{Do: Script, Line: b.Line + i})
		}
		steps[len(steps)-1].Text += text + "\n"
	}
	return steps
}
