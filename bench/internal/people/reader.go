package people

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
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

	mu     sync.Mutex // guards the rest
	seen   []Message  // in the order in which they came
	last   uint64
	gaps   []gap // one for each history that was said to have a gap
	visits int   // connections
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
			r.gaps = append(r.gaps, gap{after: r.last})
		}
		for _, m := range f.Messages {
			r.take(m)
		}
	case "message":
		r.take(f.Message)
	}
}

func (r *Reader) take(m Message) {
	for i := len(r.gaps) - 1; i >= 0 && r.gaps[i].before == 0; i-- {
		r.gaps[i].before = m.Seq
	}
	r.seen = append(r.seen, m)
	r.last = m.Seq
}

// gap is where the reader was told that messages are missing: between two sequences. The second is 0 until a message comes.
type gap struct{ after, before uint64 }

// Promised returns the messages of all that the reader was not told are missing. The reader must have ended.
func (r *Reader) Promised(all Stored) Stored {
	return slices.DeleteFunc(slices.Clone(all), func(m Message) bool {
		return slices.ContainsFunc(r.gaps, func(g gap) bool { return m.Seq > g.after && m.Seq < g.before })
	})
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
