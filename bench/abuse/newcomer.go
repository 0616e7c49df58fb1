package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"echows/bench/internal/visit"
)

// news tells how newcomers fared.
type news struct {
	tried, served int
	failed        *visit.Tally
}

func (n news) String() string { return fmt.Sprintf("%d of %d", n.served, n.tried) }

// sendNewcomers makes a newcomer use each of the server's features every second, from another address, for the given
// time.
func (g *guests) sendNewcomers(length time.Duration) <-chan news {
	done := make(chan news, 1)
	go func() {
		var mu sync.Mutex
		var all sync.WaitGroup
		n := news{failed: new(visit.Tally)}
		for end := time.Now().Add(length); time.Now().Before(end); {
			time.Sleep(time.Second)
			for what, come := range visit.Newcomers {
				all.Go(func() {
					err := g.come(come)
					mu.Lock()
					defer mu.Unlock()
					if n.tried++; err == nil {
						n.served++
					} else {
						n.failed.Add(what+": "+visit.Describe(err), 1)
					}
				})
			}
		}
		all.Wait()
		done <- n
	}()
	return done
}

// come makes one newcomer's visit.
func (g *guests) come(f func(context.Context, *visit.Visitor) error) error {
	ctx, cancel := context.WithTimeout(g.ctx, visit.Patience)
	defer cancel()
	v := visit.New(g.addr, newAddress, nil)
	defer v.Close()
	return f(ctx, v)
}
