// Package server runs this repository's server as a process of its own, for programs that measure it.
package server

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"echows/bench/internal/cluster"
)

// Server is a running process. Its methods may be called from any goroutine; call either Stop or Kill, once.
type Server struct {
	Addr string

	cmd    *exec.Cmd
	data   string
	copied chan struct{} // closed when all of its log is written
}

// Build builds the server in a folder, with further flags for go build, and returns the program's path. The working
// directory is bench.
func Build(temp string, flags ...string) string {
	program := filepath.Join(temp, "echows")
	cluster.Build(program, "..", ".", flags...)
	return program
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// Start runs the server on a free port of 127.0.0.1, with a data folder of its own beside the program. It ends with
// this program, and a terminal's signals do not reach it. Its whole log goes to logs, from the first line on.
func Start(program string, flags []string, logs io.Writer) *Server {
	data, err := os.MkdirTemp(filepath.Dir(program), "data-")
	if err != nil {
		log.Fatal(err)
	}
	s := &Server{data: data, copied: make(chan struct{})}
	s.cmd = exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-data", data}, flags...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = cluster.Start(s.cmd)
	}
	if err != nil {
		log.Fatal(err)
	}
	late := time.AfterFunc(cluster.Patience, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewReader(out)
	for s.Addr == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			log.Fatalf("%s: %v: %s", s.cmd, err, line)
		}
		io.WriteString(logs, line)
		if m := listening.FindStringSubmatch(line); m != nil {
			s.Addr = m[1]
		}
	}
	go func() { // ends with the process
		defer close(s.copied)
		io.Copy(logs, lines)
	}()
	return s
}

// Stop ends the server as a service manager does, and returns its error: nil means exit code 0.
func (s *Server) Stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(cluster.Patience, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	return s.wait()
}

// Kill ends the server like a crash.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	s.wait()
}

func (s *Server) wait() error {
	<-s.copied // Wait closes the pipe
	err := s.cmd.Wait()
	os.RemoveAll(s.data)
	return err
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// Peak returns the peak resident memory since the start, in bytes, or 0 once the process has died.
func (s *Server) Peak() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		log.Fatal(err)
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		return 0
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		log.Fatal(err)
	}
	return kb << 10
}
