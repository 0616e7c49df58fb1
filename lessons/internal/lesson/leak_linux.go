package lesson

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// left ends the processes that have a variable in their environment and do not end by themselves, and returns what they are.
func left(variable string) (found []string) {
	const patience = 5 * time.Second
	if found = gone(variable, patience); len(found) > 0 {
		for _, pid := range with(variable) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		gone(variable, patience)
	}
	return found
}

// gone waits until no process has the variable, and returns those that have it when the time is over.
func gone(variable string, patience time.Duration) (found []string) {
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		found = nil
		for _, pid := range with(variable) {
			command, _ := os.ReadFile(fmt.Sprint("/proc/", pid, "/cmdline"))
			found = append(found, fmt.Sprint(pid, ": ", strings.ReplaceAll(string(command), "\x00", " ")))
		}
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
		<-pause.C
	}
}

// with are the processes that have a variable, as name=value.
func with(variable string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+variable+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
