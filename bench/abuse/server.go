package main

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
	"sync/atomic"
	"syscall"
)

// server is the process that is attacked.
type server struct {
	cmd      *exec.Cmd
	addr     string
	data     string
	logBytes counter // of its log
}

// counter counts the bytes that are written to it.
type counter struct{ atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.Add(int64(len(p)))
	return len(p), nil
}

// build builds the server, and returns where the program is.
func build(temp string) string {
	program := filepath.Join(temp, "echows")
	cmd := exec.Command("go", "build", "-C", "..", "-o", program, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%s: %v (to be run in bench)\n%s", cmd, err, out)
	}
	return program
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// start runs the server with a data folder of its own. It ends with this program.
func start(program string, flags []string, logs io.Writer) *server {
	data, err := os.MkdirTemp(filepath.Dir(program), "data-")
	if err != nil {
		log.Fatal(err)
	}
	s := &server{data: data}
	s.cmd = exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-data", data}, flags...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for s.addr == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			log.Fatalf("%s: %v", s.cmd, err)
		}
		if m := listening.FindStringSubmatch(line); m != nil {
			s.addr = m[1]
		}
	}
	go io.Copy(io.MultiWriter(logs, &s.logBytes), lines) // ends with the process
	return s
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.data)
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory that was resident since the start, in bytes; 0 once the process has died.
func (s *server) peak() int {
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
