// Package programtest runs the program as a separate process, for tests that use it from outside. Tests end the process with
// SIGTERM, as an operator would, or kill it.
//
// The TestMain of a package that uses it must end with Exit, which removes the built program.
package programtest

import (
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience is the timeout of every wait. It allows for busy machines: no test should take this long.
const Patience = time.Minute

// Program is a running process of the program. Only the test's own goroutine may call its methods.
type Program struct {
	URL string // http://127.0.0.1:PORT, or with https:; "" if Launch started the program
	Log *Log

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended and its log is complete
	told  bool          // End or Kill was called
}

// Start starts the program and waits until it serves. Unless args say otherwise, the program listens on a free port of
// 127.0.0.1 and keeps its data in a temporary folder. When the test ends, it calls End.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	p := Launch(t, args...)
	p.URL = p.Log.Find(t, "open=")
	return p
}

// Launch is like Start, but does not wait until the program serves. Do not call End before the program has logged its first
// line: SIGTERM would kill it.
func Launch(t testing.TB, args ...string) *Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("on Windows a process cannot be told to end")
	}
	p := &Program{Log: new(Log), t: t, ended: make(chan struct{})}
	p.cmd = Command(t, append([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, args...)...)
	p.cmd.Stderr = p.Log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // the exit code is in ProcessState
		p.Log.End()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.End()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the log of the program %s:\n%s", p.URL, p.Log)
		}
	})
	return p
}

// End sends SIGTERM to the program and waits until it has ended. It reports a test error unless the program ends within
// Patience, with exit code 0 and without a data race. It does nothing after End or Kill.
func (p *Program) End() {
	p.t.Helper()
	if p.told {
		return
	}
	p.told = true
	p.cmd.Process.Signal(syscall.SIGTERM) // fails if the process has ended; its exit code is checked below
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.t.Error("the program does not end")
		p.cmd.Process.Signal(syscall.SIGQUIT) // ends it, and writes the stacks of its goroutines to the log
		<-p.ended
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("the program ends with exit code %d", code)
	}
	p.expectNoRace()
}

// Kill kills the program, as kill -9 does, and waits until it has ended. It does nothing after End or Kill.
func (p *Program) Kill() {
	p.t.Helper()
	if p.told {
		return
	}
	p.told = true
	p.cmd.Process.Kill()
	<-p.ended
	p.expectNoRace()
}

func (p *Program) expectNoRace() {
	p.t.Helper()
	if strings.Contains(p.Log.String(), "DATA RACE") {
		p.t.Error("the program has a data race")
	}
}

// Run runs the program with exactly these arguments, waits until it ends, and returns its exit code and its standard error.
// It kills the program after Patience.
func Run(t testing.TB, args ...string) (code int, stderr string) {
	t.Helper()
	var out strings.Builder
	cmd := Command(t, args...)
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait() // the exit code is in ProcessState
	return cmd.ProcessState.ExitCode(), out.String()
}

// Command returns a command that runs the program in a temporary folder, with an empty environment.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{} // nil would pass on the tester's environment, with its settings
	endWithUs(cmd)
	return cmd
}
