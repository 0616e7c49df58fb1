package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"echows/bench/internal/cluster"
	"echows/bench/internal/people"
)

const (
	writers  = 9
	readers  = 12
	roaming  = 8                     // of them
	pace     = 60 * time.Millisecond // between an acknowledgement and the next post: 16 a second, of 20 allowed
	patience = cluster.Patience      // for posts in flight, when the fault is over
)

var rooms = []string{"red", "green", "blue", "grey"}

// load is all writers and readers, and what asks whether nodes are ready.
type load struct {
	stage   *stage
	writers []*people.Writer
	readers []*people.Reader
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
	var urls []string
	for _, n := range s.nodes {
		urls = append(urls, n.url)
	}
	for i := range writers {
		w := &people.Writer{Person: people.Person{Name: fmt.Sprint("writer", i), Address: fmt.Sprint("10.0.1.", i+1)},
			Room: rooms[i%len(rooms)], Nodes: urls, Place: i % len(urls), Pace: pace}
		l.writers = append(l.writers, w)
		l.writing.Go(func() { w.Run(l.ctx, enough) })
	}
	for i := range readers {
		r := &people.Reader{Person: people.Person{Name: fmt.Sprint("reader", i), Address: fmt.Sprint("10.0.2.", i+1)},
			Room: rooms[i%len(rooms)], Nodes: urls, Place: i % len(urls), Roams: i < roaming}
		l.readers = append(l.readers, r)
		l.reading.Go(func() { r.Run(l.ctx) })
	}
	for i, n := range s.nodes {
		l.reading.Go(func() {
			for l.ctx.Err() == nil {
				l.samples[i] = append(l.samples[i], askReady(n))
				people.Sleep(l.ctx, 200*time.Millisecond)
			}
		})
	}
	return l
}

// finish lets posts in flight end, and readers receive everything.
func (l *load) finish() {
	l.enough()
	late := time.AfterFunc(patience, l.over) // for posts that are never answered
	defer late.Stop()
	l.writing.Wait()
	people.Await(l.ctx, l.writers, l.readers, 15*time.Second)
	l.over()
	l.reading.Wait()
}
