package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A release has a program that names its commit, and its checksum. Files that differ from the commit are in none.
func TestRelease(t *testing.T) {
	top, _ := module(t)
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "release")
	copyModule(t, dir, top)
	// The Go that runs this test, so that no other has to be fetched.
	image := regexp.MustCompile(`library/golang:[0-9.]+`).ReplaceAllString(read(t, dir, "deploy/Containerfile"), "library/golang:"+strings.TrimPrefix(runtime.Version(), "go"))
	write(t, dir, "deploy/Containerfile", image)
	run := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := run(name, args...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return out
	}
	must("git", "init", "-q")
	must("git", "add", "-A")
	must("git", "-c", "user.name=ana", "-c", "user.email=ana@example.com", "commit", "-qm", "all")

	write(t, dir, "untracked.go", "package main\n")
	if said, err := run("deploy/release", out, "linux/"+runtime.GOARCH); err == nil || !strings.Contains(said, "untracked.go") {
		t.Errorf("a release of what is not committed: %v, %s", err, said)
	}
	must("rm", "untracked.go")
	must("deploy/release", out, "linux/"+runtime.GOARCH)
	program := "echows-linux-" + runtime.GOARCH
	entries, _ := os.ReadDir(out)
	var names []string
	for _, one := range entries {
		names = append(names, one.Name())
	}
	if !slices.Equal(names, []string{"SHA256SUMS", program}) {
		t.Errorf("the release has %v", names)
	}
	must("sh", "-c", `cd "$1" && sha256sum -c --strict SHA256SUMS`, "sh", out)
	if said, commit := must(filepath.Join(out, program), "-version"), must("git", "rev-parse", "HEAD"); !strings.Contains(said, ", commit "+commit+", go") {
		t.Errorf("the program of %s says it is %s", commit, said)
	}
}
