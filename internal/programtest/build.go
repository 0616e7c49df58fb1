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

// module is the path of this module, which in a fork is another. By it go finds the program from any folder of the module.
var module = strings.TrimSuffix(reflect.TypeFor[Program]().PkgPath(), "/internal/programtest")

// folder is where the program was built, or "".
var folder string

// build builds the program, once for all tests of a test binary, and returns its path. Where the tests have the race
// detector, it has, too.
var build = sync.OnceValues(func() (path string, err error) {
	if err := openSources(); err != nil {
		return "", err
	}
	if folder, err = os.MkdirTemp("", "echows-programtest-"); err != nil {
		return "", err
	}
	path = filepath.Join(folder, "echows.exe")               // a name that every system takes
	args := []string{"build", "-buildvcs=false", "-o", path} // no test asks which commit it is, and git may not be there
	if race {
		args = append(args, "-race")
	}
	_, err = goCommand(append(args, module)...)
	return path, err
})

// openSources opens what the program is built from, so that "go test" does not take the last run's results when the program
// has changed but the test has not: it takes them as long as the files and folders are the same that the test itself opened.
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

// Exit removes the program that was built, and ends the test binary with a code, such as m.Run returns. No program may run
// any more.
func Exit(code int) {
	if folder != "" {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}
