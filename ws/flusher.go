package ws

import (
	"runtime"
	"sync"
)

// flusher writes what was queued by those who do not wait, in goroutines that last as long as there is
// something to write. While they are busy, messages gather, and leave together; that is why they take
// half of the processors only.
type flusher struct {
	spawn func(func())

	mu      sync.Mutex
	waiting []*Socket // each once: only an empty outbox that is filled asks for a flush
	workers int
}

func (f *flusher) add(s *Socket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, s)
	if f.workers < (runtime.GOMAXPROCS(0)+1)/2 {
		f.workers++
		f.spawn(f.work)
	}
}

func (f *flusher) work() {
	for {
		f.mu.Lock()
		if len(f.waiting) == 0 {
			f.waiting = nil
			f.workers--
			f.mu.Unlock()
			return
		}
		s := f.waiting[0]
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
		f.mu.Unlock()
		s.out.tryFlush()
	}
}
