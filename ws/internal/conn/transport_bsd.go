//go:build unix && !linux

package conn

import "syscall"

// writeNow writes what it can of two slices to a non-blocking descriptor.
func writeNow(fd uintptr, parts *[2][]byte) (int, error) {
	p := parts[0]
	if len(p) == 0 {
		p = parts[1]
	}
	for {
		n, err := syscall.Write(int(fd), p)
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

// hungUp reports whether the peer has closed its end. Bytes that are unread hide it.
func hungUp(fd uintptr) bool {
	var one [1]byte
	n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	return n == 0 && err == nil || err == syscall.ECONNRESET
}
