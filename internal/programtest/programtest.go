// Package programtest runs the program for tests that drive it from outside: as a process of its own, which is told to end
// as an operator would tell it, or killed.
//
// The TestMain of a package that uses it has to end with Exit, which removes the program that was built.
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

// Patience bounds every wait. It is for machines that are busy: no test should take so long.
const Patience = time.Minute

// Program is the program as a process. Only the test's own goroutine may call its methods.
type Program struct {
	URL string // http://127.0.0.1:PORT, or with https:; "" before it serves
	Log *Log

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is no more, and its log complete
	told  bool          // to end, or killed
}

// Start starts the program and waits until it serves. It listens on a port of its own and keeps its data in a folder of its
// own, unless args say otherwise. When the test ends, so does the program, as by End.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	p := Launch(t, args...)
	p.URL = p.Log.Find(t, "open=")
	return p
}

// Launch is Start for a program that may not serve. Before its first line in the log it cannot be told to end: SIGTERM would
// kill it.
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
		p.cmd.Wait() // how it ended is in its ProcessState
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

// End tells the program to end, and expects that it does, with exit code 0 and without a data race. It does nothing after
// End or Kill.
func (p *Program) End() {
	p.t.Helper()
	if p.told {
		return
	}
	p.told = true
	p.cmd.Process.Signal(syscall.SIGTERM) // fails where the process has ended, and then its exit code tells
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.t.Error("the program does not end")
		p.cmd.Process.Signal(syscall.SIGQUIT) // ends it, with what its goroutines do in the log
		<-p.ended
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("the program ends with exit code %d", code)
	}
	p.expectNoRace()
}

// Kill kills the program, as kill -9 does, and waits until it is no more. It does nothing after End or Kill.
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

// Run runs the program to its end, with these arguments alone, and returns its exit code and what it wrote on the standard
// error.
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
	cmd.Wait() // how it ended is in its ProcessState
	return cmd.ProcessState.ExitCode(), out.String()
}

// Command is a command that runs the program, in a folder of its own. None of the environment is for it.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{} // not nil, which would be ours: with settings of the person who tests
	endWithUs(cmd)
	return cmd
}
