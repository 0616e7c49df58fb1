package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listener returns the process that listens on a port, of those whose files we may see.
func listener(port uint16) (pid int, err error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		socket, err := listening(table, port)
		if err != nil {
			return 0, err
		}
		if socket == "" {
			continue
		}
		if pid := holder(socket); pid != 0 {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process of yours listens on port %d", port)
}

// listening finds the socket, as the links in /proc name it, that listens on a port; "" for none.
func listening(table string, port uint16) (string, error) {
	f, err := os.Open(table)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const listen = "0A"
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// sl, local address, remote address, state, five more, and the inode
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) && fields[3] == listen {
			return "socket:[" + fields[9] + "]", nil
		}
	}
	return "", lines.Err()
}

// holder is the process that has a socket open, or 0.
func holder(socket string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == socket {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			return pid
		}
	}
	return 0
}
