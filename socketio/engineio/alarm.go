package engineio

import (
	"container/heap"
	"sync"
	"time"
)

// alarms call sessions when their time has come. One timer does for all: with one for each, the runtime would need some 150
// bytes more for each session.
type alarms struct {
	mu    sync.Mutex
	next  alarmHeap
	timer *time.Timer // nil until it is needed
	armed bool        // the timer runs, or ring does
	at    moment      // when the timer rings, or rang last
}

type alarm struct {
	at      moment
	session *Session
}

// alarmHeap is a heap.Interface with the earliest alarm first. Each session knows its place.
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
	(*h)[last] = alarm{} // lets go of the session
	*h = (*h)[:last]
	one.session.alarm = 0
	return one
}

// set has the session's tick called after d, and not at the time that was set before. The session's mu may be held.
func (a *alarms) set(s *Session, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(s)
	heap.Push(&a.next, alarm{thisMoment().add(d), s})
	a.armLocked()
}

// stop takes back what set asked for. A call of tick may be under way.
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

// armLocked sets the timer to the earliest alarm, unless it rings before.
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

// ring calls the sessions whose time has come.
func (a *alarms) ring() {
	for s := a.take(); s != nil; s = a.take() {
		s.tick()
	}
}

// take returns a session whose time has come, or arms the timer and returns nil.
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
