package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// The kinds of good clients, by what they wait for.
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
	lost           tally
	heard          atomic.Int64 // events that came to clients of Socket.IO unasked, during the attack
}

// invite connects the good clients.
func invite(ctx context.Context, addr string) *guests {
	g := &guests{ctx: ctx, addr: addr}
	v := newVisitor(addr, goodAddress)
	for range echoClients {
		g.visit(echoes, pause, must(v.open(ctx, "/ws/echo")), echo)
	}
	for i := range eventClients {
		g.visit(events, pause, must(v.enter(ctx, fmt.Sprintf("good-%d", i))), g.roundTrip)
	}
	for i := range chatClients {
		path, err := v.ticket(ctx, fmt.Sprintf("good-%d", i))
		if err != nil {
			log.Fatal(err)
		}
		g.visit(posts, postPause, must(v.open(ctx, path)), post)
	}
	return g
}

func must(conn *websocket.Conn, err error) *websocket.Conn {
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// visit has a client make round trips, each with a number of its own.
func (g *guests) visit(kind string, pause time.Duration, conn *websocket.Conn, trip func(conn *websocket.Conn, n int) error) {
	stop := context.AfterFunc(g.ctx, func() { conn.Close() })
	g.all.Go(func() {
		defer stop()
		defer conn.Close()
		for n := 1; g.ctx.Err() == nil; n++ {
			conn.SetReadDeadline(time.Now().Add(2 * patience))
			begin := time.Now()
			during := g.attacked.Load()
			err := trip(conn, n)
			switch {
			case g.ctx.Err() != nil:
				return
			case err != nil:
				g.lost.add(kind+": "+describe(err), 1)
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

func echo(conn *websocket.Conn, _ int) error {
	if err := conn.WriteMessage(websocket.TextMessage, small); err != nil {
		return err
	}
	_, _, err := conn.ReadMessage()
	return err
}

// roundTrip waits for an acknowledgement, and counts the events that come meanwhile, and came since the last time.
func (g *guests) roundTrip(conn *websocket.Conn, n int) error {
	if err := say(conn, fmt.Sprintf(`42%d["round trip"]`, n)); err != nil {
		return err
	}
	answer := fmt.Appendf(nil, "43%d[", n)
	return listen(conn, func(m []byte) bool {
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

// token signs somebody in.
func (v *visitor) token(ctx context.Context, name string) (string, error) {
	var session struct{ Token string }
	body, err := v.ask(ctx, http.MethodPost, "/session", "", fmt.Appendf(nil, `{"name":"%s"}`, name))
	if err == nil {
		err = json.Unmarshal(body, &session)
	}
	return session.Token, err
}

// seat gets a ticket, and returns the path where it opens the chat's room.
func (v *visitor) seat(ctx context.Context, token string) (string, error) {
	var ticket struct{ Ticket string }
	body, err := v.ask(ctx, http.MethodPost, "/ticket", token, nil)
	if err == nil {
		err = json.Unmarshal(body, &ticket)
	}
	return "/ws/chat/lobby?ticket=" + ticket.Ticket, err
}

// ticket is both.
func (v *visitor) ticket(ctx context.Context, name string) (string, error) {
	token, err := v.token(ctx, name)
	if err != nil {
		return "", err
	}
	return v.seat(ctx, token)
}

// waits are times by kind.
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
