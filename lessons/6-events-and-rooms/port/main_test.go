package main

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
)

// One script hears the same from the server on Node and from this one.
func TestTheSameOnBoth(t *testing.T) {
	const packages = "../../../socketio/official/node_modules"
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(packages, "socket.io")); err != nil || missing != nil {
		if os.Getenv("ECHOWS_NODE") == "required" {
			t.Fatal("no Node, or no packages, and ECHOWS_NODE requires them: cd socketio/official && npm ci")
		}
		t.Skip("no Node, or no packages: cd socketio/official && npm ci")
	}
	dir := t.TempDir() // where a script finds the packages
	found, err := filepath.Abs(packages)
	if err == nil {
		err = os.Symlink(found, filepath.Join(dir, "node_modules"))
	}
	for _, name := range []string{"server.mjs", "drive.mjs"} {
		text, readErr := os.ReadFile(name)
		if err == nil && readErr == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	drive := func(url string) string {
		t.Helper()
		out, err := exec.CommandContext(ctx, node, filepath.Join(dir, "drive.mjs"), url).CombinedOutput()
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		return string(out)
	}

	e := echo.New()
	app, io := newServer(e)
	here := httptest.NewServer(e)
	defer here.Close()
	defer app.Shutdown(ctx)
	defer io.Close()
	got := drive(here.URL)

	other := exec.CommandContext(ctx, node, filepath.Join(dir, "server.mjs"))
	other.Env = append(os.Environ(), "PORT=0")
	out, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if want := drive(strings.Fields(line)[2]); got != want {
		t.Errorf("this server:\n%s\nNode's:\n%s", got, want)
	}
	t.Log(got)
}
