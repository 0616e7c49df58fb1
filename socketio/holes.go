package socketio

import "time"

// A hole is a place in the journal's order where an event went out without it. Who was away then, on whatever node,
// does not come back to before it.

// holeWait is between two attempts to tell the journal of a hole.
const holeWait = 250 * time.Millisecond

// tellHoleLocked has the journal told, as soon as it can be reached, that an event went out without it: so that nobody
// comes back to before it on any node, also not on those that could not be reached then.
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

// toldHoles notes that the journal knows of so many, and reports whether these are all.
func (j *journal) toldHoles(holes uint64) bool {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	j.telling = j.holes > holes
	return !j.telling
}

// noteHole is called when the journal tells of events that it does not have.
func (j *journal) noteHole(seq uint64) {
	n := j.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.recovery
	j.fresh = false
	j.sent, j.hole = max(j.sent, seq), max(j.hole, seq)
	r.last, r.floor = max(r.last, seq), max(r.floor, seq)
}
