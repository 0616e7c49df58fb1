package conn

import (
	"os"
	"syscall"
)

// lot is where connections park: an epoll set. Each connection in it reports once, when it is readable or
// its peer has gone, and then not until it is added again; if there is something to read at that moment, it
// reports immediately, so nothing is missed. A report names the connection by its slot and generation, never by
// its descriptor, which another connection may have by then.
//
// The set's own descriptor waits in Go's poller, as any file does, so no thread is blocked.
type lot struct {
	engine *Engine
	file   *os.File
	raw    syscall.RawConn
	fd     int
}

// newLot makes a lot, with a goroutine that ends when the lot is closed. It returns nil if the system refuses.
func newLot(e *Engine) *lot {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	syscall.SetNonblock(fd, true) // for os.NewFile to let it wait in Go's poller
	l := &lot{engine: e, file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		return nil
	}
	e.running.Go(l.run)
	return l
}

// add makes the lot report c once. c belongs to the lot as soon as the system call has begun.
func (l *lot) add(c *Conn) error {
	op := syscall.EPOLL_CTL_ADD
	if c.registered {
		op = syscall.EPOLL_CTL_MOD
	}
	c.registered = true
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | epollOneShot,
		Fd:     c.slot,
		Pad:    c.generation,
	}
	var err error
	if controlErr := c.out.under.Control(func(fd uintptr) { err = syscall.EpollCtl(l.fd, op, int(fd), &event) }); controlErr != nil {
		return controlErr
	}
	return err
}

const epollOneShot = 1 << 30 // EPOLLONESHOT; package syscall has a type for it that does not fit

func (l *lot) run() {
	events := make([]syscall.EpollEvent, 128)
	for {
		var n int
		var failed error
		err := l.raw.Read(func(fd uintptr) bool {
			n, failed = syscall.EpollWait(int(fd), events, 0)
			return n > 0 || failed != nil && failed != syscall.EINTR
		})
		if err != nil || failed != nil { // closed
			return
		}
		for _, event := range events[:n] {
			if c := l.engine.at(event.Fd, event.Pad); c != nil {
				c.wake()
			}
		}
	}
}

// close ends run; the connections in the lot have ended.
func (l *lot) close() { l.file.Close() }
