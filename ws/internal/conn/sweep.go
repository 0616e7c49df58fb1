package conn

import (
	"fmt"
	"slices"
	"time"

	"echows/ws/internal/wire"
)

// wheelSize is the number of buckets of the wheel. A connection is in the bucket of its next ping's tick, so a
// tick visits only a small part of them.
const wheelSize = 256

// sweep is one goroutine for all connections, while there are any. On each tick it pings those whose turn it
// is, and checks those that are watched: connections that are awake, and those that owe a sign of life.
func (e *Engine) sweep(stop <-chan struct{}) {
	ticker := time.NewTicker(e.tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			e.Step()
		}
	}
}

// Step is one tick. The sweep calls it, and tests may.
func (e *Engine) Step() {
	e.stepping.Lock() // a sweep that was stopped may be in its last step when the next one begins
	defer e.stepping.Unlock()
	now := e.clock.Add(1)
	due, watched := e.turn(now)
	for _, c := range due {
		c.out.control(wire.Ping, nil)
	}
	for _, c := range watched {
		c.leaves = !c.watch(now)
	}
	e.unwatch()
}

// turn returns the connections to be pinged now, and all that are watched, including those.
func (e *Engine) turn(now int64) (due, watched []*Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.wheel[now%wheelSize] {
		if c.nextPing == now {
			due = append(due, c)
		}
	}
	for _, c := range due {
		e.unscheduleLocked(c)
		e.scheduleLocked(c, now+e.ticks(c.config.PingInterval))
	}
	due = slices.DeleteFunc(due, func(c *Conn) bool { return c.config.NoPing })
	for _, c := range due {
		e.watchLocked(c) // until it answers
	}
	return due, slices.Clone(e.watched)
}

// watch checks a connection at tick now, and reports whether to check it again at the next.
func (c *Conn) watch(now int64) bool {
	e := c.engine
	every, seen := e.ticks(c.config.PingInterval), c.seen.Load()
	waiting := now - seen // negative while awake
	if begun := c.begun.Load(); begun > 0 && now-begun > e.ticks(c.config.MessageTimeout) {
		c.close(errMessageSlow, false)
	}
	switch phase := c.phase.Load(); {
	case phase == phaseDone:
		return false
	case seen == awake:
		c.lookForPeer(now)
	case waiting > 2*every && !c.config.NoPing:
		if c.out.isOpen() { // on the tick that drops it
			e.silent.Add(1)
		}
		c.Drop(&wire.CloseError{Code: wire.Abnormal, Reason: fmt.Sprintf("no sign of life for %v", 2*c.config.PingInterval)})
		return false
	case phase == phaseParked:
		// An unanswered ping is older than an interval; otherwise its answer would have been seen.
		return waiting > every || c.begun.Load() > 0
	case waiting >= parkAfter && c.out.under != nil && c.phase.CompareAndSwap(phaseAwake, phaseAsked):
		c.out.SetReadDeadline(longAgo) // ends the wait, and the reader parks
	}
	return true
}

var errMessageSlow = &wire.CloseError{Code: wire.PolicyViolation, Reason: "the message took too long to arrive"}

// Silence returns how long nothing has come from the peer, to the Engine's tick, rounded down. It is 0 while a
// callback runs, since nothing is read then.
func (c *Conn) Silence() time.Duration {
	ticks := c.engine.clock.Load() - c.seen.Load() - 1 // the first tick may have been almost over
	return time.Duration(max(ticks, 0)) * c.engine.tick
}

// lookForPeer checks once a second whether the peer of a connection in a callback has gone.
func (c *Conn) lookForPeer(now int64) {
	if second := c.engine.ticks(time.Second); (now+int64(c.slot))%second == 0 && c.out.isGone() {
		c.setGone()
	}
}

// firstPing returns the tick of a new connection's first ping: in the second half of an interval from now, so
// that the pings of connections that came together are spread.
func (e *Engine) firstPing(c *Conn) int64 {
	every := e.ticks(c.config.PingInterval)
	return e.clock.Load() + every/2 + 1 + int64(c.slot)%(every-every/2)
}

func (e *Engine) scheduleLocked(c *Conn, tick int64) {
	bucket := &e.wheel[tick%wheelSize]
	c.nextPing, c.place = tick, int32(len(*bucket))
	*bucket = append(*bucket, c)
}

func (e *Engine) unscheduleLocked(c *Conn) {
	bucket := e.wheel[c.nextPing%wheelSize]
	last := bucket[len(bucket)-1]
	bucket[c.place], last.place = last, c.place
	bucket[len(bucket)-1] = nil
	e.wheel[c.nextPing%wheelSize] = bucket[:len(bucket)-1]
}

// watchLocked makes the sweep check c on each tick.
func (e *Engine) watchLocked(c *Conn) {
	if !c.isWatched {
		c.isWatched = true
		e.watched = append(e.watched, c)
	}
}

// unwatch undoes watchLocked for connections that leave, unless they woke up in the meantime.
func (e *Engine) unwatch() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watched = slices.DeleteFunc(e.watched, func(c *Conn) bool {
		phase := c.phase.Load()
		if !c.leaves || phase != phaseParked && phase != phaseDone {
			return false
		}
		c.isWatched, c.leaves = false, false
		return true
	})
	if len(e.watched) == 0 {
		e.watched = nil
	}
}

// Conns returns the connections that are open now.
func (e *Engine) Conns() []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*Conn, 0, e.count)
	for _, c := range e.slots {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// Len returns how many connections are open.
func (e *Engine) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}
