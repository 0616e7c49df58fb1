package main

import (
	"context"
	"time"

	"echows/bench/internal/cluster"
	"echows/client"
)

// mostListed is how long people on a killed node may still be in others' lists of who is there.
const mostListed = 5 * time.Second

// shown is how many people somebody was told are there, and when.
type shown struct {
	people int
	at     time.Time
}

// watchPresence lets a guest join a room on one node, and somebody else on another, who is told who is there. Call killed
// as soon as the node has been killed, and then await, which returns when the guest is no longer listed.
func (s *stage) watchPresence(place int) (killed, await func()) {
	ctx, cancel := context.WithCancel(context.Background())
	join := func(node int, name string, told func([]client.Person)) *client.Chat {
		return client.JoinChat(ctx, s.nodes[node].url, "who-is-there", client.ChatConfig{Name: name, OnPeople: told})
	}
	told := make(chan shown, 100)
	watcher := join((place+1)%size, "watcher", func(people []client.Person) { told <- shown{len(people), time.Now()} })
	guest := join(place, "guest", nil)
	both := s.awaitShown(told, 2)
	var at time.Time
	killed = func() {
		at = time.Now()
		guest.Close() // it must not come back
		<-guest.Done()
	}
	await = func() {
		if one := s.awaitShown(told, 1); !both.at.IsZero() && !one.at.IsZero() {
			s.listed = append(s.listed, one.at.Sub(at))
		}
		cancel()
		<-watcher.Done()
	}
	return killed, await
}

// awaitShown waits until somebody is told that so many people are there.
func (s *stage) awaitShown(told <-chan shown, people int) shown {
	for late := time.After(cluster.Patience); ; {
		select {
		case one := <-told:
			if one.people == people {
				return one
			}
		case <-late:
			s.blame("after %v, nobody was told that %d are there", cluster.Patience, people)
			return shown{}
		}
	}
}
