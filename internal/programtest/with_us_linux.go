package programtest

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel kill the command's process when this one ends, also when "go test" ends it because it took too
// long, and no test can clean up.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
