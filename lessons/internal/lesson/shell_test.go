//go:build unix

package lesson

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func terminal(t *testing.T, name string, env ...string) (*Terminal, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	w, err := NewTerminal(name, t.TempDir(), append(env, "PATH="+os.Getenv("PATH")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, ctx
}

func same(text string) string { return text }

func TestTerminal(t *testing.T) {
	w, ctx := terminal(t, "")
	for _, c := range []struct {
		command, want string
		exit          int
	}{
		{"echo one; echo two >&2", "one\ntwo", 0},
		{"export A=5; mkdir -p x && cd x", "", 0},
		{"basename $PWD \\\n a$A", "x", 0},
		{"(echo $A; exit 4)", "5", 4},
	} {
		before, err := w.Type(ctx, c.command)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.End(ctx); err != nil {
			t.Fatal(err)
		}
		lines, exit := w.Lines(before, same)
		if got := strings.Join(lines, "\n"); got != c.want || exit != c.exit {
			t.Errorf("%s: %q, %d", c.command, got, exit)
		}
	}
	if _, err := w.Type(ctx, "exit 3"); err != nil {
		t.Fatal(err)
	}
	if err := w.End(ctx); err == nil {
		t.Error("the shell goes on after exit")
	}
}

func TestTerminalCodes(t *testing.T) {
	w, ctx := terminal(t, "")
	for command, want := range map[string]int{"true": 0, "false": 1, "(exit 7)": 7, "printf 'no line'; (exit 2)": 2, "no-such-command": 127, "if": 2, "cat": 0, "true <&3": 1} {
		before, err := w.Type(ctx, command)
		if err == nil {
			err = w.End(ctx)
		}
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		lines, exit := w.Lines(before, same)
		if exit != want {
			t.Errorf("%s: %d", command, exit)
		}
		if strings.HasPrefix(command, "printf") && !slices.Equal(lines, []string{"no line"}) {
			t.Errorf("%s: %q", command, lines)
		}
	}
}

// A program in a terminal is typed to and interrupted; the shell goes on.
func TestTerminalRunsOn(t *testing.T) {
	w, ctx := terminal(t, "server")
	typed := func(n int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	comes := func(skipped int, shown ...string) {
		t.Helper()
		if w.Comes(ctx, skipped, shown, same) < 0 {
			lines, _ := w.Lines(skipped, same)
			t.Fatalf("%q does not come, but %q", shown, lines)
		}
	}
	// A program that Ctrl-C ends, as go run's do.
	at := typed(w.Type(ctx, `echo begins; while read -r line; do echo "said $line"; done`))
	comes(at, "begins")
	at = typed(w.Input("hello"))
	comes(at, "said hello")
	if _, err := w.Type(canceled(), "echo too early"); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("a second command beside the first: %v", err)
	}
	w.Close()

	w, ctx = terminal(t, "server")
	at = typed(w.Type(ctx, "sh -c 'echo begins; exec sleep 1000'"))
	comes(at, "begins")
	typed(w.Interrupt(ctx))
	if _, err := w.Interrupt(ctx); err == nil {
		t.Error("Ctrl-C with nothing running is no error")
	}
	if _, err := w.Input("x"); err == nil {
		t.Error("input with nothing running is no error")
	}
	at = typed(w.Type(ctx, "echo on"))
	comes(at, "on")
	if n := w.Comes(ctx, at, []string{"never"}, same); n != -1 {
		t.Errorf("what a command that has ended never said comes after %d lines", n)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// What is in a terminal ends with it.
func TestClose(t *testing.T) {
	variable := fmt.Sprintf("ECHOWS_LESSON_TEST=%d-%d", os.Getpid(), time.Now().UnixNano())
	w, ctx := terminal(t, "server", variable)
	at, err := w.Type(ctx, "sleep 1000 & echo begun; (sleep 1000)")
	if err != nil || w.Comes(ctx, at, []string{"begun"}, same) < 0 {
		t.Fatal("it does not begin", err)
	}
	w.Close()
	if found := left(variable); len(found) > 0 {
		t.Errorf("left behind: %q", found)
	}
}
