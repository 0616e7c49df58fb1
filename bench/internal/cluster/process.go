// Package cluster starts the parts of a cluster, each as a process of its own, for programs that break it: NATS
// servers, PostgreSQL, and proxies in front of them. All end with the program that started them. If one cannot be
// started, the program ends, too, as there is nothing to see without it.
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

// Patience is how long to wait for anything that must happen.
const Patience = 30 * time.Second

// Build compiles a package of this repository, or of a module that its go.mod names. dir is the path from the working
// directory, a folder of the repository, to the module.
func Build(program, dir, name string, flags ...string) {
	cmd := exec.Command("go", append(append([]string{"build", "-C", dir, "-o", program}, flags...), name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// FreeAddrs returns addresses that nobody listens on. Their ports are below those that systems give to connections, so
// that no connection takes one by chance before it is used.
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

// Run starts a program that ends with this one, and waits for a line that contains text on one of its outputs. Given a
// time until which the caller may try again, it reports whether the line came.
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
		log.Fatalf("%s ended without saying %q", cmd, text)
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

// Kill ends a process like a crash, even a stopped process.
func Kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// Terminate ends a process like a rolling restart, and returns how long that took.
func Terminate(cmd *exec.Cmd) time.Duration {
	begun := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(Patience, func() { log.Printf("%s does not end", cmd); cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	return time.Since(begun)
}

// Freeze stops a process where it is: the system still accepts connections for it, but it answers nothing. Thaw lets it
// go on.
func Freeze(cmd *exec.Cmd) { signal(cmd, syscall.SIGSTOP) }

// Thaw undoes Freeze.
func Thaw(cmd *exec.Cmd) { signal(cmd, syscall.SIGCONT) }

func signal(cmd *exec.Cmd, s syscall.Signal) {
	if err := cmd.Process.Signal(s); err != nil {
		log.Fatalf("%s: %v: %v", cmd, s, err)
	}
}
