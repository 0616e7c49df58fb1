package conn

import (
	"sync"
	"time"
)

// flusher writes what was queued without waiting, in goroutines that last as long as there is something to
// write. Each turn of a connection is one write, so that a busy one does not keep the others waiting. While
// all goroutines are busy, frames gather and leave together; that is why there are at most half as many of
// them as processors.
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

const (
	// crowd is how many connections make a worker pause before it serves them. With this many, the next
	// broadcast comes before the last connection is served, and one write for both costs less than two.
	crowd = 128
	// crowdTurns is how many it serves before it pauses, so that a few do not wait.
	crowdTurns = 32
	// crowdPause is the pause for each waiting connection, and longestPause bounds the sum.
	crowdPause   = time.Microsecond
	longestPause = time.Millisecond
)

func (f *flusher) work() {
	turns := crowdTurns // until the next pause
	for {
		o, waiting := f.next()
		if o == nil {
			return
		}
		o.turn()
		if turns--; turns <= 0 && waiting >= crowd {
			time.Sleep(min(time.Duration(waiting)*crowdPause, longestPause))
			turns = waiting
		}
	}
}

// next takes the next one off the list, and returns how many are left. A worker that gets none ends.
func (f *flusher) next() (o *outbox, waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		f.waiting = nil
		f.workers--
		return nil, 0
	}
	o = f.waiting[0]
	f.waiting[0] = nil
	f.waiting = f.waiting[1:]
	return o, len(f.waiting)
}
