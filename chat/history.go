package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"echows/broker"
	"echows/ws"
)

const (
	newest      = 50                    // messages of a history without after
	windowBytes = 4 << 20               // of one room's messages in memory
	reachTime   = 5 * time.Second       // for this node to see what a member has seen on another
	reachPoll   = 10 * time.Millisecond // between two looks
	catchUp     = 64 << 10              // bytes, that are queued for a member without waiting
)

// window is a room's newest messages, so that all who come back at once read the stream once.
type window struct {
	cursor   uint64       // the last sequence seen; the window reaches up to here
	from     uint64       // whatever the stream holds after this sequence is in messages
	whole    bool         // so is whatever it holds before it: the stream discards what the window does
	complete uint64       // nothing after this sequence was discarded from the stream
	messages []remembered // oldest first
	bytes    int
}

// add puts the newest message in, and the oldest out when there are more than are kept.
func (w *window) add(m remembered, cfg Config) {
	w.messages = append(w.messages, m)
	w.bytes += len(m.json)
	w.trim(cfg)
}

// trim drops the messages that are too many, or too old.
func (w *window) trim(cfg Config) {
	drop := 0
	for drop < len(w.messages) &&
		(w.bytes > windowBytes || len(w.messages)-drop > cfg.Keep || time.Since(w.messages[drop].at) > cfg.MaxAge) {
		w.from = w.messages[drop].seq
		w.whole = w.whole && w.bytes <= windowBytes
		if w.whole {
			w.complete = max(w.complete, w.from)
		}
		w.bytes -= len(w.messages[drop].json)
		drop++
	}
	w.messages = w.messages[drop:]
}

// after returns what the window has after a sequence.
func (w *window) after(seq uint64) []remembered {
	i, _ := slices.BinarySearchFunc(w.messages, seq+1, func(m remembered, seq uint64) int {
		return int(int64(m.seq) - int64(seq))
	})
	return slices.Clip(w.messages[i:])
}

