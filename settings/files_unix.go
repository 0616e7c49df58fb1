//go:build unix

package settings

import "syscall"

// mostFiles returns how many files and connections this process may have open, or 0 if that is not known.
func mostFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur) // Go has raised it to the hard limit
}
