package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"echows/bench/internal/cluster"
	"echows/ws"
)

// reader is in a room, and goes on after the last message it has seen whenever it comes back: one that roams does so
// every few seconds, on another node each time.
type reader struct {
	person
	room  string
	nodes []*node
	place int
	roams bool

	mu         sync.Mutex // guards the rest
	seen       []message  // in the order in which they came
	last       uint64
	incomplete int // histories that were said to have a gap
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.visit(ctx); err != nil {
			sleep(ctx, joinAgain)
		}
		r.place = (r.place + 1) % len(r.nodes)
	}
}

// visit is one connection.
func (r *reader) visit(ctx context.Context) error {
	ended := make(chan string, 1)
	after := r.reached()
	s, err := r.join(ctx, r.nodes[r.place].url, r.room, &after, r.hear, func(why string) { ended <- why })
	if err != nil {
		return err
	}
	stay := time.Duration(1<<62 - 1)
	if r.roams {
		stay = 2*time.Second + rand.N(3*time.Second)
	}
	select {
	case <-time.After(stay):
	case <-ctx.Done():
	case told := <-ended:
		return errors.New(told)
	}
	s.Close(ws.CloseNormal, "")
	select { // so that nothing of this connection comes after the next has begun
	case <-ended:
	case <-time.After(joinTime):
	}
	return nil
}

func (r *reader) hear(f frame) {
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
		r.take(f.message)
	}
}

func (r *reader) take(m message) {
	r.seen = append(r.seen, m)
	r.last = m.Seq
}

func (r *reader) reached() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// unwrapDown is errDown itself, where that is what an error is.
func unwrapDown(err error) error {
	if errors.Is(err, errDown) {
		return errDown
	}
	return err
}

const (
	writers  = 9
	readers  = 12
	roaming  = 8                // of them
	patience = cluster.Patience // with posts under way, when all is in order again
)

var rooms = []string{"red", "green", "blue", "grey"}

// load is everybody who writes and reads, and who asks whether nodes are ready.
type load struct {
	stage   *stage
	writers []*writer
	readers []*reader
	samples [][]sample // by node

	enough, over context.CancelFunc
	ctx          context.Context
	writing      sync.WaitGroup
	reading      sync.WaitGroup
}

func startLoad(s *stage) *load {
	l := &load{stage: s, samples: make([][]sample, len(s.nodes))}
	l.ctx, l.over = context.WithCancel(context.Background())
	enough, cancel := context.WithCancel(l.ctx)
	l.enough = cancel
	for i := range writers {
		w := &writer{person: person{name: fmt.Sprint("writer", i), address: fmt.Sprint("10.0.1.", i+1)}, room: rooms[i%len(rooms)], nodes: s.nodes, place: i % len(s.nodes)}
		l.writers = append(l.writers, w)
		l.writing.Go(func() { w.run(l.ctx, enough) })
	}
	for i := range readers {
		r := &reader{person: person{name: fmt.Sprint("reader", i), address: fmt.Sprint("10.0.2.", i+1)}, room: rooms[i%len(rooms)], nodes: s.nodes, place: i % len(s.nodes), roams: i < roaming}
		l.readers = append(l.readers, r)
		l.reading.Go(func() { r.run(l.ctx) })
	}
	for i, n := range s.nodes {
		l.reading.Go(func() {
			for l.ctx.Err() == nil {
				l.samples[i] = append(l.samples[i], askReady(n))
				sleep(l.ctx, 200*time.Millisecond)
			}
		})
	}
	return l
}

// finish lets posts under way end, and readers have what there is.
func (l *load) finish() {
	l.enough()
	late := time.AfterFunc(patience, l.over) // for posts that are never answered
	defer late.Stop()
	l.writing.Wait()
	highest := map[string]uint64{}
	for _, w := range l.writers {
		for _, p := range w.posts {
			highest[p.room] = max(highest[p.room], p.seq)
		}
	}
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end) && l.ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		waits := false
		for _, r := range l.readers {
			waits = waits || r.reached() < highest[r.room]
		}
		if !waits {
			break
		}
	}
	l.over()
	l.reading.Wait()
}
