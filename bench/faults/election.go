package main

import (
	"fmt"
	"log"
	"time"

	"github.com/nats-io/nats.go"

	"echows/bench/internal/people"
)

// election is a time without a leader of the stream. It is over when the NATS servers say so; what comes after that is
// the nodes'.
type election struct{ begun, over time.Time }

// watchElection notes when the stream gets another leader, until stop is called. The leader of now has no part in that.
func (s *stage) watchElection(leader int) (stop func()) {
	var others []string
	for i, addr := range s.nats.Addrs {
		if i != leader {
			others = append(others, "nats://"+addr)
		}
	}
	conn, err := nats.Connect(others[0] + "," + others[1])
	if err != nil {
		log.Fatal(err)
	}
	over := make(chan time.Time, 16)
	_, err = conn.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."+stream, func(*nats.Msg) {
		select {
		case over <- time.Now():
		default:
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		log.Fatal(err)
	}
	begun := time.Now()
	return func() {
		conn.Close()
		select {
		case at := <-over:
			s.elections = append(s.elections, election{begun, at})
		default:
			s.blame("no leader was elected in %v", time.Since(begun))
		}
	}
}

// parts says how long an election took, and how long after it the nodes acknowledged what had waited for it.
func (e election) parts(writers []*people.Writer) string {
	var first, last time.Time
	waited := 0
	for _, w := range writers {
		for _, p := range w.Posts {
			if p.Begun.After(e.over) || !p.Acked.After(e.over) {
				continue
			}
			if waited++; first.IsZero() || p.Acked.Before(first) {
				first = p.Acked
			}
			if p.Acked.After(last) {
				last = p.Acked
			}
		}
	}
	took := fmt.Sprintf("another leader after %.2f s", e.over.Sub(e.begun).Seconds())
	if waited == 0 {
		return took + "; nobody waited for it"
	}
	return fmt.Sprintf("%s; the first of %d posts that waited was acknowledged %.2f s later, the last %.2f s later",
		took, waited, first.Sub(e.over).Seconds(), last.Sub(e.over).Seconds())
}
