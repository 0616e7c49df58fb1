package chat

import (
	"container/list"
	"sync"
)

// shelf bounds the bytes of messages that all rooms together keep in memory. It drops the least recently used block
// first.
//
// Locks are taken in this order: a room's, the shelf's. So callers forget dropped blocks later, when they hold no lock.
// While no block changes, bytes is the sum of the sizes of the blocks on the shelf.
type shelf struct {
	mu    sync.Mutex
	limit int
	bytes int
	order list.List // of *block, the most recently used in front
}

// shelved is what the shelf knows about a block.
type shelved struct {
	element *list.Element // nil while the block is not on the shelf
	bytes   int           // as counted
}

// perMessage is about how many bytes a message takes besides its JSON.
const perMessage = 64

// put counts a block, which may have grown, and drops others to make room. The caller holds no room's lock.
func (s *shelf) put(b *block) {
	b.room.mu.Lock()
	gone := s.count(b, b.sizeLocked(), true)
	b.room.mu.Unlock()
	forget(gone)
}

// grew counts a block again, unless it was removed in the meantime. The caller holds no room's lock.
func (s *shelf) grew(b *block) {
	b.room.mu.Lock()
	gone := s.count(b, b.sizeLocked(), false)
	b.room.mu.Unlock()
	forget(gone)
}

// count counts a block. Its room is locked, so that its size does not change. A block that is not on the shelf is added
// only if add is true. count returns the blocks it dropped: the caller forgets them when it holds no lock.
func (s *shelf) count(b *block, bytes int, add bool) (gone []*block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.place.element == nil && !add {
		return nil
	}
	s.setLocked(b, bytes)
	for s.bytes > s.limit && s.order.Len() > 1 {
		last := s.order.Back().Value.(*block)
		s.setLocked(last, 0)
		gone = append(gone, last)
	}
	return gone
}

func forget(gone []*block) {
	for _, b := range gone {
		b.room.forgetBlock(b)
	}
}

// shrunk counts a smaller block again, if it is on the shelf. Its room is locked.
func (s *shelf) shrunk(b *block, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case b.place.element == nil:
	case bytes == 0:
		s.setLocked(b, 0)
	default: // it stays where it is in the order
		s.bytes += bytes - b.place.bytes
		b.place.bytes = bytes
	}
}

// used notes that a block was used.
func (s *shelf) used(b *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.place.element != nil {
		s.order.MoveToFront(b.place.element)
	}
}

// remove removes a block.
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

// size returns how many bytes are kept.
func (s *shelf) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
