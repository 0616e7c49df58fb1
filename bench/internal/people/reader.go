package people

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"echows/ws"
)

// Reader is in a room, and whenever it comes back, it resumes after the last message it has seen. A roaming reader does so
// every few seconds, on another node each time.
type Reader struct {
	Person
	Room  string
	Nodes []string // their URLs
	Place int      // of the next one
	Roams bool

	mu         sync.Mutex // guards the rest
	seen       []Message  // in the order in which they came
	last       uint64
	incomplete int // histories that were said to have a gap
	visits     int // connections
}

// Run reads until ctx ends.
func (r *Reader) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.visit(ctx); err != nil {
			Sleep(ctx, joinAgain)
		}
		r.Place = (r.Place + 1) % len(r.Nodes)
	}
}

// visit is one connection.
func (r *Reader) visit(ctx context.Context) error {
	ended := make(chan string, 1)
	after := r.Reached()
	s, err := r.join(ctx, r.Nodes[r.Place], r.Room, &after, r.hear, func(why string) { ended <- why })
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.visits++
	r.mu.Unlock()
	stay := time.Duration(1<<62 - 1)
	if r.Roams {
		stay = 2*time.Second + rand.N(3*time.Second)
	}
	select {
	case <-time.After(stay):
	case <-ctx.Done():
	case told := <-ended:
		return errors.New(told)
	}
	s.Close(ws.CloseNormal, "")
	select { // so that nothing comes from this connection after the next has begun
	case <-ended:
	case <-time.After(joinTime):
	}
	return nil
}

func (r *Reader) hear(f frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Type {
	case "history":
		if !f.Complete {
			r.incomplete++
		}
		for _, m := range f.Messages {
			r.take(m)
		}
	case "message":
		r.take(f.Message)
	}
}

func (r *Reader) take(m Message) {
	r.seen = append(r.seen, m)
	r.last = m.Seq
}

// Reached returns the sequence of the last message that came. Any goroutine may call it.
func (r *Reader) Reached() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Counts returns how many connections the reader had, and how many messages came on them. Any goroutine may call it.
func (r *Reader) Counts() (visits, messages int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.visits, len(r.seen)
}
