package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"echows/broker"
	"echows/ws"
)

const (
	newest    = 50                    // messages of a history without after
	reachTime = 5 * time.Second       // for this node to receive what a member has seen on another
	reachPoll = 10 * time.Millisecond // between two checks
	catchUp   = 64 << 10              // bytes queued for a member without waiting
	loadTime  = 10 * time.Second      // for reading the stream: a replica may lag behind
)

// errOvertaken closes a member that reads more slowly than the stream discards messages.
var errOvertaken = &ws.CloseError{Code: ws.CloseTryAgainLater, Reason: "the room is faster than this connection"}

// sendHistory sends a socket what it missed, page by page, and returns the sequence up to which it has everything.
// It reads each page after the last one was sent, so that nothing is kept for a client that reads slowly.
func (r *room) sendHistory(s *ws.Socket, after uint64, hasAfter bool) (upTo uint64, err error) {
	ctx, counts := askedBy(s.Context(), s.ID()), r.chat.counts
	at, complete, err := r.begin(ctx, after, hasAfter)
	if err != nil {
		return 0, err
	}
	for {
		p, err := r.page(ctx, at)
		if err == errOvertaken && after > 0 {
			counts.recovered(false)
		}
		if err != nil {
			return 0, err
		}
		if p.shared != nil {
			err = s.SendPrepared(p.shared.frame(complete))
		} else {
			data := historyFrame(p.messages, complete, !p.last)
			r.chat.pages.Add(int64(len(data)))
			err = s.Send(ws.Message{Opcode: ws.Text, Data: data})
			r.chat.pages.Add(-int64(len(data)))
		}
		if err != nil {
			return 0, err
		}
		counts.histories.Add(1)
		if p.last {
			if after > 0 { // no message has sequence 0, so it does not mean that a client came back
				counts.recovered(complete)
			}
			return p.upTo, nil
		}
		at = p.upTo
	}
}

// begin returns the sequence after which a history begins, and whether nothing is missing between that and the sequence
// that the client asked for.
func (r *room) begin(ctx context.Context, after uint64, hasAfter bool) (at uint64, complete bool, err error) {
	if err := r.catchUp(ctx); err != nil {
		return 0, false, err
	}
	if !hasAfter {
		return r.beginNewest(ctx)
	}
	if r.has(after) {
		return after, r.chat.entries.Sure(after), nil
	}
	if after > r.cursor() {
		// Another node may have shown it already; or it is from a stream that is gone.
		tail, err := r.chat.entries.Tail(ctx, r.name)
		switch {
		case err != nil:
			return 0, false, err
		case after > tail:
			at, _, err = r.beginNewest(ctx)
			return at, false, err
		}
		if err := r.awaitSeen(ctx, after); err != nil || r.has(after) {
			return after, r.chat.entries.Sure(after), err
		}
	}
	return r.beginBefore(ctx, after)
}

// beginNewest begins with the newest messages.
func (r *room) beginNewest(ctx context.Context) (at uint64, complete bool, err error) {
	r.mu.Lock()
	r.trimLocked()
	tail := &r.tail
	n := len(tail.messages)
	at = tail.after
	if n > newest {
		at = tail.messages[n-newest-1].seq
	}
	cursor, last, enough := tail.upTo, r.last, n >= newest || tail.whole
	complete = tail.whole && n <= newest
	r.mu.Unlock()
	if enough {
		return at, complete, nil
	}
	return r.loadNewest(ctx, cursor, last) // the shelf's limit has dropped them from memory
}

