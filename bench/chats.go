package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	"echows/ws"
)

// ourChat is this repository's chat, with its stream in files that are synced before each
// acknowledgement, or at an interval. Its limits are raised out of the way.
func ourChat(sync time.Duration) func(net.Listener) error {
	return func(l net.Listener) error {
		dir, err := os.MkdirTemp("", "data-")
		if err != nil {
			return err
		}
		return serveChat(l, broker.Config{Dir: dir, Sync: sync})
	}
}

func serveChat(l net.Listener, cfg broker.Config) error {
	quiet, ctx := slog.New(slog.DiscardHandler), context.Background()
	cfg.Logger = quiet
	b, err := broker.Open(ctx, cfg)
	if err != nil {
		return err
	}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	app := ws.New(e, ws.Config{Logger: quiet})
	var others *broker.Bus
	if cfg.URL != "" {
		if others, err = b.OpenBus(ctx, "chat"); err != nil {
			return err
		}
	}
	c, err := chat.Open(ctx, app, hub.New(), b, chat.Config{
		Secret: []byte("sixteen bytes or more"),
		Bus:    others,
		Limits: chat.Limits{Posts: 1e6, AddressPosts: 1e6, Connects: 1e6, Sessions: 1e6},
		Logger: quiet,
	})
	if err != nil {
		return err
	}
	e.POST("/session", c.SignIn, c.LimitSessions())
	e.POST("/ticket", c.Ticket, c.LimitTickets(), c.RequireSession)
	app.WS("/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.LimitUpgrades(), c.RequireTicket)
	return http.Serve(l, e)
}

// liveChat sends the same but stores nothing: the difference is the stream's cost.
func liveChat(l net.Listener) error {
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	topics := hub.New()
	var last atomic.Uint64
	app.WS("/ws/chat/:room", func(s *ws.Socket, c echo.Context) error {
		room := s.Param("room")
		s.OnMessage(func(m ws.Message) error {
			var post struct{ ID, Text string }
			if err := m.JSON(&post); err != nil {
				return err
			}
			seq := last.Add(1)
			data, err := json.Marshal(chat.Message{Seq: seq, ID: post.ID, From: "bench", Text: post.Text, At: time.Now().UTC()})
			if err != nil {
				return err
			}
			data = append([]byte(`{"type":"message",`), data[1:]...)
			if err := topics.Broadcast(room, ws.Message{Opcode: ws.Text, Data: data}); err != nil {
				return err
			}
			return s.SendText(fmt.Sprintf(`{"type":"ack","id":"%s","seq":%d}`, post.ID, seq))
		})
		if err := topics.Join(room, s); err != nil {
			return err
		}
		return s.SendText(`{"type":"history","messages":[],"complete":true}`)
	})
	return http.Serve(l, e)
}

// room is the members of a chat's room, and what they have been sent.
type room struct {
	p       *process
	members []*member
	stop    atomic.Bool
	last    atomic.Int64 // the id of the last post
	shown   atomic.Int64 // messages, to all members together
	done    chan time.Time
}

// member is one connection to a room.
type member struct {
	*client
	last  atomic.Int64 // the id of its last post
	acked chan time.Time
}

// what is the text of each post.
var what = fmt.Sprintf(`"text":"%s"`, some(64))

// meet connects the members, several at a time, as each waits for a ticket.
func meet(p *process, members int) *room {
	r := &room{p: p, members: make([]*member, members), done: make(chan time.Time, 1)}
	token := ask(p, "/session", "", `{"name":"bench"}`, "token")
	var next atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(members); i = next.Add(1) - 1 {
				c := connect(p, "/ws/chat/bench?ticket="+ask(p, "/ticket", token, "", "ticket"), 8<<10)
				m := &member{client: c, acked: make(chan time.Time, 1)}
				m.await(p, `{"type":"history"`) // after this it misses nothing
				r.members[i] = m
				go r.read(m)
			}
		})
	}
	all.Wait()
	return r
}

