package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"echows/bench/internal/attack"
	"echows/bench/internal/visit"
)

const (
	lanes    = 2                // attacks at a time
	mostTurn = 20 * time.Second // of one attack
)

// turn returns how long one attack lasts, so that each has a turn in the time.
func turn(length time.Duration, attacks int) time.Duration {
	rounds := (attacks + lanes - 1) / lanes
	return min(mostTurn, length*9/10/time.Duration(rounds)) // and a process takes a moment to start
}

// sendAll makes all attacks take turns, in a new order each time, until the time is over. The function it returns waits
// for their end, and returns how many turns each had, and what went wrong.
func sendAll(ctx context.Context, o options, addr string) func() (map[string]int, []error) {
	if len(o.attacks) == 0 {
		return func() (map[string]int, []error) { return nil, nil }
	}
	end := time.Now().Add(o.length)
	length := turn(o.length, len(o.attacks))
	var mu sync.Mutex // guards what follows
	var waiting []attack.Attack
	turns := map[string]int{}
	var failed []error
	next := func() attack.Attack {
		mu.Lock()
		defer mu.Unlock()
		if len(waiting) == 0 {
			for _, i := range rand.Perm(len(o.attacks)) {
				waiting = append(waiting, o.attacks[i])
			}
		}
		a := waiting[0]
		waiting = waiting[1:]
		turns[a.Name]++
		return a
	}
	var all sync.WaitGroup
	for range min(lanes, len(o.attacks)) {
		all.Go(func() {
			for left := time.Until(end); left > length/2 && ctx.Err() == nil; left = time.Until(end) {
				if _, err := attack.Send(ctx, next().Name, addr, min(length, left), o.pace); err != nil && ctx.Err() == nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
					sleep(ctx, visit.Patience)
				}
			}
		})
	}
	return func() (map[string]int, []error) {
		all.Wait()
		return turns, failed
	}
}
