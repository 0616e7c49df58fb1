package exercise

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// give gives a ticket, and fails the test if there is none.
func give(t *testing.T, tickets *Tickets, name, room string, at time.Time) string {
	t.Helper()
	ticket, ok := tickets.Give(name, room, at)
	if !ok || len(ticket) < 20 {
		t.Fatalf("%s gets the ticket %q, %t", name, ticket, ok)
	}
	return ticket
}

// use uses a ticket, and compares whose it is; "" for one that is refused.
func use(t *testing.T, tickets *Tickets, ticket, room string, at time.Time, want string) {
	t.Helper()
	name, ok := tickets.Use(ticket, room, at)
	if name != want || ok != (want != "") {
		t.Errorf("the ticket lets in %q, %t; want %q", name, ok, want)
	}
}

func TestOnce(t *testing.T) {
	var tickets Tickets
	a := give(t, &tickets, "ana", "kitchen", now)
	b := give(t, &tickets, "bo", "kitchen", now)
	if a == b {
		t.Fatal("two people have one ticket")
	}
	use(t, &tickets, a, "kitchen", now, "ana")
	use(t, &tickets, a, "kitchen", now, "")
	use(t, &tickets, b, "kitchen", now, "bo")
	use(t, &tickets, "", "kitchen", now, "")
}

func TestThirtySeconds(t *testing.T) {
	var tickets Tickets
	a := give(t, &tickets, "ana", "kitchen", now)
	b := give(t, &tickets, "ana", "kitchen", now)
	use(t, &tickets, a, "kitchen", now.Add(30*time.Second), "ana")
	use(t, &tickets, b, "kitchen", now.Add(30*time.Second+1), "")
}

func TestAnotherRoom(t *testing.T) {
	var tickets Tickets
	a := give(t, &tickets, "ana", "kitchen", now)
	use(t, &tickets, a, "garden", now, "")
	use(t, &tickets, a, "kitchen", now, "ana")
}

func TestThree(t *testing.T) {
	var tickets Tickets
	first := give(t, &tickets, "ana", "kitchen", now)
	give(t, &tickets, "ana", "kitchen", now)
	give(t, &tickets, "ana", "garden", now)
	if _, ok := tickets.Give("ana", "kitchen", now); ok {
		t.Error("ana has four")
	}
	give(t, &tickets, "bo", "kitchen", now)
	use(t, &tickets, first, "kitchen", now, "ana")
	give(t, &tickets, "ana", "kitchen", now)
	give(t, &tickets, "ana", "kitchen", now.Add(time.Minute)) // the others are too old
}

func TestAtOnce(t *testing.T) {
	var tickets Tickets
	a := give(t, &tickets, "ana", "kitchen", now)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, ok := tickets.Use(a, "kitchen", now); ok {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if n := in.Load(); n != 1 {
		t.Errorf("one ticket let in %d", n)
	}
}
