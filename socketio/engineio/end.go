package engineio

import (
	"runtime/debug"
	"time"

	"echows/ws"
)

// lingerTime is how long a client that polls can fetch the last packets of a session that has ended.
const lingerTime = 5 * time.Second

// Close ends the session. A client that polls can still fetch messages sent before, for 5 s.
func (s *Session) Close() { s.end(ForcedClose, nil) }

func (s *Session) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// endReason returns why the session has ended, if it has.
func (s *Session) endReason() (reason string, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason, s.ended
}

func (s *Session) end(reason string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, why)
}

// endLocked ends the session for a reason. why, if not nil, is a client's mistake, for the log. Callbacks run in a separate
// goroutine, since the caller may hold locks that they need.
func (s *Session) endLocked(reason string, why error) {
	if s.ended {
		return
	}
	s.ended, s.reason = true, reason
	if s.transport == polling {
		s.server.counters.polling.Add(-1)
	}
	s.server.alarms.stop(s)
	s.wakeLocked()
	s.logEnd(reason, why)
	if s.calling {
		s.awaited = true
		s.server.running.Add(1)
	}
	flushes := s.transport == flushing && reason == ForcedClose // goOver sends what was sent before, and then closes the socket
	if s.socket != nil && !flushes {
		s.socket.Close(closeCode(reason), reason)
	}
	if s.poller != nil && s.posting != nil {
		s.posting.giveUpLocked()
	}
	switch {
	case s.transport == polling:
		s.lingerLocked(reason)
	case !flushes:
		s.dropLocked()
	}
	callbacks := s.onClose
	s.onClose = nil
	go s.runOnClose(callbacks)
}

// closeCode returns the code with which to close a WebSocket.
func closeCode(reason string) ws.CloseCode {
	switch reason {
	case ParseError, TransportError:
		return ws.ClosePolicyViolation
	case ShuttingDown:
		return ws.CloseServiceRestart
	}
	return ws.CloseNormal
}

// endSlowLocked ends the session of a client that does not read or poll.
func (s *Session) endSlowLocked(why error) {
	if !s.ended {
		s.server.counters.slowClosed.Add(1)
		if s.transport == polling {
			s.server.counters.slowPolling.Add(1)
		}
	}
	s.endLocked(TransportError, why)
}

// runOnClose calls all functions, even if one panics or exits its goroutine.
func (s *Session) runOnClose(callbacks []func(reason string)) {
	if len(callbacks) == 0 {
		s.server.running.Done()
		return
	}
	returned := false
	defer func() {
		if !returned { // it called runtime.Goexit
			s.runOnClose(callbacks[1:])
		}
	}()
	s.guard(func() { callbacks[0](s.reason) })
	returned = true
	s.runOnClose(callbacks[1:])
}

// guard calls a function of the application. A panic ends the session, not the process, just as a panic in a ws callback ends
// only its socket.
func (s *Session) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.server.config.Logger.Error("a callback panicked", "id", s.LogID(), "panic", p, "stack", string(debug.Stack()))
			s.end(ForcedClose, nil)
		}
	}()
	f()
}

// lingerLocked lets the client fetch the queue, and then a last packet that marks the end, with its waiting GET or, after Close
// or a close by the client, with its next ones.
func (s *Session) lingerLocked(reason string) {
	last := packet{kind: packetClose}
	if reason == TransportClose { // it ended the session itself
		last.kind = packetNoop
		s.endProbeLocked()
	}
	s.queue = append(s.queue, last)
	if s.pending != nil {
		s.answerLocked()
		s.dropLocked()
		return
	}
	if reason == ForcedClose || reason == TransportClose {
		s.due = thisMoment().add(lingerTime)
		s.server.alarms.set(s, lingerTime)
		return
	}
	s.dropLocked()
}

// takeLastLocked takes from the queue of a session that has ended: first its messages, then the packet that marks the end. A
// client that received both at once would handle the end first. After the latter, nothing remains of the session.
func (s *Session) takeLastLocked() ([]packet, holding) {
	packets, held := s.takeLocked()
	last := len(packets) - 1
	if last > 0 {
		s.queue, packets = []packet{packets[last]}, packets[:last] // not a part of packets, which would stay in memory
		s.due = thisMoment().add(lingerTime)
		s.server.alarms.set(s, lingerTime)
	} else {
		s.dropLocked()
	}
	return packets, held
}

// drop discards the packets that a client has not fetched, and the session.
func (s *Session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

func (s *Session) dropLocked() {
	s.server.alarms.stop(s)
	s.dropQueueLocked()
	s.endProbeLocked()
	s.server.remove(s)
}

// endProbeLocked ends the upgrade of a session that has ended, if there is one. Until then, the client may still complete it,
// and gets the last messages on the WebSocket.
func (s *Session) endProbeLocked() {
	if s.poller != nil && s.probe != nil {
		s.probe.Close(closeCode(s.reason), s.reason)
		s.probe = nil
	}
}
