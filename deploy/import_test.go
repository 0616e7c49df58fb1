package deploy_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importer is a program in a module of its own. MODULE stands for this module's name.
const importer = `package main

import (
	"github.com/labstack/echo/v4"

	"MODULE/socketio"
	"MODULE/ws"
)

func main() {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error { return s.SendText("hello") })
	io := socketio.New(app, socketio.Config{})
	io.OnConnect(func(s *socketio.Socket) error { return io.Emit("joined", s.ID()) })
	e.Logger.Fatal(e.Start(":3000"))
}
`

// A program in another module can use the packages, with the README's two lines in its go.mod.
func TestImportByReplace(t *testing.T) {
	top, name := module(t)
	dir := t.TempDir()
	write(t, dir, "main.go", strings.ReplaceAll(importer, "MODULE", name))
	goCommand(t, dir, "mod", "init", "example.com/app")
	goCommand(t, dir, "mod", "edit", "-require", name+"@v0.0.0", "-replace", name+"="+top)
	// go mod tidy would ask the network for versions and sums that are in this module's go.mod and go.sum.
	versions := []string{"mod", "edit"}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`).FindAllStringSubmatch(read(t, top, "go.mod"), -1) {
		versions = append(versions, "-require", m[1]+"@"+m[2])
	}
	goCommand(t, dir, versions...)
	write(t, dir, "go.sum", read(t, top, "go.sum"))
	goCommand(t, dir, "build", "-mod=mod", "-o", filepath.Join(dir, "app"), ".")
}

// A fork with another name builds, and imports nothing under the old name.
func TestRename(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("deploy/rename is for a shell")
	}
	top, name := module(t)
	dir := t.TempDir()
	copyModule(t, dir, top)
	rename := func(to string) ([]byte, error) {
		return exec.CommandContext(t.Context(), filepath.Join(dir, "deploy", "rename"), to).CombinedOutput()
	}
	for _, to := range []string{"", "https://example.com/you", "a#b", "/you/fork", "you/fork/"} {
		if out, err := rename(to); err == nil || read(t, dir, "go.mod") != read(t, top, "go.mod") {
			t.Errorf("%q is accepted as a name: %s", to, out)
		}
	}
	const fork = "github.com/you/fork"
	if out, err := rename(fork); err != nil {
		t.Fatalf("rename: %v\n%s", err, out)
	}
	goCommand(t, dir, "list", "-deps", "-test", "./...") // every import is there
	goCommand(t, dir, "build", "./ws/...", "./hub", "./socketio/...", "./client", "./lessons/...")
	own := 0
	for _, file := range files(t, dir) {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if path == name || strings.HasPrefix(path, name+"/") {
				t.Errorf("%s imports %s", file, path)
			}
			if strings.HasPrefix(path, fork+"/") {
				own++
			}
		}
	}
	if own == 0 {
		t.Error("nothing is imported by the new name")
	}
	if readme := read(t, dir, "README.md"); !strings.Contains(readme, "\t\""+fork+"/ws\"\n") {
		t.Error("the README's smallest program imports by the old name")
	}
	bench := read(t, dir, "bench/go.mod")
	for _, line := range []string{"module " + fork + "/bench\n", "replace " + fork + " => ../\n", "\t" + fork + " v0.0.0\n"} {
		if !strings.Contains(bench, line) {
			t.Errorf("bench/go.mod lacks %q:\n%s", line, bench)
		}
	}
	if sorted := goCommand(t, filepath.Join(dir, "bench"), "mod", "edit", "-fmt", "-print"); sorted != bench {
		t.Errorf("bench/go.mod is not as go mod tidy would have it:\n%s", bench)
	}
}

// module returns this module's folder and its name, which in a fork is different.
func module(t *testing.T) (top, name string) {
	t.Helper()
	fields := strings.Fields(goCommand(t, ".", "list", "-m", "-f", "{{.Dir}} {{.Path}}"))
	if len(fields) != 2 {
		t.Fatalf("go list: %q", fields)
	}
	return fields[0], fields[1]
}

// goCommand runs go in a folder and returns its output.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, failed.String())
	}
	return string(out)
}

// files returns a module's files in a folder, without git's and those of a build, a package manager or a running server.
func files(t *testing.T, top string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "data", "node_modules", "run"}, d.Name()) {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func copyModule(t *testing.T, to, from string) {
	t.Helper()
	for _, name := range files(t, from) {
		at := filepath.Join(to, name)
		info, err := os.Stat(filepath.Join(from, name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(at), 0o755)
		}
		if err == nil {
			err = os.WriteFile(at, []byte(read(t, from, name)), info.Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