// loadNewest reads the newest messages up to a sequence into memory, once for all callers. last is as for readNewest.
func (r *room) loadNewest(ctx context.Context, cursor, last uint64) (at uint64, complete bool, err error) {
	if err := r.lockLoading(ctx); err != nil {
		return 0, false, err
	}
	defer r.unlockLoading()
	r.mu.Lock()
	begin := r.newest
	held := begin.upTo == cursor && r.blockLocked(begin.at) != nil
	r.mu.Unlock()
	if held { // another goroutine has read them in the meantime
		return begin.at, begin.complete, nil
	}
	leave, err := r.chat.enterLoads(ctx)
	if err != nil {
		return 0, false, err
	}
	defer leave()
	b, err := r.readNewest(ctx, cursor, last)
	if err != nil {
		return 0, false, err
	}
	r.keep(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = beginning{upTo: cursor, at: b.after, complete: b.whole && len(b.messages) <= newest}
	return r.newest.at, r.newest.complete, nil
}

// beginning says where the newest messages begin in a room that has been received up to a sequence.
type beginning struct {
	upTo, at uint64
	complete bool
}

// enterLoads waits for a place among the rooms for which the stream is read.
func (c *Chat) enterLoads(ctx context.Context) (leave func(), err error) {
	select {
	case c.loads <- struct{}{}:
		return func() { <-c.loads }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

// beginBefore begins with messages that are not in memory.
func (r *room) beginBefore(ctx context.Context, after uint64) (at uint64, complete bool, err error) {
	if err := r.lockLoading(ctx); err != nil {
		return 0, false, err
	}
	defer r.unlockLoading()
	if r.has(after) { // another goroutine has read them in the meantime
		return after, r.chat.entries.Sure(after), nil
	}
	at, complete, err = r.load(ctx, after)
	return at, complete && r.chat.entries.Sure(after), err
}

// part is one page.
type part struct {
	messages []remembered
	shared   *block // or a whole block, shared with other members
	upTo     uint64
	last     bool // nothing follows at the moment
}

// page returns the messages after a sequence.
func (r *room) page(ctx context.Context, at uint64) (part, error) {
	for {
		p, ok := r.heldPage(at)
		if ok {
			return p, nil
		}
		if err := r.lockLoading(ctx); err != nil {
			return part{}, err
		}
		var err error
		whole := true
		if !r.has(at) {
			_, whole, err = r.load(ctx, at)
		}
		r.unlockLoading()
		switch {
		case err != nil:
			return part{}, err
		case !whole:
			return part{}, errOvertaken
		}
	}
}

// heldPage is like page, from memory only.
func (r *room) heldPage(at uint64) (part, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked()
	b := r.blockLocked(at)
	switch {
	case b == nil:
		return part{}, false
	case b != &r.tail:
		r.chat.shelf.used(b)
		if at == b.after && len(firstBytes(b.messages, pageBytes)) == len(b.messages) {
			return part{shared: b, upTo: b.upTo}, true
		}
	}
	size := pageBytes
	if r.chat.pages.Load() > manyBytes {
		size = shortBytes
	}
	messages := firstBytes(b.since(at), size)
	p := part{messages: messages, upTo: b.upTo}
	if len(messages) > 0 && messages[len(messages)-1].seq < b.newest() {
		p.upTo = messages[len(messages)-1].seq
	}
	p.last = b == &r.tail && p.upTo == b.upTo
	return p, true
}

// load reads the messages after a sequence into memory, and returns where they begin, and whether none is missing before
// them. The caller has locked loading.
func (r *room) load(ctx context.Context, after uint64) (at uint64, whole bool, err error) {
	leave, err := r.chat.enterLoads(ctx)
	if err != nil {
		return 0, false, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	for {
		b, whole, err := r.readBlock(ctx, after)
		if err != nil {
			return 0, false, err
		}
		if b != nil {
			r.keep(b)
			return b.after, whole, nil
		}
		if r.has(after) {
			return after, true, nil
		}
		if err := pause(ctx, reachPoll); err != nil { // the replica lags behind
			return 0, false, err
		}
	}
}

// catchUp waits for the messages acknowledged on this node: a client that received an acknowledgement expects the message
// in its history.
func (r *room) catchUp(ctx context.Context) error {
	r.mu.Lock()
	stored := r.stored
	r.mu.Unlock()
	return r.awaitSeen(ctx, stored)
}

// awaitSeen waits until this node has received the room's messages up to a sequence.
func (r *room) awaitSeen(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	for wait := time.Millisecond; r.cursor() < seq; wait = min(2*wait, reachPoll) {
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, or returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

// lockLoading makes sure that one goroutine at a time reads the stream for a room. It stops waiting when ctx ends.
func (r *room) lockLoading(ctx context.Context) error {
	select {
	case r.loading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

func (r *room) unlockLoading() { <-r.loading }

// admit makes s, which has everything up to a sequence, a member. First it sends what has come since: while there is
// much, in parts that wait for s to read; then the rest without waiting, so that nothing comes in between.
func (r *room) admit(s *ws.Socket, upTo uint64) error {
	for {
		done, err := r.admitIfNear(s, upTo)
		if done || err != nil {
			return err
		}
		p, err := r.page(askedBy(s.Context(), s.ID()), upTo)
		if err != nil {
			return err
		}
		messages := p.messages
		if p.shared != nil {
			messages = p.shared.messages
		}
		for _, m := range messages {
			if err := s.Send(m.frame()); err != nil {
				return err
			}
		}
		upTo = p.upTo
	}
}

// admitIfNear makes s a member if it lacks little, and sends it that.
func (r *room) admitIfNear(s *ws.Socket, upTo uint64) (done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if upTo < r.tail.after {
		return false, nil
	}
	missed := r.tail.since(upTo)
	if len(firstBytes(missed, catchUp)) < len(missed) {
		return false, nil
	}
	for _, m := range missed {
		f, err := ws.Prepare(m.frame())
		if err != nil {
			return false, err
		}
		s.Offer(f)
	}
	return true, r.chat.hub.Join(r.topic(), s)
}

// isGone reports whether an error says only that the client has left.
func isGone(err error) bool { return errors.Is(err, context.Canceled) || errors.Is(err, ws.ErrClosed) }
