package socketio

import (
	"context"
	"sync"
)

// tasks counts goroutines, so that wait can wait for them. Unlike with a sync.WaitGroup, more may start during the wait.
type tasks struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when no goroutine runs; nil while nobody waits
}

func (t *tasks) Go(f func()) {
	t.mu.Lock()
	t.running++
	t.mu.Unlock()
	go func() {
		defer t.done()
		f()
	}()
}

func (t *tasks) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// wait waits until no goroutine runs, or returns ctx.Err() when ctx ends.
func (t *tasks) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.running == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
