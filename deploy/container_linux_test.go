package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// As in the container file, the program runs with nothing beside it, as an unprivileged user that can write only to the
// data folder, and its health check works. A root folder of its own stands in for the container.
func TestTheContainersRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	text, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	serve, check := command(t, string(text), `(?m)^ENTRYPOINT (\[.*\])`), command(t, string(text), `(?m)^\tCMD (\[.*\])`)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { // so that the unprivileged user can enter
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s", "-o", filepath.Join(root, serve[0]), "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(root, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "data"), 65532, 65532); err != nil {
		t.Fatal(err)
	}
	env := []string{fmt.Sprint("PORT=", freePorts(t, 1)[0]), "DATA_DIR=/data"}
	inside := func(ctx context.Context, args []string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Path, cmd.Err = args[0], nil // inside
		cmd.Dir = "/"
		cmd.Env = env
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	node := inside(t.Context(), serve)
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
		out, err := inside(ctx, check).CombinedOutput()
		healthy = err == nil
		select {
		case err := <-ended:
			t.Fatalf("the program ends: %v\n%s", err, log)
		case <-ctx.Done():
			t.Fatalf("it is not healthy: %v\n%s", err, out)
		default: // asked again
		}
	}
	node.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, log)
	}
	if err := inside(ctx, check).Run(); err == nil {
		t.Error("the health check passes for a node that has ended")
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 2 {
		t.Errorf("the root folder has %v, %v", left, err)
	}
}

// command is what an instruction of the container file runs.
func command(t *testing.T, file, instruction string) (args []string) {
	t.Helper()
	found := regexp.MustCompile(instruction).FindStringSubmatch(file)
	if found == nil || json.Unmarshal([]byte(found[1]), &args) != nil || len(args) == 0 {
		t.Fatalf("the container file has no %s", instruction)
	}
	return args
}
