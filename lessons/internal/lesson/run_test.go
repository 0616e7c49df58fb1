//go:build unix

package lesson

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// recorder is a test that is expected to fail.
type recorder struct {
	testing.TB
	failed   string
	cleanups []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)         { r.failed += fmt.Sprintln(args...) }
func (r *recorder) Errorf(f string, a ...any) { r.failed += fmt.Sprintf(f, a...) }
func (r *recorder) Fatal(args ...any)         { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); runtime.Goexit() }

// work runs a page and returns how it fails, or "".
func work(t *testing.T, text string) string {
	t.Helper()
	p, err := Parse("p.md", strings.ReplaceAll(text, "'''", "```"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range r.cleanups {
				f()
			}
		}()
		Run(r, p, t.TempDir(), []string{"PATH=" + os.Getenv("PATH")})
	}()
	<-done
	return r.failed
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"commands share a shell": {"'''console\n$ A=1; cd /\n'''\n'''console\n$ echo $A $PWD\n1 /\n'''", ""},
		"another output":         {"\n'''console\n$ echo one\ntwo\n'''", "p.md:3: echo one\np.md:4: this did not come:"},
		"more output":            {"'''console\n$ echo one\n'''", "more came than is shown"},
		"an exit code":           {"'''console\n$ true\n$ false\n'''", "p.md:3: false\nends with exit code 1, and the block says 0"},
		"the last command's":     {"'''console exit=1\n$ true\n$ false\n'''", ""},
		"not the first's":        {"'''console exit=1\n$ false\n$ false\n'''", "p.md:2: false\nends with exit code 1"},
		"a file, and its parts":  {"'''txt file=mine/1/a\none\ntwo\nthree\n'''\n'''txt file=mine/1/a part\ntwo\n2\nthree\n'''\n'''console\n$ cat mine/1/a\none\ntwo\n2\nthree\n'''", ""},
		"a part of no file":      {"'''txt file=mine/a part\ntwo\n'''", "p.md:2: open "},
		"ports in and out":       {"'''sh file=mine/a\necho $1 :3001 $PORT\n'''\n'''console\n$ . mine/a ':3002 3003'\n:3002 3003 :3001 3000\n$ A=:3000; test ${A#:} = $PORT -a $PORT -ne $((2*1500))\n'''", ""},
		"a terminal":             {"'''console terminal=a\n$ echo begins; cat\nbegins\n> hello\nhello\n'''\n'''console terminal=a\n^C\n$ echo on\non\n'''", ""},
		"two terminals":          {"'''console terminal=a\n$ cat\n'''\n'''console terminal=b\n$ cat\n> b\nb\n'''\n'''console terminal=a\n> a\na\n'''", ""},
		"more comes":             {"'''console terminal=a\n$ echo 1; echo 2; cat\n1\n'''\n'''console terminal=a\n2\n'''", ""},
		"what is passed over":    {"'''console terminal=a\n$ echo 1; echo 2\n1\n$ echo on\non\n'''", ""},
		"a terminal's end":       {"'''console terminal=a\n$ echo 1\n1\n2\n'''", "p.md:4: this did not come"},
		"nothing to interrupt":   {"'''console terminal=a\n^C\n'''", "p.md:2: nothing runs"},
		"what left its terminal": {"'''console\n$ setsid sh -c 'sleep 1000 >/dev/null 2>&1 &'\n'''", "leaves processes behind"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.text, "setsid") && runtime.GOOS != "linux" {
				t.Skip("only Linux tells the environment of processes")
			}
			got := work(t, c.text)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant %q", got, c.want)
			}
		})
	}
}

func TestRunScripts(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("ECHOWS_BROWSER") == "required" {
			t.Fatal(err)
		}
		t.Skip("no chromium on this machine")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>%s</title><script>console.log('loaded')</script>", filepath.Base(r.URL.Path))
	}))
	defer server.Close()
	const ok = `'''js console page=URL/one
//> loaded
console.log("passed over")
'''
'''js console
1 + 1
//> 2
const a = "te" + 'xt'; a
//> 'text'
console.log("logged", 1, null, undefined, true); const b = 2
//> logged 1 null undefined true
void setTimeout(() => console.log("later"), 100)
//> later
await new Promise((done) => setTimeout(done, 50, null))
//> null
nothing
//> Uncaught ReferenceError: nothing is not defined
void setTimeout(() => { throw new TypeError("late"); })
//> …TypeError: late
await until(() => document.title === "one")
document.title
//> 'one'
'''
'''js console page=URL/two tab=other
//> loaded
document.title
//> 'two'
'''
'''js console
document.title // of the first tab
//> 'one'
'''`
	if got := work(t, strings.ReplaceAll(ok, "URL", server.URL)); got != "" {
		t.Error(got)
	}
	wrong := "'''js console page=URL\n1 + 1\n//> …\n//> 3\n'''"
	defer func(before time.Duration) { patience = before }(patience)
	patience = 10 * time.Second
	if got := work(t, strings.ReplaceAll(wrong, "URL", server.URL)); !strings.Contains(got, "p.md:4: this did not come") {
		t.Errorf("got\n%s", got)
	}
}
