//go:build !linux

package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// listener returns the process that listens on a port, as lsof says, or netstat on Windows.
func listener(port uint16) (pid int, err error) {
	if runtime.GOOS == "windows" {
		out, err := exec.Command("netstat", "-ano", "-p", "tcp").Output()
		if err != nil {
			return 0, fmt.Errorf("netstat: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			// Proto, local address, foreign address, state, PID; who listens has no foreign port.
			fields := strings.Fields(line)
			if len(fields) == 5 && strings.HasSuffix(fields[1], fmt.Sprint(":", port)) && strings.HasSuffix(fields[2], ":0") {
				return strconv.Atoi(fields[4])
			}
		}
		return 0, fmt.Errorf("no process listens on port %d", port)
	}
	out, err := exec.Command("lsof", "-t", "-i", fmt.Sprint("tcp:", port), "-s", "tcp:listen").Output()
	if first, _, _ := strings.Cut(string(out), "\n"); first != "" {
		return strconv.Atoi(first)
	}
	return 0, fmt.Errorf("lsof finds no process of yours that listens on port %d: %v", port, err)
}
