package engineio

import (
	"testing"

	"echows/internal/share"
)

// Between its handling and its answer, a POST is not answered early: nobody would count its bytes off again.
func TestAHandledPOSTIsNotAnsweredEarly(t *testing.T) {
	one := &posting{size: 10, early: make(chan struct{}), held: holding{budget: new(share.Budget)}}
	s := &Session{poller: new(poller)}
	s.posting = one
	s.handling = 1
	s.postHandled(one, make(chan struct{}))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answerPostLocked(); s.parked != 0 || one.isEarly() {
		t.Errorf("%d bytes are counted", s.parked)
	}
}
