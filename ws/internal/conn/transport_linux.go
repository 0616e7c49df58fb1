package conn

import (
	"syscall"
	"unsafe"

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
			n, err = writev(fd, parts)
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

// writev is writev(2). Package unix has it for slices of any number, which it allocates for.
func writev(fd uintptr, parts *[2][]byte) (int, error) {
	var v [2]syscall.Iovec
	for i, p := range parts {
		v[i].Base = &p[0]
		v[i].SetLen(len(p))
	}
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v)), 2)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// hungUp reports whether the peer has closed its end, even where bytes before that are unread.
func hungUp(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}
