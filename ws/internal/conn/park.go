package conn

import "time"

// # Parking
//
// A goroutine that waits costs 2 KiB of stack or more, which for an idle connection is most of what it
// costs. So one that has waited for a while parks: its goroutine ends, and the connection is left in a set
// that the system watches (epoll, in lot_linux.go). When there are bytes to read, a new goroutine goes on
// where the last one ended. That works because a reader that waits keeps nothing on its stack: what has
// arrived of a frame or a message is in Conn.in.
//
//	awake ── the reader has waited for parkAfter ticks ──► asked ── it ends ──► parked
//	  ▲                                                                           │
//	  └── bytes, or the connection is broken: wake starts a goroutine ────────────┘
//
// Where there is no such set, a goroutine of the smallest stack waits instead: it reads nothing and calls
// little, so it costs 2 KiB where a reader's, which has grown, costs 4 to 8.
//
// A connection of TLS parks when a read that may not wait finds nothing: bytes that the system does not show may
// be inside it. Connections that wrap others do not park.

// parkAfter is how many ticks a connection waits before it parks, if it is one that is busy at times.
const parkAfter = 2

// park leaves the connection to the lot. The goroutine that calls it ends after it.
func (c *Conn) park() {
	c.out.SetReadDeadline(time.Time{}) // the sweep's
	c.engine.Hold()                    // for this goroutine: another may end the connection meanwhile
	defer c.engine.Release()
	c.phase.Store(phaseParked)
	// From here on another goroutine may own the reader.
	if l := c.engine.parkingLot(); l == nil || l.add(c) != nil {
		c.engine.running.Go(c.rest)
	}
}

// rest waits without the lot.
func (c *Conn) rest() {
	c.out.under.Read(isReadable) // an error is the reader's to find
	c.wake()
}

// wake starts a goroutine for a connection that is parked.
func (c *Conn) wake() {
	if !c.phase.CompareAndSwap(phaseParked, phaseAwake) {
		return
	}
	e := c.engine
	soon := e.clock.Load()-c.seen.Load() < parkAfter
	c.in.brief = !soon || !c.in.soon
	c.in.soon, c.in.woken = soon, true
	e.mu.Lock()
	e.watchLocked(c)
	e.mu.Unlock()
	go c.live(nil) // counted by Open
}

// parkingLot returns the lot, which it makes for the first connection, or nil if there cannot be one.
func (e *Engine) parkingLot() *lot {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lot == nil && e.count > 0 && !e.noLot {
		if e.lot = newLot(e); e.lot == nil {
			e.noLot = true
		}
	}
	return e.lot
}

// at returns the connection of a slot, if it is still the one of that generation.
func (e *Engine) at(slot, generation int32) *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	if int(slot) >= len(e.slots) {
		return nil
	}
	if c := e.slots[slot]; c != nil && c.generation == generation {
		return c
	}
	return nil
}
