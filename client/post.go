package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"echows/ws"
)

const (
	mostPosts = 1000        // that wait for their answers; further calls of Post wait
	window    = 8           // posts sent before an answer has come: fewer than a server takes in a burst
	firstMove = time.Second // the shortest pause after a temporary refusal; doubled after each further one
	maxFrame  = 64 << 10    // bytes of a post on the wire; the longest valid text takes fewer
)

// Refused is the error of a post that the server will never store. Code is "bad_text", "bad_id", or a code that this
// package does not know.
type Refused struct {
	Code    string
	Message string // for people
}

func (e *Refused) Error() string {
	return "client: the post was refused: " + e.Message + " (" + e.Code + ")"
}

// post is a post that waits for its answer.
type post struct {
	id, text string
	message  ws.Message
	inFlight bool          // it was sent on this connection
	answered chan struct{} // closed when seq or err is set
	seq      uint64
	err      error
}

// Post posts text, and returns its sequence when it is stored. While there is no connection, Post waits; a post that was not
// acknowledged is sent again on the next connection. If the server cannot take it at the moment, because of a limit or
// because its store is unavailable, it is sent again after a pause, until ctx ends. At most 1,000 posts wait for their
// answers; further calls wait for one of them. Posts of one goroutine are stored in its order.
//
// The error is a *Refused, ctx's, or ErrNotConnected if the Chat has ended. In the latter two cases the message may or may
// not be stored. Callbacks must not call Post, since they would wait for themselves.
func (c *Chat) Post(ctx context.Context, text string) (seq uint64, err error) {
	return c.PostID(ctx, rand.Text(), text)
}

// PostID is like Post, with an id that the caller chooses, of 1 to 64 characters. Within five minutes, the same id from
// the same session is the same message. So a message that may or may not be stored can be posted again.
func (c *Chat) PostID(ctx context.Context, id, text string) (seq uint64, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return 0, fmt.Errorf("client: post: %w", context.Cause(ctx))
	case <-c.done:
		return 0, c.notConnected()
	}
	p, err := c.enqueue(id, text)
	if err != nil {
		return 0, err
	}
	select {
	case <-p.answered:
	case <-ctx.Done():
		c.mu.Lock()
		c.settle(p, 0, fmt.Errorf("client: post: %w", context.Cause(ctx))) // unless it is
		c.mu.Unlock()
	}
	return p.seq, p.err
}

// enqueue makes a post, and sends it if possible.
func (c *Chat) enqueue(id, text string) (*post, error) {
	data, err := json.Marshal(map[string]string{"type": "post", "id": id, "text": text})
	switch {
	case err != nil:
		return nil, fmt.Errorf("client: post: %w", err)
	case !utf8.ValidString(id) || id == "":
		return nil, &Refused{"bad_id", "the id must be UTF-8, and not empty"}
	case !utf8.ValidString(text):
		return nil, &Refused{"bad_text", "the text must be UTF-8"}
	case len(data) > maxFrame: // a message past the server's limit would end the connection
		return nil, &Refused{"bad_text", "the text is too long"}
	}
	p := &post{id: id, text: text, message: ws.Message{Opcode: ws.Text, Data: data}, answered: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEnded {
		return nil, c.notConnectedLocked()
	}
	if slices.ContainsFunc(c.queue, func(q *post) bool { return q.id == id }) {
		return nil, &Refused{"bad_id", "a post with this id is in flight"}
	}
	c.queue = append(c.queue, p)
	c.transmit()
	return p, nil
}

// settle ends a post; mu is held. A post in flight stays in sent until it is answered.
func (c *Chat) settle(p *post, seq uint64, err error) {
	i := slices.Index(c.queue, p)
	if i < 0 {
		return // it has ended
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	p.seq, p.err = seq, err
	close(p.answered)
}

// transmit sends waiting posts, as many as the window allows; mu is held.
func (c *Chat) transmit() {
	if c.send == nil || c.paused {
		return
	}
	for _, p := range c.queue {
		if len(c.sent) >= window {
			return
		}
		if p.inFlight {
			continue
		}
		if c.send(p.message) != nil {
			return // the connection is about to end, or its buffer is full, and then an answer will come
		}
		p.inFlight = true
		c.sent = append(c.sent, p)
	}
}

// joined is called when the history has come. send sends on the new connection.
func (c *Chat) joined(send func(ws.Message) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send, c.paused = send, false
	c.transmit()
}

// disconnected makes the posts sent on the last connection wait for the next one.
func (c *Chat) disconnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send = nil
	for _, p := range c.sent {
		p.inFlight = false
	}
	c.sent = nil
}

// acknowledged is called when a post is stored.
func (c *Chat) acknowledged(id string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.answered(id); p != nil {
		c.settle(p, seq, nil)
	}
	c.pauses = 0
	c.transmit()
}

// refusedPost is called when a post is not stored.
func (c *Chat) refusedPost(id string, why *Refused) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.answered(id)
	switch {
	case why.Code == "rate_limited" || why.Code == "unavailable":
		c.hold()
	case p != nil:
		c.settle(p, 0, why)
	}
	c.transmit()
}

// answered removes the answered post from sent; mu is held. A server answers in order, so an answer without an id, such
// as to a post with a bad id, is for the oldest post.
func (c *Chat) answered(id string) *post {
	i := slices.IndexFunc(c.sent, func(p *post) bool { return id == "" || p.id == id })
	if i < 0 {
		return nil
	}
	p := c.sent[i]
	c.sent = slices.Delete(c.sent, i, i+1)
	p.inFlight = false
	return p
}

// hold pauses sending; mu is held. Posts that were already sent are most likely refused, too, and do not make the pause
// longer.
func (c *Chat) hold() {
	if c.paused {
		return
	}
	c.paused = true
	least := doubled(firstMove, c.pauses)
	c.pauses++
	wait := least + time.Duration(c.config.random()*float64(least))
	select {
	case <-c.pause: // of the last connection
	default:
	}
	c.pause <- wait
}

// resume ends a pause.
func (c *Chat) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = false
	c.transmit()
}

// end ends all posts, since the Chat has ended.
func (c *Chat) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isEnded, c.why = true, err
	for len(c.queue) > 0 {
		c.settle(c.queue[0], 0, c.notConnectedLocked())
	}
}

func (c *Chat) notConnected() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notConnectedLocked()
}

func (c *Chat) notConnectedLocked() error {
	if c.why == nil {
		return ErrNotConnected
	}
	return fmt.Errorf("%w: %w", ErrNotConnected, c.why)
}
