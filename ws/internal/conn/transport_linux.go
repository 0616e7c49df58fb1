package conn

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// writeNow writes two slices to a non-blocking descriptor with one system call.
func writeNow(fd uintptr, parts *[2][]byte) (n int, err error) {
	for {
		if len(parts[1]) == 0 {
			n, err = syscall.Write(int(fd), parts[0])
		} else if len(parts[0]) == 0 {
			n, err = syscall.Write(int(fd), parts[1])
		} else {
			n, err = unix.Pwritev2(int(fd), parts[:], -1, 0) // at -1 it is writev(2)
		}
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, errWouldBlock
		case err != nil:
			return 0, err
		}
		return n, nil
	}
}

// hungUp reports whether the peer has closed its end, even where bytes before that are unread.
func hungUp(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}
