package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"echows/client"
	"echows/ws"
)

// say sends messages and hopes. Another connection listens; both come back by themselves.
func say(ctx context.Context, server string, count int) error {
	target := client.URL(server + "/ws/broadcast")
	var mu sync.Mutex
	heard := make(map[string]bool)
	hearing := make(chan struct{}, 1)
	listener := client.Connect(ctx, target, client.Config{
		OnOpen: func(s *ws.Socket) error { return s.SendText("listening") }, // which comes back
		OnMessage: func(m ws.Message) error {
			mu.Lock()
			defer mu.Unlock()
			heard[m.Text()] = true
			select {
			case hearing <- struct{}{}:
			default:
			}
			return nil
		},
	})
	defer func() { listener.Close(ws.CloseNormal, ""); <-listener.Done() }()
	open := make(chan struct{}, 1)
	speaker := client.Connect(ctx, target, client.Config{
		OnState: func(state client.State, _ time.Duration, _ error) {
			if state == client.StateOpen {
				select {
				case open <- struct{}{}:
				default:
				}
			}
		},
	})
	defer func() { speaker.Close(ws.CloseNormal, ""); <-speaker.Done() }()
	for _, ready := range []chan struct{}{hearing, open} {
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	fmt.Printf("saying %d messages in /ws/broadcast\n", count)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range count {
		speaker.SendText(fmt.Sprint("message ", i+1)) // where an error is, a simple page has nothing to say either
		if (i+1)%50 == 0 {
			fmt.Println(i+1, "are said")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	got := arrived(ctx, &mu, heard, count)
	if got < count {
		fmt.Printf("%d said, %d heard, %d lost; nobody was told\n", count, got, count-got)
		return fmt.Errorf("that is what lesson 4 is about")
	}
	fmt.Printf("%d said, %d heard, none lost\n", count, got)
	return nil
}

// arrived waits until everything was heard, or nothing more is, and returns how many messages were.
func arrived(ctx context.Context, mu *sync.Mutex, heard map[string]bool, count int) int {
	got := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for i := range count {
			if heard[fmt.Sprint("message ", i+1)] {
				n++
			}
		}
		return n
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := -1
	for now := got(); now < count && now > before; now = got() {
		before = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now
		}
	}
	return got()
}
