package lesson

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const page = "# A page\n" +
	"<!-- needs: node initdb -->\n" +
	"\n" +
	"```console\n" +
	"$ echo one \\\n" +
	"  two\n" +
	"one two\n" +
	"\n" +
	"$ true\n" +
	"```\n" +
	"\n" +
	"1. In a list:\n" +
	"\n" +
	"   ```console terminal=server\n" +
	"   …\n" +
	"   > hello\n" +
	"   you said: hello\n" +
	"   ^C\n" +
	"   ```\n" +
	"\n" +
	"<!--\n" +
	"~~~js console page=http://localhost:3000 tab=ana\n" +
	"1 + 1\n" +
	"//> 2\n" +
	"console.log(`\n" +
	"`)\n" +
	"//> …\n" +
	"//> end\n" +
	"~~~\n" +
	"-->\n" +
	"````go file=mine/1/main.go part\n" +
	"```\n" +
	"````\n" +
	"```sh not-run: it needs a domain\n" +
	"```\n" +
	"```powershell\n" +
	"```\n" +
	"```console exit=1\n" +
	"$ false\n" +
	"```\n"

func TestParse(t *testing.T) {
	p, err := Parse("page.md", page)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p.Needs, []string{"node", "initdb"}) {
		t.Errorf("needs %q", p.Needs)
	}
	var got strings.Builder
	for _, b := range p.Blocks {
		fmt.Fprintln(&got, b.Line, b.Word, [...]string{"Console", "File", "Browser", "NotRun"}[b.Kind], b.Terminal, b.Exit, b.Path, b.Put, b.URL, b.Tab, b.Reason, len(b.Text))
		if b.Kind != Console && b.Kind != Browser {
			continue
		}
		steps, err := b.Steps()
		if err != nil {
			t.Error(err)
		}
		for _, s := range steps {
			fmt.Fprintf(&got, "  %d %d %q: %d %q\n", s.Line, s.Do, s.Text, s.Want.Line, s.Want.Text)
		}
	}
	const want = `5 console Console  0  0    5
  5 1 "echo one \\\n  two": 7 ["one two"]
  9 1 "true": 10 []
15 console Console server 0  0    4
  15 0 "": 15 ["…"]
  16 2 "hello": 17 ["you said: hello"]
  18 3 "": 19 []
23 js Browser  0  0 http://localhost:3000 ana  6
  23 4 "1 + 1\n": 24 ["2"]
  25 4 "console.log(` + "`\\n`" + `)\n": 27 ["…" "end"]
32 go File  0 mine/1/main.go 1    1
35 sh NotRun  0  0   it needs a domain 0
37 powershell NotRun  0  0    0
39 console Console  1  0    1
  39 1 "false": 40 []
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"```\nx\n```":                                    "p.md:1: the block does not say what it is",
		"\n```console\n$ x\n":                            "p.md:2: the block is not closed",
		"```console\nno command\n```":                    "does not begin with a command",
		"```console\n```":                                "is empty",
		"```console terminal=a exit=1\n$ x\n```":         "exit= is for commands that end",
		"```console exit=0\n$ x\n```":                    "exit=0",
		"```console wait\n$ x\n```":                      `"wait" means nothing`,
		"```sh\nx\n```":                                  "a block of sh is neither",
		"```go file=main.go\nx\n```":                     "main.go is not below mine/",
		"```go file=mine/../main.go\nx\n```":             "is not below mine/",
		"```go file=mine/ \nx\n```":                      "is not below mine/",
		"```sh not-run:\nx\n```":                         "says no reason",
		"```text file=mine/x\nx\n```":                    `"file=mine/x" means nothing`,
		"```js\nx\n```":                                  "a block of js is neither",
		"```js console terminal=x\nx\n```":               `"terminal=x" means nothing`,
		"```console\n$ a\n^C\n```\n```js console x\n```": `"x" means nothing`,
	} {
		if _, err := Parse("p.md", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(page)
	f.Add("   ```console terminal=x\n^C\n> a\n$ b\\\n```")
	f.Add("~~~~\n~~~\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("p.md", text)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, b := range p.Blocks {
			if b.Line < 2 || b.Line+len(b.Text) > lines {
				t.Errorf("a block of %d lines at %d, of %d", len(b.Text), b.Line, lines)
			}
			if b.Kind == NotRun && b.Reason == "" && b.Word != "text" && b.Word != "powershell" {
				t.Error("a block is not run, and does not say why")
			}
			if b.Kind == File && !strings.HasPrefix(b.Path, "mine/") {
				t.Errorf("a file at %s", b.Path)
			}
			if b.Kind != Console && b.Kind != Browser {
				continue
			}
			steps, err := b.Steps()
			if err != nil {
				t.Error(err)
			}
			for _, s := range steps {
				if s.Line < b.Line || len(s.Want.Text) > 0 && s.Want.Line+len(s.Want.Text) > b.Line+len(b.Text) {
					t.Errorf("a step at %d, %d lines to come at %d", s.Line, len(s.Want.Text), s.Want.Line)
				}
			}
		}
	})
}
