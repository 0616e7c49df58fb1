package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// answerTime is how long a good client waits for anything before it counts as lost. It is long, since speed does not matter.
const answerTime = 30 * time.Second

// company is all good clients. Each has an address of its own.
type company struct {
	ctx    context.Context // of everything in progress
	enough context.Context // of what begins; ends first
	over   context.CancelFunc
	stop   context.CancelFunc
	addr   string
	name   string // unique among this server's companies
	kinds  []*kind
	all    sync.WaitGroup
	ends   []func() // what to wait for when nobody sends any more
}

// kind is one kind of good client, and what happened to their messages.
type kind struct {
	name    string
	clients int

	sent, heard, lost atomic.Int64
	broken            atomic.Int64 // connections and requests that failed
	why               visit.Tally  // of what was lost or broken
}

// newCompany makes all good clients come.
func newCompany(ctx context.Context, addr, name string) *company {
	c := &company{addr: addr, name: name}
	c.ctx, c.over = context.WithCancel(ctx)
	c.enough, c.stop = context.WithCancel(c.ctx)
	c.lessonOne()
	c.broadcast()
	c.socketIO()
	c.chat()
	c.newcomers()
	return c
}

func (c *company) kind(name string, clients int) *kind {
	k := &kind{name: name, clients: clients}
	c.kinds = append(c.kinds, k)
	return k
}

// leave lets everything in progress end, and waits until all have gone.
func (c *company) leave() {
	c.stop()
	for _, end := range c.ends {
		end()
	}
	c.over()
	c.all.Wait()
}

// from returns a visitor with an address in 127.0.0.0/8.
func (c *company) from(group, i int) *visit.Visitor {
	return visit.New(c.addr, fmt.Sprintf("127.0.%d.%d", group, i+1), nil)
}

// again repeats f, which is one connection or request, until ctx ends.
func (c *company) again(ctx context.Context, k *kind, f func() error) {
	for ctx.Err() == nil {
		if err := f(); err != nil && c.ctx.Err() == nil {
			k.fails(err)
			sleep(ctx, 200*time.Millisecond)
		}
	}
}

func (k *kind) fails(err error) {
	k.broken.Add(1)
	k.why.Add(visit.Describe(err), 1)
}

func (k *kind) loses(n int64, why string) {
	k.lost.Add(n)
	k.why.Add(why, int(n))
}

// use opens a WebSocket for as long as f uses it, but no longer than the company is there.
func (c *company) use(open func() (*websocket.Conn, error), f func(*websocket.Conn) error) error {
	conn, err := open()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(c.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if err := f(conn); err != nil {
		return err
	}
	return part(conn)
}

// part closes a connection with RFC 6455's closing handshake.
func part(conn *websocket.Conn) error {
	deadline := time.Now().Add(visit.Patience)
	conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	conn.SetReadDeadline(deadline)
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				return nil
			}
			return err
		}
	}
}
