// Package deploy_test runs what deploy has for one machine.
package deploy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"echows/client"
	"echows/internal/porttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// After start, posts work through nginx, even when a node is killed; stop ends everything, and the messages are there
// after the next start.
func TestLocal(t *testing.T) {
	require(t, "ECHOWS_NGINX", "nginx", "/usr/sbin/nginx")
	require(t, "ECHOWS_POSTGRES", "initdb", "/usr/lib/postgresql/*/bin/initdb")
	require(t, "ECHOWS_NGINX", "curl")
	top, err := os.MkdirTemp("", "echows-deploy")
	if err == nil {
		err = os.Chmod(top, 0o755) // start switches from root to the user postgres, which must be able to enter
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	folder := filepath.Join(top, "run")
	ports := porttest.Reserve(t, 14)
	env := append(os.Environ(), fmt.Sprint("ECHOWS_HTTP_PORT=", ports[0]), fmt.Sprint("ECHOWS_POSTGRES_PORT=", ports[1]),
		fmt.Sprint("ECHOWS_NODE_PORT=", ports[2]), fmt.Sprint("ECHOWS_NATS_PORT=", ports[5]),
		fmt.Sprint("ECHOWS_ROUTE_PORT=", ports[8]), fmt.Sprint("ECHOWS_MONITOR_PORT=", ports[11]))
	script := func(name string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join("local", name), folder)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(name string) {
		t.Helper()
		if out, err := script(name); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	t.Cleanup(func() { exec.Command(filepath.Join("local", "stop"), folder).Run() })
	url := fmt.Sprint("http://127.0.0.1:", ports[0])

	run("start")
	if out, err := script("start"); err == nil || !strings.Contains(out, "is already running") {
		t.Errorf("a second start ended with %v and %q", err, out)
	}
	post(t, url, "one")
	kill(t, filepath.Join(folder, "node2.pid"))
	for i := range 6 { // nginx spreads them
		post(t, url, fmt.Sprint("without the second node ", i))
	}
	run("stop")
	run("stop") // has nothing to do
	if left := running(t, folder); len(left) > 0 {
		t.Fatalf("stop leaves %v", left)
	}

	run("start")
	first := seen(t, url)
	awaitRows(t, folder, ports[1], 7)
	run("stop")
	if len(first) != 7 || first[0] != "one" {
		t.Errorf("after a restart there are the messages %q", first)
	}
	if left := running(t, folder); len(left) > 0 {
		t.Errorf("stop leaves %v", left)
	}
}

// require skips the test if a program is missing; if the variable is "required", as in CI, it fails the test instead.
func require(t *testing.T, variable, name string, elsewhere ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	for _, place := range elsewhere {
		if found, _ := filepath.Glob(place); len(found) > 0 {
			return
		}
	}
	if os.Getenv(variable) == "required" {
		t.Fatalf("no %s on this machine, and %s requires it", name, variable)
	}
	t.Skipf("no %s on this machine", name)
}

// post posts as a new person, which begins a session on some node.
func post(t *testing.T, url, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	room := client.JoinChat(ctx, url, "lobby", client.ChatConfig{Name: "ana"})
	defer func() { room.Close(); <-room.Done() }()
	if _, err := room.Post(ctx, text); err != nil {
		t.Fatalf("post %q: %v", text, err)
	}
}

// seen returns the history that a new client receives.
func seen(t *testing.T, url string) (texts []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	joined := make(chan []client.Message, 1)
	var all []client.Message
	room := client.JoinChat(ctx, url, "lobby", client.ChatConfig{Name: "ben", OnHistory: func(h client.History) {
		if all = append(all, h.Messages...); !h.More {
			select {
			case joined <- all:
			default:
			}
		}
	}})
	defer func() { room.Close(); <-room.Done() }()
	select {
	case messages := <-joined:
		for _, m := range messages {
			texts = append(texts, m.Text)
		}
	case <-ctx.Done():
		t.Fatal("there is no history")
	}
	return texts
}

// awaitRows waits until the table has the given number of messages.
func awaitRows(t *testing.T, folder string, port, want int) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(folder, "password"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://echows:%s@127.0.0.1:%d/postgres?sslmode=disable", password, port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for {
		var rows int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM messages`).Scan(&rows); err != nil {
			t.Fatalf("the table has %d messages, not %d: %v", rows, want, err)
		}
		if rows == want {
			return
		}
	}
}

// kill ends a process that start started, like a crash.
func kill(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(number, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// running returns the command lines that contain the folder.
func running(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes can be seen: %v", err)
	}
	var all []string
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), folder+"/") { // others may end in the meantime
			all = append(all, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return slices.Compact(all)
}

// The container files name the versions in go.mod, and Go's newest patch, which go.mod does not require.
func TestVersions(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for file, image := range map[string]struct{ name, in, end string }{
		"compose.yaml":  {"library/nats:", `github.com/nats-io/nats-server/v2 v(\S+)`, "-"},
		"Containerfile": {"library/golang:", `\ngo (\d+\.\d+)\.`, "."},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		version := regexp.MustCompile(image.in).FindStringSubmatch(string(mod))
		if version == nil || !strings.Contains(string(text), image.name+version[1]+image.end) {
			t.Errorf("%s does not have version %q of %s", file, version, image.name)
		}
	}
}
