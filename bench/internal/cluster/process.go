// Package cluster starts what a cluster consists of, each as a process of its own, for programs that break it: NATS
// servers, PostgreSQL, proxies between them and those who use them. All of it ends with the program that started it.
// What cannot be started ends that program: without it there is nothing to see.
package cluster

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Patience is for anything that has to happen.
const Patience = 30 * time.Second

// Build compiles a package of this repository, or of one that its go.mod names. The working directory is a folder of
// the repository, dir the way from there to the module.
func Build(program, dir, name string, flags ...string) {
	cmd := exec.Command("go", append(append([]string{"build", "-C", dir, "-o", program}, flags...), name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// FreeAddrs are places that nobody listens on, and that no connection gets by chance before they are used: systems take
// the higher ports for that.
func FreeAddrs(n int) (all []string) {
	for len(all) < n {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// Run starts a program that ends with this one, and waits for a line with that text on one of its outputs. With a time
// until which it may be tried again, it reports whether the line came.
func Run(cmd *exec.Cmd, output func() (io.ReadCloser, error), text string, until ...time.Time) bool {
	out, err := output()
	if err == nil {
		err = Start(cmd)
	}
	if err != nil {
		log.Fatalf("%s: %v", cmd, err)
	}
	late := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			go io.Copy(io.Discard, out)
			return true
		}
	}
	cmd.Wait()
	if len(until) == 0 || time.Now().After(until[0]) {
		log.Fatalf("%s ends, and does not say %q", cmd, text)
	}
	return false
}

// Start starts a program that ends with this one.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Start()
}

// Kill ends a process as a crash does; one that is stopped, too.
func Kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// Terminate ends a process as a rolling restart does, and returns how long that took.
func Terminate(cmd *exec.Cmd) time.Duration {
	begun := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(Patience, func() { log.Printf("%s does not end", cmd); cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	return time.Since(begun)
}

// Freeze stops a process where it is: the system still takes connections for it, and it answers nothing. Thaw has it
// go on.
func Freeze(cmd *exec.Cmd) { signal(cmd, syscall.SIGSTOP) }

// Thaw undoes Freeze.
func Thaw(cmd *exec.Cmd) { signal(cmd, syscall.SIGCONT) }

func signal(cmd *exec.Cmd, s syscall.Signal) {
	if err := cmd.Process.Signal(s); err != nil {
		log.Fatalf("%s: %v: %v", cmd, s, err)
	}
}
