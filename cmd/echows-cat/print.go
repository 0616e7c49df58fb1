package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"echows/client"
	"echows/ws"
)

// printer prints messages.
type printer struct {
	out      io.Writer
	terminal bool
	pretty   bool
}

func newPrinter(out io.Writer, pretty bool) *printer {
	terminal := isTerminal(out)
	return &printer{out, terminal, pretty || terminal}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// print prints a line in one write.
func (p *printer) print(line []byte) error {
	if p.terminal {
		line = bytes.Map(visible, line)
	}
	_, err := p.out.Write(append(line, '\n'))
	return err
}

// visible keeps the server from sending more than text: control characters can do a lot to a terminal.
func visible(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return unicode.ReplacementChar
	}
	return r
}

// format returns what is printed of a message, in memory of its own.
func (p *printer) format(m ws.Message) []byte {
	var b bytes.Buffer
	switch {
	case !m.IsText() && p.terminal:
		fmt.Fprintf(&b, "(%d bytes: %x)", len(m.Data), m.Data)
	case m.IsText() && p.pretty && json.Indent(&b, m.Data, "", "  ") == nil:
	default:
		b.Reset()
		b.Write(m.Data)
	}
	return b.Bytes()
}

// oneLine replaces the line ends inside a text.
var oneLine = strings.NewReplacer("\r\n", " ⏎ ", "\n", " ⏎ ", "\r", " ⏎ ")

func (p *printer) formatPost(m client.Message) []byte {
	return fmt.Appendf(nil, "%s %s: %s", m.At.Local().Format("15:04"), m.From, oneLine.Replace(m.Text))
}
