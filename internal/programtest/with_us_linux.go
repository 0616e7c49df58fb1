package programtest

import (
	"os/exec"
	"syscall"
)

// endWithUs makes the kernel kill the command's process when this process ends, even if "go test" kills it after a timeout and
// no test can clean up.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
