package engineio

import (
	"time"

	"echows/ws"
)

// pingRetry is how long a ping is delayed if there is no room for it.
const pingRetry = time.Second

// moment is a point in time, by the monotonic clock. It takes a third of the memory of a time.Time.
type moment time.Duration

var start = time.Now()

func thisMoment() moment { return moment(time.Since(start)) }

func (m moment) add(d time.Duration) moment       { return m + moment(d) }
func (m moment) sub(earlier moment) time.Duration { return time.Duration(m - earlier) }

// ping is a ping packet, encoded for WebSockets.
var ping = func() *ws.Prepared {
	f, err := ws.Prepare(packet{kind: packetPing}.wire())
	if err != nil {
		panic(err)
	}
	return f
}()

// tick sends a ping if one is due, and ends the session if its client has been silent for too long. If the session has ended,
// it drops the last packets when they are due.
func (s *Session) tick() {
	cfg := s.server.config
	s.mu.Lock()
	defer s.mu.Unlock()
	now := thisMoment()
	if s.ended {
		if now >= s.due {
			s.dropLocked()
		}
		return
	}
	left := s.timeLeftLocked(now)
	if left <= 0 {
		s.endSilentLocked()
		return
	}
	if now >= s.due {
		s.due = now.add(cfg.PingInterval)
		if !s.pingLocked() {
			s.due = now.add(min(pingRetry, cfg.PingTimeout))
		}
	}
	s.server.alarms.set(s, max(min(left, s.due.sub(now)), time.Millisecond))
}

// pingLocked sends a ping without waiting, and reports whether it could. It never ends the session.
func (s *Session) pingLocked() bool {
	switch {
	case s.transport == websocket:
		return s.socket.TrySendPrepared(ping) == nil
	case s.transport == flushing:
		return false
	case !s.pinged:
		s.pinged = true
		s.sendPacketLocked(packet{kind: packetPing})
	}
	return true // one ping in the queue is enough
}

// timeLeftLocked returns how much longer the client may be silent. Silence does not count while a callback runs. On a
// WebSocket, it does not count while data is waiting to be sent either: the ping must reach the client first, and ws closes
// the socket of a client that does not read.
func (s *Session) timeLeftLocked(now moment) time.Duration {
	cfg := s.server.config
	silence := now.sub(s.heard)
	if s.socket != nil {
		silence = min(silence, s.socket.Silence())
	}
	if s.poller != nil && s.handling > 0 {
		silence = 0
	}
	left := cfg.PingInterval + cfg.PingTimeout - silence
	if left <= 0 && s.socket != nil && s.socket.Buffered() > 0 {
		return pingRetry
	}
	return left
}

// isInTime counts a request as a sign of life, and reports whether the session can serve it. If the request comes too late,
// but before the timer fires, isInTime ends the session.
func (s *Session) isInTime() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return s.hasLastLocked()
	}
	now := thisMoment()
	if s.timeLeftLocked(now) <= 0 {
		s.endSilentLocked()
		return false
	}
	s.heard = now
	return true
}

func (s *Session) endSilentLocked() {
	s.server.counters.silent.Add(1)
	if s.transport == polling {
		s.server.counters.silentPolling.Add(1)
	}
	s.endLocked(PingTimeout, nil)
}

// hear records a sign of life.
func (s *Session) hear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hearLocked()
}

func (s *Session) hearLocked() { s.heard = thisMoment() }
