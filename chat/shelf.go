package chat

import (
	"container/list"
	"sync"
)

// shelf bounds the bytes of messages that all rooms together keep in memory. The block that was not used for longest
// goes first.
//
// Locks are taken in this order: a room's, the shelf's. So what has to go is forgotten later, by who holds none. While no
// block changes, bytes is the sum of the sizes of those that are there.
type shelf struct {
	mu    sync.Mutex
	limit int
	bytes int
	order list.List // of *block, the one used last in front
}

// shelved is what the shelf knows about a block.
type shelved struct {
	element *list.Element // nil while it is not there
	bytes   int           // that are counted
}

// perMessage is about how many bytes a message takes beside its JSON.
const perMessage = 64

// put counts a block, which may have grown, and makes room for it. The caller holds no room's lock.
func (s *shelf) put(b *block) {
	b.room.mu.Lock()
	gone := s.count(b, b.sizeLocked(), true)
	b.room.mu.Unlock()
	forget(gone)
}

// grew counts a block anew, unless it was taken out meanwhile. The caller holds no room's lock.
func (s *shelf) grew(b *block) {
	b.room.mu.Lock()
	gone := s.count(b, b.sizeLocked(), false)
	b.room.mu.Unlock()
	forget(gone)
}

// count counts a block, whose room is locked, so that its size stays as it is. It returns the blocks that have to go:
// the caller forgets them when it holds no lock. One that is not there is counted where add says so.
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

// shrunk counts a block anew that has become smaller, if it is there. Its room is locked.
func (s *shelf) shrunk(b *block, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case b.place.element == nil:
	case bytes == 0:
		s.setLocked(b, 0)
	default: // and it stays where it is
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

// size returns how many bytes are kept.
func (s *shelf) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
