package socketio

import (
	"errors"
	"time"
)

// held are events that the journal has refused while earlier ones of this node were on their way to it. Those are sent again
// for a while, or their result is not known yet. To keep the order, the held events wait until it is known of all, and are then
// offered to the journal again. Others emitted in the meantime wait behind them. The namespace guards it.
type held struct {
	events    []heldEvent
	bytes     int
	since     time.Time // when the first of them was held
	releasing bool      // release is running
}

type heldEvent struct {
	emission
	came chan error // as for journal.append
	size int
}

const (
	mostHeld    = 4 << 20          // bytes of a namespace; beyond these, or mostHeldAll, events do not wait, and may overtake others
	mostHeldAll = 64 << 20         // of all namespaces
	holdTime    = 20 * time.Second // by then, the result of all entries is known
)

// hasHeld reports whether events are held.
func (j *journal) hasHeld() bool {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	return len(j.held.events) > 0
}

// hold holds an event if others are held or, if the journal has refused it, if earlier ones are on their way. It reports
// whether the event needs nothing else.
func (j *journal) hold(e emission, came chan error, refused bool) (done bool) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &j.held
	switch {
	case len(h.events) == 0 && (!refused || len(j.pending) == 0):
		return false
	case len(h.events) == 0:
		h.since = time.Now()
	case time.Since(h.since) > holdTime:
		clear(j.pending)
		j.releaseLocked()
	}
	size := e.message(n).size() + rememberedSize
	if all := n.server.held.Add(int64(size)); h.bytes+size > mostHeld || all > mostHeldAll {
		n.server.held.Add(-int64(size))
		return false
	}
	h.events = append(h.events, heldEvent{e, came, size})
	h.bytes += size
	return true
}

// releaseLocked starts release if events are held and no earlier ones are on their way.
func (j *journal) releaseLocked() {
	if len(j.pending) == 0 && len(j.held.events) > 0 && !j.held.releasing {
		j.held.releasing = true
		j.namespace.server.running.Go(j.release)
	}
}

// release offers the held events to the journal, and sends without it what it refuses again.
func (j *journal) release() {
	n := j.namespace
	for one, ok := j.nextHeld(); ok; one, ok = j.nextHeld() {
		err := j.append(one.message(n), one.came)
		if err == nil || errors.Is(err, ErrTooLarge) {
			j.passOn(one, err)
			continue
		}
		if j.mustWait() { // for those just appended
			return
		}
		watching, err := n.emitUnkept(one.emission)
		n.server.cluster.failed("an event was lost", err)
		n.notifyAll(watching, one.message(n))
		if one.came != nil {
			one.came <- err
		}
		j.passOn(one, nil)
	}
}

// nextHeld returns the first held event, which stays held. If there is none, release is over.
func (j *journal) nextHeld() (one heldEvent, ok bool) {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	if len(j.held.events) == 0 {
		j.held.releasing = false
		return one, false
	}
	return j.held.events[0], true
}

// mustWait reports whether events are on their way. Then release is over until it is known of all.
func (j *journal) mustWait() bool {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	j.held.releasing = len(j.pending) == 0
	return !j.held.releasing
}

// passOn forgets the first held event, which was handed on unless err is not nil.
func (j *journal) passOn(one heldEvent, err error) {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	if err != nil && one.came != nil {
		one.came <- err
	}
	j.held.events = j.held.events[1:]
	j.held.bytes -= one.size
	j.namespace.server.held.Add(-int64(one.size))
	j.wakeLocked()
}
