package ws

import (
	"errors"
	"os"
	"time"
)

// A goroutine's stack grows while it handles messages, and then stays large: 4 KiB, where waiting
// takes 2. So a socket that has waited for a while rests: its goroutine ends, and a new one waits,
// on a stack of the smallest size, until there is something to read. It takes care to call little.

// restAfter is how many ticks of the App a socket waits before it rests.
const restAfter = 2

var (
	longAgo = time.Unix(1, 0)
	errRest = errors.New("ws: rest")
)

// rest hands the socket to a new goroutine.
func (s *Socket) rest() {
	s.out.SetReadDeadline(time.Time{})
	s.in.rested = true
	s.readable = s.tryByte
	s.app.running.Go(s.live)
}

// awaitRested waits for one byte, and reads on as ever.
func (s *Socket) awaitRested() error {
	if err := s.out.raw.Read(s.readable); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errRest
		}
		return err
	}
	s.in.rested, s.readable = false, s.tryRead
	s.resting.Store(false)
	if s.in.err != nil {
		return s.in.err
	}
	s.in.frames = framesPool.Get().(*frames)
	s.in.frames.socket, s.in.frames.early = s, s.in.one[:]
	return nil
}

// tryByte is tryRead for a socket that rests.
func (s *Socket) tryByte(fd uintptr) bool {
	_, s.in.err = readNow(fd, s.in.one[:])
	return s.in.err != errWouldBlock
}
