package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// The addresses that clients come from. Attackers come from the system's default, 127.0.0.1.
const (
	goodAddress = "127.0.0.3"
	newAddress  = "127.0.0.2"
)

// The kinds of good clients, by the answer they wait for.
const (
	echoes = "echo"       // a message to /ws/echo comes back
	events = "round trip" // an event of Socket.IO is acknowledged, over a WebSocket
	posts  = "post"       // a post to the chat is acknowledged
)

const (
	echoClients  = 10
	eventClients = 10
	chatClients  = 2

	pause     = 20 * time.Millisecond // between two round trips of a client
	postPause = 300 * time.Millisecond
)

// guests are the good clients.
type guests struct {
	ctx      context.Context
	addr     string
	attacked atomic.Bool
	all      sync.WaitGroup

	before, during waits
	lost           visit.Tally
	heard          atomic.Int64 // unsolicited events that reached Socket.IO clients during the attack
}

// invite connects the good clients.
func invite(ctx context.Context, addr string) *guests {
	v := visit.New(addr, goodAddress, nil)
	g := &guests{ctx: ctx, addr: addr}
	for range echoClients {
		g.visit(echoes, pause, must(v.Open(ctx, "/ws/echo")), echo)
	}
	for i := range eventClients {
		g.visit(events, pause, must(v.Enter(ctx, fmt.Sprintf("good-%d", i))), g.roundTrip)
	}
	for i := range chatClients {
		path, err := v.Ticket(ctx, fmt.Sprintf("good-%d", i))
		if err != nil {
			log.Fatal(err)
		}
		g.visit(posts, postPause, must(v.Open(ctx, path)), post)
	}
	return g
}

func must(conn *websocket.Conn, err error) *websocket.Conn {
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// visit makes a client repeat round trips, each with its own number.
func (g *guests) visit(kind string, pause time.Duration, conn *websocket.Conn, trip func(conn *websocket.Conn, n int) error) {
	stop := context.AfterFunc(g.ctx, func() { conn.Close() })
	g.all.Go(func() {
		defer stop()
		defer conn.Close()
		for n := 1; g.ctx.Err() == nil; n++ {
			conn.SetReadDeadline(time.Now().Add(2 * visit.Patience))
			begin := time.Now()
			during := g.attacked.Load()
			err := trip(conn, n)
			switch {
			case g.ctx.Err() != nil:
				return
			case err != nil:
				g.lost.Add(kind+": "+visit.Describe(err), 1)
				return
			case during:
				g.during.add(kind, time.Since(begin))
			default:
				g.before.add(kind, time.Since(begin))
			}
			time.Sleep(pause)
		}
	})
}

var small = bytes.Repeat([]byte("x"), 64)

func echo(conn *websocket.Conn, _ int) error { return visit.Echo(conn, small) }

// roundTrip waits for an acknowledgement, and counts the events that arrived since the last round trip.
func (g *guests) roundTrip(conn *websocket.Conn, n int) error {
	if err := visit.Say(conn, fmt.Sprintf(`42%d["round trip"]`, n)); err != nil {
		return err
	}
	answer := fmt.Appendf(nil, "43%d[", n)
	return visit.Listen(conn, func(m []byte) bool {
		if g.attacked.Load() && bytes.HasPrefix(m, []byte("42")) {
			g.heard.Add(1)
		}
		return bytes.HasPrefix(m, answer)
	})
}

func post(conn *websocket.Conn, n int) error {
	id := fmt.Sprint("good-", conn.LocalAddr(), "-", n)
	if err := conn.WriteJSON(map[string]string{"type": "post", "id": id, "text": "good"}); err != nil {
		return err
	}
	for {
		var m struct{ Type, ID, Code string }
		if err := conn.ReadJSON(&m); err != nil {
			return err
		}
		if m.ID == id && m.Type == "ack" {
			return nil
		}
		if m.Type == "error" {
			return fmt.Errorf("the chat says %s", m.Code)
		}
	}
}

// waits are durations by kind.
type waits struct {
	mu sync.Mutex
	by map[string][]time.Duration
}

func (w *waits) add(kind string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string][]time.Duration{}
	}
	w.by[kind] = append(w.by[kind], d)
}

// pair is a median and a 99th percentile.
type pair struct{ median, late time.Duration }

func (p pair) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.1f (%.0f)", ms(p.median), ms(p.late))
}

func (w *waits) medians() map[string]pair {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := map[string]pair{}
	for kind, all := range w.by {
		slices.Sort(all)
		by[kind] = pair{all[len(all)/2], all[len(all)*99/100]}
	}
	return by
}
