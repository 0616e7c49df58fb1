package socketio

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// settleLocked passes the result of an entry to the caller that waits for it, if this node appended it.
func (j *journal) settleLocked(m message, err error) {
	if m.Node != j.namespace.server.cluster.node {
		return
	}
	if came := j.callers[m.Token]; came != nil {
		came <- err
	}
	j.forgetLocked(m.Token)
}

// forgetLocked forgets an entry whose result is known.
func (j *journal) forgetLocked(token uint64) {
	delete(j.pending, token)
	delete(j.callers, token)
	j.wakeLocked()
}

// giveUpOn forgets a caller that no longer waits.
func (j *journal) giveUpOn(came chan error) {
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	maps.DeleteFunc(j.callers, func(_ uint64, one chan error) bool { return one == came })
}

func (j *journal) wakeLocked() {
	j.waiters = slices.DeleteFunc(j.waiters, func(w waiter) bool {
		if !w.over() {
			return false
		}
		close(w.done)
		return true
	})
	j.releaseLocked()
	if n := j.namespace; n.parent != nil && len(n.everyone) == 0 && !j.isBusyLocked() && !j.isClosed() {
		n.server.running.Go(func() { n.server.drop(n) }) // which may have waited for this
	}
}

// waitForOwn waits until this node's events and changes so far were delivered, ctx ends, or saveTime is over. What comes next
// must not overtake them. Functions that the journal calls must not call it.
func (j *journal) waitForOwn(ctx context.Context) {
	if j == nil {
		return
	}
	last := j.namespace.server.tokens.Load()
	j.await(ctx, func() bool {
		for token := range j.pending {
			if token <= last {
				return false
			}
		}
		return len(j.held.events) == 0 || j.held.events[0].token > last
	})
}

// waitFor waits until this node has received the event with an offset, or for saveTime. It does not wait for one of another
// epoch.
func (j *journal) waitFor(offset string) {
	if j == nil {
		return
	}
	n := j.namespace
	n.mu.Lock()
	got, ok := n.recovery.parseOffset(offset)
	n.mu.Unlock()
	if ok {
		j.await(noContext, func() bool { return got <= max(n.recovery.last, j.sent) })
	}
}

// await waits until over, which is called with the namespace locked, returns true, ctx ends, or saveTime is over.
func (j *journal) await(ctx context.Context, over func() bool) {
	n := j.namespace
	n.mu.Lock()
	j.forgetOldLocked()
	if over() {
		n.mu.Unlock()
		return
	}
	w := waiter{over, make(chan struct{})}
	j.waiters = append(j.waiters, w)
	j.expireSoonLocked()
	n.mu.Unlock()
	timer := time.NewTimer(saveTime)
	defer timer.Stop()
	select {
	case <-w.done:
		return
	case <-timer.C:
	case <-ctx.Done():
	case <-j.end:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	j.waiters = slices.DeleteFunc(j.waiters, func(one waiter) bool { return one.done == w.done })
}

// append appends an event or a change to the journal, under a new token unless it has one. came, unless it is nil, must have
// room for one error: it receives nil when the event was sent or the change made, or the reason why not.
func (j *journal) append(m message, came chan error) error {
	n := j.namespace
	n.mu.Lock()
	if m.Node = n.server.cluster.node; m.Token == 0 {
		m.Token = n.server.tokens.Add(1)
	}
	if !j.isClosed() { // otherwise it is not delivered here
		j.pending[m.Token] = entry{at: time.Now(), epoch: n.recovery.epoch}
	}
	if came != nil {
		j.callers[m.Token] = came
	}
	n.mu.Unlock()
	data, err := m.encode()
	if err == nil {
		err = j.journal.Append(j.topic, data, func(err error) { j.appended(m, err) })
	}
	if err != nil {
		n.server.cluster.failed("an entry was not stored in the journal", err)
		n.mu.Lock()
		defer n.mu.Unlock()
		j.forgetLocked(m.Token)
	}
	return err
}

// appended is called with the result of appending an entry. A lost event may have been sent to nobody, so it counts as a
// hole: a client that was away then is not recovered.
func (j *journal) appended(m message, err error) {
	j.namespace.server.cluster.failed("an event or a change was lost", err)
	j.namespace.mu.Lock()
	defer j.namespace.mu.Unlock()
	e, is := j.pending[m.Token]
	switch {
	case err != nil:
		if !j.isClosed() {
			j.tellHoleLocked()
		}
		j.settleLocked(m, err)
	case is && e.epoch != "" && e.epoch != j.namespace.recovery.epoch: // probably stored in the stream that was lost
		j.settleLocked(m, errNotKept)
	case is:
		e.stored = true
		j.pending[m.Token] = e
	}
}

func (j *journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// emit appends an event or, if the journal refuses it, sends it at once, unless it has to wait for others (hold). came is as
// for append.
func (j *journal) emit(e emission, came chan error) (watching []*Socket, err error) {
	n := j.namespace
	if j.hold(e, came, false) {
		return nil, nil
	}
	err = j.append(e.message(n), came)
	if err == nil || errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if j.hold(e, came, true) {
		return nil, nil
	}
	watching, err = n.emitUnkept(e)
	if came != nil {
		n.notifyAll(watching, e.message(n))
		came <- err
		return nil, nil
	}
	return watching, err
}

// emitUnkept sends an event that the journal did not accept. It is not known which clients received it, so no socket can
// come back to a point before it.
func (n *Namespace) emitUnkept(e emission) (watching []*Socket, err error) {
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	e.forgotten, e.hole = true, true
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal.tellHoleLocked()
	return watching, n.emitLocked(e)
}

// emitThroughJournal emits an event through the journal and waits until it was sent, or for ownTime.
func (s *Socket) emitThroughJournal(e emission) error {
	n := s.namespace
	came := make(chan error, 1)
	_, err := n.journal.emit(e, came)
	if err != nil {
		return err
	}
	timer := time.NewTimer(ownTime)
	defer timer.Stop()
	select {
	case err := <-came:
		return err
	case <-s.Context().Done():
		err = ErrClosed
	case <-timer.C:
		err = errNotKept
	}
	n.journal.giveUpOn(came)
	return err
}

// changeThroughJournal makes a change on all nodes, after the events emitted before. It waits until this node has made it,
// or for saveTime. ok is false if the journal cannot be reached.
func (n *Namespace) changeThroughJournal(m message) (ok bool, err error) {
	if n.journal.hasHeld() {
		n.journal.waitForOwn(noContext)
	}
	came := make(chan error, 1)
	if n.journal.append(m, came) != nil {
		n.journal.waitForOwn(noContext)
		return false, nil
	}
	timer := time.NewTimer(saveTime)
	defer timer.Stop()
	select {
	case err = <-came:
	case <-timer.C:
		err = errNotKept
	case <-n.journal.end: // the change has ended the last socket, and so the namespace
	}
	n.journal.giveUpOn(came)
	return true, err
}
