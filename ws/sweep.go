package ws

import (
	"fmt"
	"time"
)

// sweep keeps all sockets alive, and ends those whose peers are gone: one goroutine for all of them,
// for as long as there are any.
//
// It wakes some thirty times in a ping interval. Each time it pings another share of the sockets, so
// that the pings are spread over the interval, and looks at the last sign of life of every one.
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

// keepAlive judges the socket at tick now. Any byte from the peer is a sign of life; that it is
// silent counts only while we wait for it.
func (s *Socket) keepAlive(now int64) {
	switch every := s.app.ticks; {
	case now-s.seen.Load() > 2*every:
		s.abort(&CloseError{CloseAbnormal, fmt.Sprintf("no sign of life for %v", 2*s.app.config.PingInterval)})
	case (now+int64(s.number))%every == 0:
		s.ping()
	}
}

// ping offers a ping. An outbox that is full needs none: what is in it tells as much.
func (s *Socket) ping() {
	if unwritten, err := s.out.offer(opPing, nil); err == nil && unwritten {
		s.app.flusher.add(s)
	}
}
