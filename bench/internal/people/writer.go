package people

import (
	"context"
	"fmt"
	"time"

	"echows/ws"
)

const (
	postTime   = 25 * time.Second       // for an answer to a post: a node gives up after 20 s, and says so
	postAgain  = 200 * time.Millisecond // after a refusal
	moveAfter  = 100                    // posts, after which a writer moves to the next node
	repeatEach = 20                     // posts, of which one is posted again
)

// Post is one message, from the first attempt to its acknowledgement.
type Post struct {
	ID    string
	Room  string
	Node  int // of the first attempt
	Begun time.Time
	Acked time.Time // zero if it never was
	Seq   uint64
}

// Attempt is one post sent to one node, or an attempt to join the node for that.
type Attempt struct {
	Node     int
	From, To time.Time
	Acked    bool
	Told     string // otherwise
}

// Writer posts to a room, one message after the other, each under one id until it is acknowledged, on whichever node
// accepts it.
type Writer struct {
	Person
	Room  string
	Nodes []string      // their URLs
	Place int           // of the next one
	Pace  time.Duration // between an acknowledgement and the next post

	socket  *ws.Socket
	answers chan frame  // of this connection, and
	ended   chan string // its end

	Posts    []*Post // once Run has returned, as Attempts
	Attempts []Attempt
}

// Run posts until enough ends; ctx ends the post in progress.
func (w *Writer) Run(ctx, enough context.Context) {
	for n := 0; enough.Err() == nil; n++ {
		p := &Post{ID: fmt.Sprintf("%s-%d", w.Name, n), Room: w.Room, Node: w.Place, Begun: time.Now()}
		w.Posts = append(w.Posts, p)
		for p.Acked.IsZero() && ctx.Err() == nil {
			w.try(ctx, p)
		}
		if n%repeatEach == repeatEach-1 && w.socket != nil {
			w.send(ctx, &Post{ID: p.ID, Room: p.Room}) // it is still the same message, and kept once
		}
		if n%moveAfter == moveAfter-1 {
			w.leave()
			w.Place = (w.Place + 1) % len(w.Nodes)
		}
		Sleep(ctx, w.Pace)
	}
	w.leave()
}

// try makes one attempt.
func (w *Writer) try(ctx context.Context, p *Post) {
	a := Attempt{Node: w.Place, From: time.Now()}
	if w.socket == nil {
		err := w.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if err != errDown {
				a.To, a.Told = time.Now(), why(err)
				w.Attempts = append(w.Attempts, a)
			}
			w.Place = (w.Place + 1) % len(w.Nodes)
			Sleep(ctx, joinAgain)
			return
		}
	}
	told := w.send(ctx, p)
	a.To, a.Acked, a.Told = time.Now(), !p.Acked.IsZero(), told
	w.Attempts = append(w.Attempts, a)
	if !a.Acked && w.socket != nil {
		Sleep(ctx, postAgain)
	}
}

// send posts on the connection, and waits for the answer. It returns how the writer learned of a failure.
func (w *Writer) send(ctx context.Context, p *Post) (told string) {
	if err := w.socket.SendJSON(map[string]string{"type": "post", "id": p.ID, "text": "message " + p.ID + " for a test"}); err != nil {
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
			case f.ID != p.ID: // of an attempt before
			case f.Type == "ack":
				p.Acked, p.Seq = time.Now(), f.Seq
				return ""
			default:
				return f.Code
			}
		case told := <-w.ended:
			w.leave()
			w.Place = (w.Place + 1) % len(w.Nodes)
			return told
		case <-late.C:
			w.leave()
			return "no answer"
		case <-ctx.Done():
			return "the end"
		}
	}
}

func (w *Writer) connect(ctx context.Context) error {
	answers, ended := make(chan frame, 16), make(chan string, 1)
	hear := func(f frame) {
		if f.Type == "ack" || f.Type == "error" {
			select {
			case answers <- f:
			default: // nobody waits for one post that long
			}
		}
	}
	s, err := w.join(ctx, w.Nodes[w.Place], w.Room, nil, hear, func(why string) { ended <- why })
	if err != nil {
		return unwrapDown(err)
	}
	w.socket, w.answers, w.ended = s, answers, ended
	return nil
}

func (w *Writer) leave() {
	if w.socket != nil {
		w.socket.Close(ws.CloseNormal, "")
		w.socket = nil
	}
}

// Sleep waits, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
