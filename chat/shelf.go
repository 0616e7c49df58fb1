package chat

import (
	"container/list"
	"sync"
)

// shelf bounds what all rooms together keep in memory of their messages, in bytes. What was not asked for longest
// goes first.
//
// Locks are taken in this order: a room's, the shelf's. So what has to go is forgotten by put, whose caller holds none.
type shelf struct {
	mu    sync.Mutex
	limit int
	bytes int
	order list.List // of *block, the one used last in front
}

// shelved is what the shelf knows of a block.
type shelved struct {
	element *list.Element // nil while it is not there
	bytes   int           // that are counted
}

// perMessage is about what a message takes beside its text, in bytes.
const perMessage = 64

// put counts a block, which may have grown, and makes room for it. The caller holds no room's lock.
func (s *shelf) put(b *block) {
	bytes := b.size()
	var gone []*block
	s.mu.Lock()
	s.setLocked(b, bytes)
	for s.bytes > s.limit && s.order.Len() > 1 {
		last := s.order.Back().Value.(*block)
		s.setLocked(last, 0)
		gone = append(gone, last)
	}
	s.mu.Unlock()
	for _, b := range gone {
		b.room.forgetBlock(b)
	}
}

// grew counts a block anew, unless it was taken out meanwhile.
func (s *shelf) grew(b *block) {
	s.mu.Lock()
	there := b.place.element != nil
	s.mu.Unlock()
	if there {
		s.put(b)
	}
}

// used says that a block was asked for.
func (s *shelf) used(b *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.place.element != nil {
		s.order.MoveToFront(b.place.element)
	}
}

// remove takes a block out.
func (s *shelf) remove(b *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(b, 0)
}

func (s *shelf) setLocked(b *block, bytes int) {
	s.bytes += bytes - b.place.bytes
	b.place.bytes = bytes
	switch e := b.place.element; {
	case bytes == 0 && e != nil:
		s.order.Remove(e)
		b.place.element = nil
	case bytes > 0 && e != nil:
		s.order.MoveToFront(e)
	case bytes > 0:
		b.place.element = s.order.PushFront(b)
	}
}

// size is how many bytes are kept.
func (s *shelf) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
