package engineio

import (
	"runtime/debug"
	"time"

	"echows/ws"
)

// lingerTime is how long the last packets of a session wait to be fetched by a client that polls.
const lingerTime = 5 * time.Second

// Close ends the session. What was sent before still arrives, if the client fetches it soon.
func (s *Session) Close() { s.end(ForcedClose, nil) }

func (s *Session) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// endReason is why the session has ended, if it has.
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

// endLocked ends the session for a reason, and why where that is the client's fault. Callbacks run in a
// goroutine of their own, since the caller may hold locks that they need.
func (s *Session) endLocked(reason string, why error) {
	if s.ended {
		return
	}
	s.ended, s.reason = true, reason
	if s.transport == polling {
		s.server.counters.polling.Add(-1)
	}
	s.timer.Stop()
	s.wakeLocked()
	s.logEnd(reason, why)
	if s.probe != nil {
		s.probe.Close(closeCode(reason), reason)
		s.probe = nil
	}
	if s.socket != nil {
		s.socket.Close(closeCode(reason), reason)
	}
	if s.transport == polling {
		s.lingerLocked(reason)
	} else {
		s.dropQueueLocked()
		s.server.remove(s)
	}
	callbacks := s.onClose
	s.onClose = nil
	go s.runOnClose(callbacks)
}

// closeCode is with what a WebSocket is closed.
func closeCode(reason string) ws.CloseCode {
	switch reason {
	case ParseError, TransportError:
		return ws.ClosePolicyViolation
	case ShuttingDown:
		return ws.CloseServiceRestart
	}
	return ws.CloseNormal
}

// endSlowLocked ends the session of a client that does not take what is sent to it.
func (s *Session) endSlowLocked(why error) {
	if !s.ended {
		s.server.counters.slowClosed.Add(1)
		if s.transport == polling {
			s.server.counters.slowPolling.Add(1)
		}
	}
	s.endLocked(TransportError, why)
}

// runOnClose calls all of the functions, whatever one of them does.
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

// guard calls a function of the application. A panic ends the session, as one of a ws callback does its
// socket, and not the process.
func (s *Session) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.server.config.Logger.Error("a callback panicked", "id", s.LogID(), "panic", p, "stack", string(debug.Stack()))
			s.end(ForcedClose, nil)
		}
	}()
	f()
}

// lingerLocked lets the client fetch what is left, with what tells it that this is the end: with its GET
// that waits, or with the next.
func (s *Session) lingerLocked(reason string) {
	last := packet{kind: packetClose}
	if reason == TransportClose { // it said so itself
		last.kind = packetNoop
	}
	s.queue = append(s.queue, last)
	if s.pending != nil {
		s.answerLocked()
		s.server.remove(s)
		return
	}
	if reason == ForcedClose || reason == TransportClose {
		s.timer = time.AfterFunc(lingerTime, s.drop)
		return
	}
	s.dropQueueLocked()
	s.server.remove(s)
}

// drop gives up what a client that polls has not fetched.
func (s *Session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.dropQueueLocked()
	s.server.remove(s)
}
