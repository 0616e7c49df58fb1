package main

import (
	"context"
	"fmt"
	"time"

	"echows/ws"
)

const (
	pace       = 60 * time.Millisecond  // between an acknowledgement and the next post: 16 a second, of 20 allowed
	postTime   = 25 * time.Second       // for an answer to a post: a node gives up after 20 s, and says so
	postAgain  = 200 * time.Millisecond // after a refusal
	moveAfter  = 100                    // posts, after which a writer goes to the next node
	repeatEach = 20                     // posts, of which one is posted again
)

// post is one message, from the first attempt to its acknowledgement.
type post struct {
	id    string
	room  string
	node  int // of the first attempt
	begun time.Time
	acked time.Time // zero where it never was
	seq   uint64
}

// attempt is one post sent to one node, or an attempt to join it for that.
type attempt struct {
	node     int
	from, to time.Time
	acked    bool
	told     string // otherwise
}

// writer posts to a room, one message after the other, each under one id until it is acknowledged, on whatever node
// takes it.
type writer struct {
	person
	room  string
	nodes []*node
	place int

	socket  *ws.Socket
	answers chan frame  // of this connection, and
	ended   chan string // its end

	posts    []*post
	attempts []attempt
}

// run posts until enough ends; ctx ends what is under way.
func (w *writer) run(ctx, enough context.Context) {
	for n := 0; enough.Err() == nil; n++ {
		p := &post{id: fmt.Sprintf("%s-%d", w.name, n), room: w.room, node: w.place, begun: time.Now()}
		w.posts = append(w.posts, p)
		for p.acked.IsZero() && ctx.Err() == nil {
			w.try(ctx, p)
		}
		if n%repeatEach == repeatEach-1 && w.socket != nil {
			w.send(ctx, &post{id: p.id, room: p.room}) // is the same message still, and kept once
		}
		if n%moveAfter == moveAfter-1 {
			w.leave()
			w.place = (w.place + 1) % len(w.nodes)
		}
		sleep(ctx, pace)
	}
	w.leave()
}

// try makes one attempt.
func (w *writer) try(ctx context.Context, p *post) {
	a := attempt{node: w.place, from: time.Now()}
	if w.socket == nil {
		err := w.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if err != errDown {
				a.to, a.told = time.Now(), why(err)
				w.attempts = append(w.attempts, a)
			}
			w.place = (w.place + 1) % len(w.nodes)
			sleep(ctx, joinAgain)
			return
		}
	}
	told := w.send(ctx, p)
	a.to, a.acked, a.told = time.Now(), !p.acked.IsZero(), told
	w.attempts = append(w.attempts, a)
	if !a.acked && w.socket != nil {
		sleep(ctx, postAgain)
	}
}

// send posts on the connection, and waits for the answer. It returns how a failure was told.
func (w *writer) send(ctx context.Context, p *post) (told string) {
	if err := w.socket.SendJSON(map[string]string{"type": "post", "id": p.id, "text": "message " + p.id + " of the faults' own"}); err != nil {
		defer w.leave()
		select {
		case told := <-w.ended:
			return told
		case <-time.After(joinAgain):
			return "no connection"
		}
	}
	late := time.NewTimer(postTime)
	defer late.Stop()
	for {
		select {
		case f := <-w.answers:
			switch {
			case f.ID != p.id: // of an attempt before
			case f.Type == "ack":
				p.acked, p.seq = time.Now(), f.Seq
				return ""
			default:
				return f.Code
			}
		case told := <-w.ended:
			w.leave()
			w.place = (w.place + 1) % len(w.nodes)
			return told
		case <-late.C:
			w.leave()
			return "no answer"
		case <-ctx.Done():
			return "the end"
		}
	}
}

func (w *writer) connect(ctx context.Context) error {
	answers, ended := make(chan frame, 16), make(chan string, 1)
	hear := func(f frame) {
		if f.Type == "ack" || f.Type == "error" {
			select {
			case answers <- f:
			default: // nobody waits for one post that long
			}
		}
	}
	s, err := w.join(ctx, w.nodes[w.place].url, w.room, nil, hear, func(why string) { ended <- why })
	if err != nil {
		return unwrapDown(err)
	}
	w.socket, w.answers, w.ended = s, answers, ended
	return nil
}

func (w *writer) leave() {
	if w.socket != nil {
		w.socket.Close(ws.CloseNormal, "")
		w.socket = nil
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
