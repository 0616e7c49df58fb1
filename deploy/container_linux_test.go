package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"echows/internal/porttest"
)

// image is what a container file makes, in a root folder of its own that stands for the container's.
type image struct {
	t      *testing.T
	root   string
	source string            // the first stage's copy of the repository
	git    bool              // the first stage has git
	built  map[string]string // what the first stage has made, and what stands for it here
	user   syscall.Credential
	env    []string
	data   string // the volume
	port   string
	serve  []string
	health []string
}

// instructions are those of a container file: each line that is no comment, with those that continue it.
func instructions(t *testing.T, file string) (all [][2]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", ""), "\n") {
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, [2]string{name, strings.TrimSpace(rest)})
	}
	return all
}

// makeImage follows a container file, line by line. It fails at what it does not know.
func makeImage(t *testing.T, file string) *image {
	t.Helper()
	i := &image{t: t, root: t.TempDir(), built: map[string]string{"/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt"}}
	if err := os.Chmod(i.root, 0o755); err != nil { // for nobody, who has to pass
		t.Fatal(err)
	}
	stages := 0
	for _, one := range instructions(t, file) {
		name, rest := one[0], one[1]
		if name == "FROM" {
			stages++
		}
		switch where := fmt.Sprint(stages, " ", name); {
		case where == "2 FROM" && rest == "scratch", where == "1 FROM" && strings.HasSuffix(rest, " AS build"):
		case where == "1 WORKDIR", where == "1 COPY" && rest == "go.mod go.sum ./", where == "1 RUN" && rest == "go mod download": // the modules are here
		case where == "1 COPY" && rest == ". .":
			i.source = copyOfTheRepository(t, file+".dockerignore")
		case where == "1 RUN" && rest == "apk add --no-cache git":
			i.git = true
		case where == "1 RUN":
			i.run(rest)
		case where == "2 COPY":
			i.copy(strings.Fields(rest))
		case where == "2 USER":
			user, group, _ := strings.Cut(rest, ":")
			i.user = syscall.Credential{Uid: number(t, user), Gid: number(t, group)}
		case where == "2 ENV":
			i.env = append(i.env, strings.Fields(rest)...)
		case where == "2 VOLUME":
			i.data = rest
		case where == "2 EXPOSE":
			i.port = rest
		case where == "2 HEALTHCHECK":
			_, command, _ := strings.Cut(rest, "CMD ")
			i.health = execForm(t, command)
		case where == "2 ENTRYPOINT":
			i.serve = execForm(t, rest)
		default:
			t.Fatalf("the test does not know %s %s of stage %d", name, rest, stages)
		}
	}
	return i
}

// copyOfTheRepository has what a container engine sends for a build: all but what the file names.
func copyOfTheRepository(t *testing.T, ignore string) string {
	t.Helper()
	text, err := os.ReadFile(ignore)
	if err != nil {
		t.Fatal(err)
	}
	pack := []string{"-c", "-C", ".."}
	for pattern := range strings.Lines(string(text)) {
		pattern = strings.TrimSpace(pattern)
		name, anywhere := strings.CutPrefix(pattern, "**/")
		switch {
		case pattern == "" || pattern[0] == '#':
		case strings.ContainsAny(name, "*?[!\\"):
			t.Fatalf("the test does not know %s in %s", pattern, ignore)
		case anywhere:
			pack = append(pack, "--no-anchored", "--exclude="+name)
		default:
			pack = append(pack, "--anchored", "--exclude=./"+name)
		}
	}
	to := t.TempDir()
	packed, err := exec.CommandContext(t.Context(), "tar", append(pack, ".")...).Output()
	if code := new(exec.ExitError); err != nil && !(errors.As(err, &code) && code.ExitCode() == 1) { // 1: a file changed meanwhile
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "--no-same-owner", "-C", to)
	unpack.Stdin = bytes.NewReader(packed)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return to
}

// run does what the first stage does.
func (i *image) run(line string) {
	i.t.Helper()
	if folder, ok := strings.CutPrefix(line, "mkdir "); ok {
		i.built[folder] = i.t.TempDir()
		return
	}
	const target = " -o /echows "
	if !strings.Contains(line, target) {
		i.t.Fatalf("the test does not know RUN %s", line)
	}
	i.built["/echows"] = filepath.Join(i.t.TempDir(), "echows")
	build := exec.CommandContext(i.t.Context(), "sh", "-c", strings.Replace(line, target, " -o "+i.built["/echows"]+" ", 1))
	build.Dir = i.source
	asks := "auto" // whatever this machine's Go has been told
	if !i.git {
		asks = "false"
	}
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs="+asks)
	if out, err := build.CombinedOutput(); err != nil {
		i.t.Fatalf("%v\n%s", err, out)
	}
}

