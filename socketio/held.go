package socketio

import (
	"bytes"
	"errors"
	"time"
)

// held are events that the journal refused while earlier ones of this node were on their way to it. The journal may still store
// those. To keep the order, the held events wait until the results of all earlier ones are known, and are then offered to the
// journal again. Events that are emitted in the meantime wait behind them. The namespace guards it.
type held struct {
	events    []heldEvent
	bytes     int
	releasing bool // release is running
}

type heldEvent struct {
	emission
	token uint64     // it takes its place among this node's entries when it is held
	came  chan error // as for journal.append
	size  int
}

const (
	mostHeld    = 4 << 20          // bytes of a namespace; beyond these, or mostHeldAll, events do not wait, and may overtake others
	mostHeldAll = 64 << 20         // of all namespaces
	holdTime    = 20 * time.Second // by then, the result of an entry is known
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
	if len(h.events) == 0 && (!refused || len(j.pending) == 0) {
		return false
	}
	size := e.message(n).size() + e.audience.size() + rememberedSize
	if all := n.server.held.Add(int64(size)); h.bytes+size > mostHeld || all > mostHeldAll {
		n.server.held.Add(-int64(size))
		return false
	}
	e.attachments = cloneAll(e.attachments) // the caller may reuse them, as after any Emit
	h.events = append(h.events, heldEvent{e, n.server.tokens.Add(1), came, size})
	h.bytes += size
	j.expireSoonLocked()
	return true
}

func cloneAll(all [][]byte) [][]byte {
	copied := make([][]byte, len(all))
	for i, one := range all {
		copied[i] = bytes.Clone(one)
	}
	return copied
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
		m := one.message(n)
		m.Token = one.token
		err := j.append(m, one.came)
		if err == nil || one.came != nil && errors.Is(err, ErrTooLarge) {
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

// expireSoonLocked sets a timer that forgets entries without a result after holdTime, so that nothing waits for them longer.
func (j *journal) expireSoonLocked() {
	if j.expiry == nil && !j.isClosed() {
		j.expiry = time.AfterFunc(j.namespace.server.holdTime/4, j.expire)
	}
}

func (j *journal) expire() {
	n := j.namespace
	n.mu.Lock()
	j.expiry = nil
	j.forgetOldLocked()
	if j.isBusyLocked() {
		j.expireSoonLocked()
	}
	j.wakeLocked()
	n.mu.Unlock()
}

// forgetOldLocked forgets entries that are older than holdTime, and who waits for them.
func (j *journal) forgetOldLocked() {
	past := time.Now().Add(-j.namespace.server.holdTime)
	for token, e := range j.pending {
		if e.at.Before(past) {
			delete(j.pending, token)
			delete(j.callers, token)
		}
	}
}

// isBusyLocked reports whether the result of any event or change of this node is not known yet.
func (j *journal) isBusyLocked() bool { return len(j.pending)+len(j.held.events) > 0 }