// firstWindow is set from the newest entries up to tail.
func (r *room) firstWindow(ctx context.Context, tail uint64) error {
	entries, err := r.newestUpTo(ctx, tail)
	if err != nil {
		return err
	}
	w := window{cursor: tail}
	whole := len(entries) == 0
	if !whole {
		w.from = entries[0].Seq - 1
		w.complete = w.from
		first, err := r.chat.entries.First(ctx, r.name)
		if err != nil {
			return err
		}
		whole = first == entries[0].Seq
	}
	messages := r.decodeAll(entries)
	if whole { // nothing is held below
		w.from, w.whole = 0, true
		if w.complete, err = r.bottom(ctx, messages); err != nil {
			return err
		}
	}
	for _, m := range messages {
		w.add(m, r.chat.config)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = w
	return nil
}

// newestUpTo returns the newest entries up to tail, which the stream's leader knows: the copy that is read
// may not have them all yet.
func (r *room) newestUpTo(ctx context.Context, tail uint64) ([]broker.Entry, error) {
	for {
		entries, err := r.chat.entries.Before(ctx, r.name, tail+1, newest)
		if err != nil || tail == 0 || len(entries) > 0 && entries[len(entries)-1].Seq == tail {
			return entries, err
		}
		if _, held, err := r.chat.entries.At(ctx, tail); err != nil || !held { // deleted meanwhile
			return entries, err
		}
		if err := pause(ctx, reachPoll); err != nil {
			return nil, err
		}
	}
}

// pause waits, or says that there is no time for it.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

// bottom is the sequence after which nothing of the room was discarded, given all that is held of it.
func (r *room) bottom(ctx context.Context, all []remembered) (uint64, error) {
	if len(all) >= r.chat.config.Keep { // the room's own limit may have taken what was before
		return all[0].seq, nil
	}
	first, _, err := r.chat.entries.State(ctx)
	return max(first, 1) - 1, err // the other limits take the stream's oldest
}

func (r *room) decodeAll(entries []broker.Entry) []remembered {
	all := make([]remembered, 0, len(entries))
	for _, e := range entries {
		if m, err := r.chat.decode(e); err == nil {
			all = append(all, m)
		}
	}
	return all
}

// history returns the messages after a sequence, oldest first, whether these are all there were, and the
// sequence they reach up to. Without after they are the newest.
func (r *room) history(ctx context.Context, after uint64, hasAfter bool) (messages []remembered, complete bool, upTo uint64, err error) {
	if hasAfter {
		known, err := r.reach(ctx, after)
		if err != nil {
			return nil, false, 0, err
		}
		hasAfter = known // a sequence that this stream never had, or lost, says nothing
		if !known {
			messages, _, upTo, err = r.history(ctx, 0, false)
			return messages, false, upTo, err
		}
	}
	if err := r.catchUp(ctx); err != nil {
		return nil, false, 0, err
	}
	r.mu.Lock()
	r.held.trim(r.chat.config)
	w := r.held
	messages = w.after(after)
	r.mu.Unlock()
	switch {
	case !hasAfter && len(messages) > newest:
		return messages[len(messages)-newest:], false, w.cursor, nil
	case !hasAfter:
		// With an archive there may be more than the stream holds.
		complete = w.whole && len(messages) < r.chat.config.Keep && (r.chat.archive == nil || w.complete == 0)
		return messages, complete, w.cursor, nil
	case after >= w.from || w.whole:
		return messages, after >= w.complete, w.cursor, nil
	}
	return r.extend(ctx, after)
}

// reach waits until this node has seen a sequence that another may have shown already, and reports
// whether there is such a one.
func (r *room) reach(ctx context.Context, seq uint64) (bool, error) {
	if r.seen(seq) {
		return true, nil
	}
	tail, err := r.chat.entries.Tail(ctx, r.name)
	if err != nil || seq > tail {
		return false, err
	}
	return true, r.awaitSeen(ctx, seq)
}

// catchUp waits for what was acknowledged on this node: who was told so expects it in a history.
func (r *room) catchUp(ctx context.Context) error {
	r.mu.Lock()
	stored := r.stored
	r.mu.Unlock()
	return r.awaitSeen(ctx, stored)
}

func (r *room) seen(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return seq <= r.held.cursor
}

// awaitSeen waits for the follower.
func (r *room) awaitSeen(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	for wait := time.Millisecond; !r.seen(seq); wait = min(2*wait, reachPoll) {
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// extend reads what the window lacks after a sequence: once for all who ask, if the window can hold it.
func (r *room) extend(ctx context.Context, after uint64) (messages []remembered, complete bool, upTo uint64, err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.mu.Lock()
	w := r.held
	r.mu.Unlock()
	if after >= w.from || w.whole { // another has read it meanwhile
		return w.after(after), after >= w.complete, w.cursor, nil
	}
	e, ok, err := r.chat.entries.At(ctx, after)
	if err != nil {
		return nil, false, 0, err
	}
	from := after // whoever has seen a message that is held still misses none after it
	if !ok || e.Topic != r.name {
		from = 0
	}
	entries, err := r.olderThan(ctx, w, from)
	if err != nil {
		return nil, false, 0, err
	}
	older := r.decodeAll(entries)
	bottom := from
	if from == 0 {
		if bottom, err = r.bottom(ctx, slices.Concat(older, w.messages)); err != nil {
			return nil, false, 0, err
		}
	}
	together := window{w.cursor, from, from == 0, bottom, slices.Concat(older, w.messages), w.bytes}
	for _, m := range older {
		together.bytes += len(m.json)
	}
	messages = together.after(after)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.from == w.from && together.bytes <= windowBytes {
		for _, m := range r.held.after(w.cursor) { // came meanwhile
			together.add(m, r.chat.config)
		}
		together.cursor = r.held.cursor
		r.held = together
	}
	return messages, after >= bottom, w.cursor, nil
}

// olderThan reads what the stream holds after a sequence and before a window.
func (r *room) olderThan(ctx context.Context, w window, from uint64) ([]broker.Entry, error) {
	next := w.from + 1
	if len(w.messages) > 0 {
		next = w.messages[0].seq
	}
	for {
		// The window's own first is read as well: a copy that has it has all before it.
		entries, err := r.chat.entries.Between(ctx, r.name, from, next+1, r.chat.config.Keep+1)
		if err != nil {
			return nil, err
		}
		n := len(entries)
		if n > 0 && entries[n-1].Seq == next {
			return entries[:n-1], nil
		}
		if e, held, err := r.chat.entries.At(ctx, next); err != nil || !held || e.Topic != r.name {
			return entries, err
		}
		if err := pause(ctx, reachPoll); err != nil {
			return nil, err
		}
	}
}

// admit makes s a member that has been sent everything up to a sequence. What came meanwhile it gets
// first: by waiting for it to read, while that is much, and then at once, so that nothing comes between.
func (r *room) admit(s *ws.Socket, upTo uint64) error {
	for {
		r.mu.Lock()
		if upTo < r.held.from {
			r.mu.Unlock()
			return &ws.CloseError{Code: ws.CloseTryAgainLater, Reason: "the room is faster than this connection"}
		}
		missed := r.held.after(upTo)
		bytes := 0
		for _, m := range missed {
			bytes += len(m.json)
		}
		if bytes <= catchUp {
			defer r.mu.Unlock()
			for _, m := range missed {
				f, err := ws.Prepare(m.frame())
				if err != nil {
					return err
				}
				s.Offer(f)
			}
			return r.chat.hub.Join(s, r.topic())
		}
		r.mu.Unlock()
		for _, m := range missed {
			if err := s.Send(m.frame()); err != nil {
				return err
			}
			upTo = m.seq
		}
	}
}
