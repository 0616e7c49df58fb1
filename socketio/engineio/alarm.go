package engineio

import (
	"container/heap"
	"sync"
	"time"
)

// alarms calls each session's tick at a given time. One timer serves all sessions: a timer each would take about 150 more bytes
// per session.
type alarms struct {
	mu    sync.Mutex
	next  alarmHeap
	timer *time.Timer // nil until it is needed
	armed bool        // the timer or ring is running
	at    moment      // when the timer fires, or last fired
}

type alarm struct {
	at      moment
	session *Session
}

// alarmHeap is a heap.Interface with the earliest alarm first. It keeps each session's alarm field up to date.
type alarmHeap []alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].session.alarm, h[j].session.alarm = int32(i+1), int32(j+1)
}

func (h *alarmHeap) Push(a any) {
	one := a.(alarm)
	*h = append(*h, one)
	one.session.alarm = int32(len(*h))
}

func (h *alarmHeap) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = alarm{} // so that the session can be freed
	*h = (*h)[:last]
	one.session.alarm = 0
	return one
}

// set schedules a call of the session's tick after d, in place of any earlier schedule. The caller may hold the session's mu.
func (a *alarms) set(s *Session, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(s)
	heap.Push(&a.next, alarm{thisMoment().add(d), s})
	a.armLocked()
}

// stop cancels the session's alarm. A call of tick may already be in progress.
func (a *alarms) stop(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(s)
	if len(a.next) == 0 && a.timer != nil {
		a.timer.Stop()
		a.next, a.armed = nil, false
	}
}

func (a *alarms) removeLocked(s *Session) {
	if s.alarm > 0 {
		heap.Remove(&a.next, int(s.alarm)-1)
	}
}

// armLocked sets the timer to the earliest alarm, unless it fires earlier.
func (a *alarms) armLocked() {
	if len(a.next) == 0 || a.armed && a.at <= a.next[0].at {
		return
	}
	a.armed, a.at = true, a.next[0].at
	left := a.at.sub(thisMoment())
	if a.timer == nil {
		a.timer = time.AfterFunc(left, a.ring)
	} else {
		a.timer.Reset(left)
	}
}

// ring calls tick for each session whose alarm is due.
func (a *alarms) ring() {
	for s := a.take(); s != nil; s = a.take() {
		s.tick()
	}
}

// take removes and returns a session whose alarm is due. If there is none, it arms the timer and returns nil.
func (a *alarms) take() *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.next) > 0 && a.next[0].at <= thisMoment() {
		return heap.Pop(&a.next).(alarm).session
	}
	a.armed = false
	a.armLocked()
	return nil
}
