//go:build unix

// Package lessons_test does what the README and the lessons tell their reader to do.
package lessons_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"echows/lessons/internal/lesson"
)

const top = ".." // of the repository

// notRun are how many blocks of each page are only looked at. Each says why, or is text or for another shell.
var notRun = map[string]int{
	"README.md":                                  8,
	"lessons/0-nothing-but-x-net/README.md":      2,
	"lessons/1-first-websocket/README.md":        4,
	"lessons/2-staying-connected/README.md":      2,
	"lessons/3-group-chat/README.md":             2,
	"lessons/4-never-losing-a-message/README.md": 6,
	"lessons/5-who-may-come-in/README.md":        9,
	"lessons/6-events-and-rooms/README.md":       4,
	"lessons/7-more-than-one-machine/README.md":  9,
	"lessons/8-how-fast-how-big/README.md":       2,
}

// programs are what pages may need beyond Go and bash: the variable that requires it, as in CI, and where it may be if it is not on the path.
var programs = map[string]struct{ variable, elsewhere string }{
	"chromium": {"ECHOWS_BROWSER", ""},
	"curl":     {"ECHOWS_NGINX", ""}, // CI installs both
	"node":     {"ECHOWS_NODE", ""},
	"npm":      {"ECHOWS_NODE", ""},
	"nginx":    {"ECHOWS_NGINX", "/usr/sbin/nginx"},
	"initdb":   {"ECHOWS_POSTGRES", "/usr/lib/postgresql/*/bin/initdb"},
}

// tracked are the repository's files.
var tracked = sync.OnceValues(func() ([]string, error) { return lesson.Tracked(top) })

// pages reads the README and the lessons.
func pages(t *testing.T) (all []*lesson.Page) {
	t.Helper()
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if ok, _ := path.Match("lessons/*/README.md", name); ok || name == "README.md" {
			all = append(all, read(t, name))
		}
	}
	if len(all) < 5 {
		t.Fatalf("there are %d pages", len(all))
	}
	return all
}

func read(t *testing.T, name string) *lesson.Page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	page, err := lesson.Parse(name, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// folder is a copy of the repository for one test. It builds everything before the clock of a step can run.
func folder(t *testing.T) string {
	t.Helper()
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		err = lesson.Copy(dir, top, files)
	}
	if err == nil {
		err = built(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var once sync.Once

// built fills the cache with what commands build.
func built(dir string) (err error) {
	once.Do(func() {
		cmd := exec.Command("go", "build", "./...")
		cmd.Dir, cmd.Env = dir, environment()
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return err
}

// environment is what commands find: where Go is, and its caches, and nothing that a server would take for a setting.
var environment = sync.OnceValue(func() []string {
	env := []string{"LANG=C.UTF-8", "GOFLAGS=-trimpath -buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local", "GOPROXY=off"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "USER"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			panic(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
})

// require skips the test where a program is missing; where its variable says "required", as in CI, that fails.
func require(t *testing.T, name string) {
	t.Helper()
	program, ok := programs[name]
	if !ok {
		t.Fatalf("a page needs %s, which is not in the list of programs", name)
	}
	_, err := exec.LookPath(name)
	if found, _ := filepath.Glob(program.elsewhere); err == nil || len(found) > 0 {
		return
	}
	if os.Getenv(program.variable) == "required" {
		t.Fatalf("no %s on this machine, and %s requires it", name, program.variable)
	}
	t.Skipf("no %s on this machine", name)
}

// Every page does what it says.
func TestPages(t *testing.T) {
	for _, page := range pages(t) {
		name := path.Base(path.Dir(page.Name))
		if name == "." {
			name = "README"
		}
		t.Run(name, func(t *testing.T) {
			needs, runs := slices.Clone(page.Needs), false
			for _, block := range page.Blocks {
				runs = runs || block.Kind != lesson.NotRun
				if block.Kind == lesson.Browser && !slices.Contains(needs, "chromium") {
					needs = append(needs, "chromium")
				}
			}
			for _, program := range needs {
				require(t, program)
			}
			if !runs {
				return
			}
			t.Parallel() // each has a folder and ports of its own, and waits for much of its time
			begin := time.Now()
			env := append(environment(), "CURL_HOME="+curlHome(t))
			lesson.Run(t, page, folder(t), env)
			t.Logf("%s: %d blocks in %v", page.Name, len(page.Blocks), time.Since(begin).Round(time.Second/10))
		})
	}
}

// curlHome has curl draw no progress, as on a terminal.
func curlHome(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".curlrc"), []byte("no-progress-meter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What is not run is counted, so that no block stops being run unnoticed.
func TestNotRun(t *testing.T) {
	for _, page := range pages(t) {
		count := 0
		for _, block := range page.Blocks {
			if block.Kind == lesson.NotRun {
				count++
				t.Logf("%s:%d: %s %s", page.Name, block.Line, block.Word, block.Reason)
			}
		}
		if want := notRun[page.Name]; count != want {
			t.Errorf("%s has %d blocks that are not run, and notRun says %d", page.Name, count, want)
		}
	}
}

var update = flag.Bool("update", false, "mend the lines in the pages' links to functions")

// Every link, heading, line and picture that a page refers to is there.
func TestReferences(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	references := lesson.NewReferences(top, files)
	for _, name := range files {
		if path.Ext(name) != ".md" || strings.HasPrefix(name, "socketio/socket.io-client/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		page := &lesson.Page{Name: name, Text: string(text)}
		if *update {
			page.Text = references.Mend(page)
			if err := os.WriteFile(filepath.Join(top, name), []byte(page.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, wrong := range references.Check(page) {
			t.Error(wrong)
		}
	}
}

// An exercise is red until it is done: its test fails with what the reader finds, and passes with the solution.
func TestExercises(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if ok, _ := path.Match("lessons/*/exercise/*_test.go", file); ok && !slices.Contains(names, path.Dir(file)) {
			names = append(names, path.Dir(file))
		}
	}
	for _, name := range names {
		t.Run(path.Base(path.Dir(name)), func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			test := func() (string, error) {
				cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=2m", "./"+name)
				cmd.Dir, cmd.Env = dir, environment()
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			out, err := test()
			if err == nil || !strings.Contains(out, "--- FAIL: ") {
				t.Errorf("with the exercise not done its test is to fail, and does not: %v\n%s", err, out)
			}
			replaced := 0
			for _, file := range files {
				if rest, ok := strings.CutPrefix(file, name+"/solution/"); ok {
					replaced++
					if err := os.Rename(filepath.Join(dir, file), filepath.Join(dir, name, rest)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if replaced == 0 {
				t.Fatalf("%s has no solution", name)
			}
			if out, err := test(); err != nil {
				t.Errorf("the solution fails: %v\n%s", err, out)
			}
		})
	}
}
