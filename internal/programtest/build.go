package programtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
)

// module is the path of this module, which differs in forks. With it, go finds the program from any folder of the module.
var module = strings.TrimSuffix(reflect.TypeFor[Program]().PkgPath(), "/internal/programtest")

// folder is the folder in which the program was built, or "".
var folder string

// build builds the program, once for all tests of a test binary, and returns its path. If the tests run with the race
// detector, so does the program.
var build = sync.OnceValues(func() (path string, err error) {
	if err := openSources(); err != nil {
		return "", err
	}
	if folder, err = os.MkdirTemp("", "echows-programtest-"); err != nil {
		return "", err
	}
	path = filepath.Join(folder, "echows.exe")               // a valid name on every system
	args := []string{"build", "-buildvcs=false", "-o", path} // no test needs the commit, and git may not be installed
	if race {
		args = append(args, "-race")
	}
	_, err = goCommand(append(args, module)...)
	return path, err
})

// openSources opens the files and folders from which the program is built. "go test" reuses cached results as long as the
// files that the test itself opened are unchanged; this way it runs the tests again when the program has changed.
func openSources() error {
	out, err := goCommand("list", "-deps", "-f", `{{$p := .}}{{with .Module}}{{if eq .Path "`+module+`"}}{{$p.Dir}}
{{range $p.EmbedFiles}}{{$p.Dir}}/{{.}}
{{end}}{{end}}{{end}}`, module)
	if err != nil {
		return err
	}
	for name := range strings.Lines(out) {
		f, err := os.Open(strings.TrimSuffix(name, "\n"))
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

func goCommand(args ...string) (string, error) {
	var failed strings.Builder
	cmd := exec.Command("go", args...)
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, failed.String())
	}
	return string(out), nil
}

// Exit removes the built program, and exits the test binary with a code, such as the result of m.Run. No program may still be
// running.
func Exit(code int) {
	if folder != "" {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}
