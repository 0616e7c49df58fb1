package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"echows/bench/internal/attack"
)

// readme contains the tables; the working directory is bench.
const readme = "abuse/README.md"

func updateFile(name string, rows map[string]string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	updated, err := update(string(text), rows)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(updated), 0o644)
}

const (
	attacksHead = "| attack | does | limit |\n| --- | --- | --- |"
	within      = "Rows past a bound: " // begins the line that names them
)

// update returns the README with the list of attacks, new rows for the attacks that were run, and the names of all marked
// rows.
func update(text string, rows map[string]string) (string, error) {
	before, _, after, err := table(text, attacksHead)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, a := range attack.All {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Name, a.What, a.Limit)
	}
	before, old, after, err := table(before+b.String()+after, tableHead)
	if err != nil {
		return "", err
	}
	had := map[string]string{}
	for row := range strings.Lines(old) {
		name, _, _ := strings.Cut(strings.TrimPrefix(row, "| `"), "`")
		had[name] = strings.TrimSuffix(row, "\n")
	}
	var past []string
	b.Reset()
	for _, a := range attack.All {
		row, ok := rows[a.Name]
		if !ok {
			row, ok = had[a.Name]
		}
		if !ok {
			continue
		}
		b.WriteString(row + "\n")
		if strings.Contains(row, mark) {
			past = append(past, "`"+a.Name+"`")
		}
	}
	head, tail, ok := strings.Cut(after, within)
	_, tail, ended := strings.Cut(tail, "\n")
	if !ok || !ended {
		return "", errors.New("no line begins with " + within)
	}
	if past == nil {
		past = []string{"none"}
	}
	return before + b.String() + head + within + strings.Join(past, ", ") + ".\n" + tail, nil
}

// table splits a text at the rows of a table.
func table(text, head string) (before, rows, after string, err error) {
	before, rest, ok := strings.Cut(text, head+"\n")
	if !ok {
		return "", "", "", fmt.Errorf("no table begins with %q", head)
	}
	end := 0
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		end += len(line)
	}
	return before + head + "\n", rest[:end], rest[end:], nil
}
