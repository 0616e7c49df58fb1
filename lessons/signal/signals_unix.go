//go:build unix

package main

import (
	"os"
	"syscall"
)

var signals = map[string]os.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP, "cont": syscall.SIGCONT, "term": syscall.SIGTERM}
