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

// answerTime is how long a good client waits for anything before it is lost. It is about what comes, not about when.
const answerTime = 30 * time.Second

// company is all good clients. Each has an address of its own.
type company struct {
	ctx    context.Context // of all that is under way
	enough context.Context // of what begins; ends first
	over   context.CancelFunc
	stop   context.CancelFunc
	addr   string
	name   string // which no other company of this server has
	kinds  []*kind
	all    sync.WaitGroup
	ends   []func() // what is waited for when nobody sends any more
}

// kind is one kind of good client, and what became of what they sent.
type kind struct {
	name    string
	clients int

	sent, heard, lost atomic.Int64
	broken            atomic.Int64 // connections and requests that failed
	why               visit.Tally  // of what was lost or broken
}

// newCompany has all good clients come.
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

// leave lets what is under way come to its end, and waits for all to have gone.
func (c *company) leave() {
	c.stop()
	for _, end := range c.ends {
		end()
	}
	c.over()
	c.all.Wait()
}

// from is the visitor of an address in 127.0.0.0/8.
func (c *company) from(group, i int) *visit.Visitor {
	return visit.New(c.addr, fmt.Sprintf("127.0.%d.%d", group, i+1), nil)
}

// again does f, which is one connection or request, until ctx ends.
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

// part closes a connection as RFC 6455 has it: each side says so.
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
