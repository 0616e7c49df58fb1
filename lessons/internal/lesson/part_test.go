package lesson

import (
	"strings"
	"testing"
)

const program = `package main

import (
	"fmt"
)

func main() {
	hello()
}

func hello() {
	if true {
		fmt.Println("hello")
	}
}
`

func TestPut(t *testing.T) {
	for name, c := range map[string]struct {
		put         Put
		block, want string
	}{
		"whole": {Whole, "package x", "package x\n"},
		"one part": {Part, "func hello() {\n\tfmt.Println(1)\n}",
			strings.Replace(program, "\tif true {\n\t\tfmt.Println(\"hello\")\n\t}", "\tfmt.Println(1)", 1)},
		"two parts": {Part, "import (\n\t\"log\"\n)\n\n…\n\n\tif true {\n\t\tlog.Println()\n\t}",
			strings.NewReplacer("fmt\"", "log\"", `fmt.Println("hello")`, "log.Println()").Replace(program)},
		"one line": {Part, "\thello()", program},
		"append":   {Append, "func more() {\n}", program + "\nfunc more() {\n}\n"},
	} {
		got, err := put(Block{Path: "mine/main.go", Put: c.put, Text: strings.Split(c.block, "\n")}, program)
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	for name, c := range map[string]struct {
		put         Put
		block, want string
	}{
		"no begin":     {Part, "func other() {\n}", `no line "func other() {"`},
		"no end":       {Part, "func hello() {\n\t)", `no line "\t)" after`},
		"twice":        {Part, "}\n}", "more than once"},
		"not gofmt":    {Part, "func hello() {\n  return\n}", "not as gofmt would have it: line 12"},
		"not Go":       {Append, "func {", "cannot be parsed"},
		"not gofmt, 2": {Whole, "package x\n\n", "gofmt would have it: line 3"},
	} {
		_, err := put(Block{Path: "mine/main.go", Put: c.put, Text: strings.Split(c.block, "\n")}, program)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPorts(t *testing.T) {
	p := FreePorts()
	own := strings.NewReplacer("A", p.In(":3000")[1:], "B", p.In(":3009")[1:])
	for in, want := range map[string]string{
		"localhost:3000/ws":    "localhost:A/ws",
		"go run . -addr :3009": "go run . -addr :B",
		"PORT=3000 go run .":   "PORT=A go run .",
		"-n 3000":              "-n 3000",
		":30000 :3010 x3000":   ":30000 :3010 x3000",
	} {
		if got := p.In(in); got != own.Replace(want) {
			t.Errorf("in: %q becomes %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"address=[::]:A open=http://localhost:B": "address=[::]:3000 open=http://localhost:3009",
		"1A A1 xA A":                             "1A A1 xA 3000",
	} {
		if got := p.Out(own.Replace(in)); got != strings.NewReplacer("A", own.Replace("A"), "B", own.Replace("B")).Replace(want) {
			t.Errorf("out: %q becomes %q", own.Replace(in), got)
		}
	}
}
