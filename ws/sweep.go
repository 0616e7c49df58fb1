package ws

import (
	"fmt"
	"time"
)

// sweep keeps all sockets alive, and ends those whose peers are gone: one goroutine for all of them,
// for as long as there are any.
//
// It wakes some thirty times in a ping interval. Each time it looks at the last sign of life of every
// socket, and pings those whose turn it is.
func (a *App) sweep(stop <-chan struct{}) {
	ticker := time.NewTicker(a.tick)
	defer ticker.Stop()
	var sockets []*Socket
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		now := a.clock.Add(1)
		sockets = a.list(sockets[:0])
		for _, s := range sockets {
			s.keepAlive(now)
		}
		clear(sockets)
	}
}

var pingFrame = appendHeader(nil, opPing, 0)

// keepAlive judges the socket at tick now. Any byte from the peer is a sign of life; that it is
// silent counts only while we wait for it.
func (s *Socket) keepAlive(now int64) {
	waiting := now - s.seen.Load()
	switch every := s.app.ticks; {
	case waiting > 2*every:
		s.abort(&CloseError{CloseAbnormal, fmt.Sprintf("no sign of life for %v", 2*s.app.config.PingInterval)})
	case now >= s.firstPing && (now-s.firstPing)%every == 0:
		s.out.offer(pingFrame) // an outbox that is full needs none: what waits there tells as much
	}
	if waiting >= restAfter && s.resting.CompareAndSwap(false, true) {
		s.out.SetReadDeadline(longAgo) // ends the wait, for await to return errRest
	}
}

// firstPing is the tick of a new socket's first ping: in the second half of an interval from now, so
// that the pings of sockets which came together are spread.
func (a *App) firstPing(number uint64) int64 {
	half := a.ticks - a.ticks/2
	return a.clock.Load() + a.ticks/2 + int64(number)%half + 1
}
