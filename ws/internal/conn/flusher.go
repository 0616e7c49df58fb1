package conn

import "sync"

// flusher writes what was queued by those who do not wait, in goroutines that last as long as there is
// something to write. Each turn of a connection is one write, so that a busy one does not keep the others
// waiting. While all are busy, frames gather, and leave together; that is why there are no more of them than
// half of the processors.
type flusher struct {
	spawn func(func())
	most  int

	mu      sync.Mutex
	waiting []*outbox // each once; see outbox.scheduled
	workers int
}

func (f *flusher) add(o *outbox) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, o)
	if f.workers < f.most {
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
		o := f.waiting[0]
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
		f.mu.Unlock()
		o.turn()
	}
}
