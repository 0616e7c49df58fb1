package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// news is how newcomers fared.
type news struct {
	tried, served int
	failed        *tally
}

func (n news) String() string { return fmt.Sprintf("%d of %d", n.served, n.tried) }

// sendNewcomers has a newcomer come from another address every second, to each thing that the server does, for some
// time.
func (g *guests) sendNewcomers(length time.Duration) <-chan news {
	done := make(chan news, 1)
	go func() {
		var mu sync.Mutex
		var all sync.WaitGroup
		n := news{failed: new(tally)}
		for end := time.Now().Add(length); time.Now().Before(end); {
			time.Sleep(time.Second)
			for what, come := range newcomers {
				all.Go(func() {
					err := g.come(come)
					mu.Lock()
					defer mu.Unlock()
					if n.tried++; err == nil {
						n.served++
					} else {
						n.failed.add(what+": "+describe(err), 1)
					}
				})
			}
		}
		all.Wait()
		done <- n
	}()
	return done
}

// come is one newcomer.
func (g *guests) come(f func(context.Context, *visitor) error) error {
	ctx, cancel := context.WithTimeout(g.ctx, patience)
	defer cancel()
	v := newVisitor(g.addr, newAddress)
	defer v.http.CloseIdleConnections()
	return f(ctx, v)
}

var newcomers = map[string]func(context.Context, *visitor) error{
	"/ws/echo": func(ctx context.Context, v *visitor) error {
		conn, err := v.open(ctx, "/ws/echo")
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(patience))
		return echo(conn, 0)
	},
	"/socket.io/ on a WebSocket": func(ctx context.Context, v *visitor) error {
		conn, err := v.enter(ctx, "newcomer")
		if err == nil {
			conn.Close()
		}
		return err
	},
	"an attachment of 100 KB": func(ctx context.Context, v *visitor) error {
		conn, err := v.enter(ctx, "newcomer")
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(patience))
		err = say(conn, `451-7["round trip",{"_placeholder":true,"num":0}]`)
		if err == nil {
			err = conn.WriteMessage(websocket.BinaryMessage, megabyte[:100_000])
		}
		if err == nil {
			err = expect(conn, "437[")
		}
		return err
	},
	"/socket.io/ by polling": func(ctx context.Context, v *visitor) error {
		path, err := v.begin(ctx)
		if err == nil {
			_, err = v.ask(ctx, "POST", path, "", []byte(connectPacket("/", "newcomer")))
		}
		if err == nil { // an event of 100 KB
			_, err = v.ask(ctx, "POST", path, "", fmt.Appendf(nil, `427["round trip","%0100000d"]`, 1))
		}
		if err == nil {
			_, err = v.ask(ctx, "POST", path, "", []byte("1")) // the session ends
		}
		return err
	},
	"the chat": func(ctx context.Context, v *visitor) error {
		path, err := v.ticket(ctx, "newcomer")
		if err != nil {
			return err
		}
		conn, err := v.open(ctx, path)
		if err == nil {
			conn.Close()
		}
		return err
	},
}
