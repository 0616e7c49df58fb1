package socketio

import "time"

// A hole is a point in the journal's order at which an event was sent but not stored in the journal, or was lost. A client
// that was away then, on any node, cannot come back to a point before the hole.

// holeWait is the time between two attempts to record a hole in the journal.
const holeWait = 250 * time.Millisecond

// tellHoleLocked starts a goroutine that records a hole in the journal as soon as the journal can be reached. Then no client
// comes back to a point before the event on any node, not even on a node that was unreachable at the time.
func (j *journal) tellHoleLocked() {
	j.holes++
	if !j.telling {
		j.telling = true
		j.namespace.server.running.Go(j.tellHoles)
	}
}

func (j *journal) tellHoles() {
	data, err := message{Kind: tellHole, Namespace: j.namespace.name}.encode()
	for err == nil {
		before := j.holesNow()
		told := make(chan error, 1)
		failed := j.journal.Append(j.topic, data, func(err error) { told <- err })
		if failed == nil {
			select {
			case failed = <-told:
			case <-j.end:
				return
			}
		}
		if failed == nil && j.toldHoles(before) {
			j.namespace.server.drop(j.namespace) // which may have waited for this
			return
		}
		select {
		case <-time.After(holeWait):
		case <-j.end:
			return
		}
	}
}

func (j *journal) holesNow() uint64 {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	return j.holes
}

// toldHoles records that the journal knows about that many holes, and reports whether it knows about all.
func (j *journal) toldHoles(holes uint64) bool {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	j.telling = j.holes > holes
	return !j.telling
}

// noteHole is called when a hole arrives from the journal.
func (j *journal) noteHole(seq uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	j.arrivedLocked(seq)
	j.hole = max(j.hole, seq)
	r.last, r.floor = max(r.last, seq), max(r.floor, seq)
}

// noteMissing is called before the event at a sequence is delivered, if events that belong before it are not.
func (j *journal) noteMissing(seq uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	j.hole = max(j.hole, seq)
	n.recovery.floor = max(n.recovery.floor, seq)
}
