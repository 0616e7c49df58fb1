package socketio

import "time"

// A hole is a place in the journal's order where an event was sent that the journal does not have. A client that was
// away then, on whatever node, cannot come back to a point before it.

// holeWait is the time between two attempts to tell the journal about a hole.
const holeWait = 250 * time.Millisecond

// tellHoleLocked has a goroutine tell the journal, as soon as it can be reached, that an event was sent without it.
// Then no client comes back to a point before the event on any node, not even on nodes that could not be reached at the
// time.
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

// toldHoles notes that the journal knows about that many holes, and reports whether these are all.
func (j *journal) toldHoles(holes uint64) bool {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	j.telling = j.holes > holes
	return !j.telling
}

// noteHole is called when the journal says that there are events which it does not have.
func (j *journal) noteHole(seq uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	j.fresh = false
	j.sent, j.hole = max(j.sent, seq), max(j.hole, seq)
	r.last, r.floor = max(r.last, seq), max(r.floor, seq)
}