// ask posts a request and returns one field of the answer, or "" if the server has no such route.
func ask(p *process, path, token, body, field string) string {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.addr()+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatalf("%s: %v", p.name, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusNotFound {
		return ""
	}
	var answer map[string]any
	if err != nil || res.StatusCode != http.StatusCreated || json.Unmarshal(data, &answer) != nil {
		log.Fatalf("%s: %s: %s %s %v", p.name, path, res.Status, data, err)
	}
	value, _ := answer[field].(string)
	return value
}

// read receives what a member is sent: everybody's messages, and the acknowledgements of its own.
func (r *room) read(m *member) {
	for {
		b, err := m.message()
		if err != nil {
			if !r.stop.Load() {
				log.Fatalf("%s: a member was lost: %v", r.p.name, err)
			}
			return
		}
		now := time.Now()
		switch {
		case bytes.HasPrefix(b, []byte(`{"type":"message",`)) && bytes.Contains(b, []byte(what)):
			if r.shown.Add(1)%int64(len(r.members)) == 0 {
				select {
				case r.done <- now:
				default: // in rush, nobody waits for this
				}
			}
		case bytes.HasPrefix(b, fmt.Appendf(nil, `{"type":"ack","id":"%d",`, m.last.Load())):
			m.acked <- now
		case bytes.HasPrefix(b, []byte(`{"type":"presence"`)):
		default:
			log.Fatalf("%s: got %s", r.p.name, b)
		}
	}
}

// post sends one message and returns when.
func (r *room) post(m *member) time.Time {
	id := r.last.Add(1)
	m.last.Store(id)
	b := fmt.Appendf(nil, `{"type":"post","id":"%d",%s}`, id, what)
	begin := time.Now()
	if _, err := m.conn.Write(frame(text, b)); err != nil {
		log.Fatalf("%s: %v", r.p.name, err)
	}
	return begin
}

// waits are the times from a post to its receipt and its acknowledgement.
type waits struct{ shown, acked spread }

// spread is the median and the 99th percentile of some times.
type spread struct{ median, p99 time.Duration }

func spreadOf(times []time.Duration) spread {
	slices.Sort(times)
	return spread{times[len(times)/2], times[len(times)*99/100]}
}

// posts makes one member post, and again when all have the message and it has its acknowledgement. Then
// several members post concurrently, each again when it has its acknowledgement.
func posts(p *process, length time.Duration, members, posters int) result {
	r := meet(p, members)
	var shown, acked []time.Duration
	for end := time.Now().Add(length); time.Now().Before(end); {
		begin := r.post(r.members[0])
		acked = append(acked, (<-r.members[0].acked).Sub(begin))
		shown = append(shown, (<-r.done).Sub(begin))
	}
	w := waits{spreadOf(shown), spreadOf(acked)}
	rate := 0.0
	if posters > 0 {
		rate = r.rush(length, posters)
	}
	r.leave()
	return result{cost: float64(w.shown.median), rate: rate, chat: w}
}

func (r *room) leave() {
	r.stop.Store(true)
	for _, m := range r.members {
		m.conn.Close()
	}
}

// rush returns how many posts a second are acknowledged.
func (r *room) rush(length time.Duration, posters int) float64 {
	var stop atomic.Bool
	var posts atomic.Int64
	var all sync.WaitGroup
	for _, m := range r.members[:posters] {
		all.Go(func() {
			for !stop.Load() {
				r.post(m)
				<-m.acked
				posts.Add(1)
			}
		})
	}
	rate := measure(r.p, length, &posts).rate
	stop.Store(true)
	all.Wait()
	return rate
}

func chatTable(load string, by map[string][]result) {
	fmt.Printf("\n%s\n\n| server | last member has it, median | p99 | acknowledged, median | p99 | posts at once |\n"+
		"| --- | ---: | ---: | ---: | ---: | ---: |\n", titles[load])
	var order []string
	for name := range by {
		order = append(order, name)
	}
	slices.SortFunc(order, func(a, b string) int { return cmp.Compare(median(by[a]).cost, median(by[b]).cost) })
	for _, name := range order {
		m, rate := median(by[name]), "–"
		if m.rate > 0 {
			rate = fmt.Sprintf("%.0f/s", m.rate)
		}
		shown, acked := m.chat.shown, m.chat.acked
		fmt.Printf("| %s | %s | %s | %s | %s | %s |\n", name, ms(shown.median), ms(shown.p99), ms(acked.median), ms(acked.p99), rate)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