func (i *image) copy(args []string) {
	i.t.Helper()
	owner := 0
	for len(args) > 2 {
		if user, ok := strings.CutPrefix(args[0], "--chown="); ok {
			user, _, _ = strings.Cut(user, ":")
			owner = int(number(i.t, user))
		} else if args[0] != "--from=build" {
			i.t.Fatalf("the test does not know COPY %s", args[0])
		}
		args = args[1:]
	}
	from, to := i.built[args[0]], filepath.Join(i.root, args[1])
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil || from == "" {
		i.t.Fatalf("%s is not there, %v", args[0], err)
	}
	if out, err := exec.CommandContext(i.t.Context(), "cp", "-rL", from, to).CombinedOutput(); err != nil {
		i.t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(to, 0o755); err != nil {
		i.t.Fatal(err)
	}
	if err := os.Chown(to, owner, owner); err != nil {
		i.t.Fatal(err)
	}
}

// inside is a command in the container.
func (i *image) inside(ctx context.Context, args []string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Path, cmd.Err = args[0], nil // inside
	cmd.Dir = "/"
	cmd.Env = append(append([]string{}, i.env...), env...) // of two with one name the last one counts
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Credential: &i.user, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// files are the container's, without those of the volume.
func (i *image) files() (all []string) {
	i.t.Helper()
	err := filepath.WalkDir(i.root, func(path string, f fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(i.root, i.data) {
			return fs.SkipDir
		}
		info, err := f.Info()
		all = append(all, fmt.Sprint(strings.TrimPrefix(path, i.root), " ", info.Mode(), " ", info.ModTime()))
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return all
}

// checkVersion checks that the program says which commit it is of. It would call a build modified that lacks files of it.
func (i *image) checkVersion() {
	i.t.Helper()
	git := func(args ...string) string {
		i.t.Helper()
		cmd := exec.CommandContext(i.t.Context(), "git", args...)
		cmd.Dir = i.source
		out, err := cmd.Output()
		if err != nil {
			i.t.Fatalf("git %s: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	if _, err := os.Stat("../.git"); err != nil {
		i.t.Log("not checked: this is no clone, so the program cannot know its commit")
		return
	}
	version, err := i.inside(i.t.Context(), append(slices.Clone(i.serve), "-version")).Output()
	if want := ", commit " + git("rev-parse", "HEAD") + ","; err != nil || !strings.Contains(string(version), want) {
		i.t.Errorf("-version says %q, without %q, and %v", version, want, err)
	}
	for name := range strings.Lines(git("ls-files", "--deleted")) {
		name = strings.TrimSpace(name)
		if _, err := os.Stat(filepath.Join("..", name)); err == nil {
			i.t.Errorf("the build does not get %s, so -version says that it is modified", name)
		}
	}
}

// What the container file makes has nothing beside the program; says which commit it is of; runs as nobody, who can write to
// the data folder only; and can be asked for its health.
func TestTheContainer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	i := makeImage(t, "Containerfile")
	if want := []string{"PORT=" + i.port, "DATA_DIR=" + i.data}; fmt.Sprint(i.env) != fmt.Sprint(want) {
		t.Errorf("the environment is %v, want %v", i.env, want)
	}
	if i.user.Uid == 0 || i.user.Gid == 0 {
		t.Error("it runs as root")
	}
	i.checkVersion()
	before := i.files()
	if len(before) != 9 { // of usr/local/bin/echows and etc/ssl/certs/ca-certificates.crt, and the folders on the way
		t.Errorf("the image has %q", before)
	}
	sources, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(sources)), "src/crypto/x509/root_linux.go"))
	if err != nil || !strings.Contains(string(roots), `"/etc/ssl/certs/ca-certificates.crt"`) {
		t.Errorf("nobody looks for certificates there: %v", err)
	}
	port := fmt.Sprint("PORT=", porttest.Reserve(t, 1)[0]) // 3000 may be another's here
	node := i.inside(t.Context(), i.serve, port)
	log := new(strings.Builder)
	node.Stderr = log
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- node.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for healthy := false; !healthy; {
		out, err := i.inside(ctx, i.health, port).CombinedOutput()
		healthy = err == nil
		select {
		case err := <-ended:
			t.Fatalf("the program ends: %v\n%s", err, log)
		case <-ctx.Done():
			t.Fatalf("it is not healthy: %v\n%s", err, out)
		default: // and is asked again
		}
	}
	node.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, log)
	}
	if err := i.inside(ctx, i.health, port).Run(); err == nil {
		t.Error("a node that has ended is healthy")
	}
	if after := i.files(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it has changed %q to %q", before, after)
	}
	if kept, err := os.ReadDir(filepath.Join(i.root, i.data)); err != nil || len(kept) == 0 {
		t.Errorf("it keeps nothing: %v", err)
	}
}

// execForm is a command in the form that needs no shell.
func execForm(t *testing.T, text string) (args []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &args); err != nil || len(args) == 0 {
		t.Fatalf("%s needs a shell, which is not there: %v", text, err)
	}
	return args
}

func number(t *testing.T, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}
