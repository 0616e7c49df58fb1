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
	complete uint64       // nothing after this sequence was discarded from the stream
	messages []remembered // oldest first
	bytes    int
}

// add puts the newest message in, and the oldest out when there are more than keep.
func (w *window) add(m remembered, keep int) {
	w.messages = append(w.messages, m)
	w.bytes += len(m.json)
	drop := 0
	for w.bytes > windowBytes || len(w.messages)-drop > keep {
		w.from = w.messages[drop].seq
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
func (r *room) firstWindow(ctx context.Context, entries []broker.Entry, tail uint64) error {
	from, complete := uint64(0), uint64(0)
	if len(entries) == newest {
		from = entries[0].Seq - 1
		complete = from
	} else {
		var err error
		if complete, err = r.bottom(ctx, r.decodeAll(entries)); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = window{cursor: tail, from: from, complete: complete}
	for _, m := range r.decodeAll(entries) {
		r.held.add(m, r.chat.config.Keep)
	}
	return nil
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
	r.mu.Lock()
	w := r.held
	messages = w.after(after)
	r.mu.Unlock()
	switch {
	case !hasAfter && len(messages) > newest:
		return messages[len(messages)-newest:], false, w.cursor, nil
	case !hasAfter:
		return messages, w.from == 0 && len(messages) < r.chat.config.Keep, w.cursor, nil
	case after >= w.from:
		return messages, after >= w.complete, w.cursor, nil
	}
	return r.extend(ctx, after)
}

// reach waits until this node has seen a sequence that another may have shown already, and reports
// whether there is such a one.
func (r *room) reach(ctx context.Context, seq uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	asked := false
	for {
		r.mu.Lock()
		cursor := r.held.cursor
		r.mu.Unlock()
		if seq <= cursor {
			return true, nil
		}
		if !asked {
			asked = true
			tail, err := r.chat.entries.Tail(ctx, r.name)
			if err != nil {
				return false, err
			}
			if seq > tail {
				return false, nil
			}
		}
		select {
		case <-time.After(reachPoll):
		case <-ctx.Done():
			return false, fmt.Errorf("%w: sequence %d was not reached", broker.ErrUnavailable, seq)
		}
	}
}

// extend reads what the window lacks after a sequence: once for all who ask, if the window can hold it.
func (r *room) extend(ctx context.Context, after uint64) (messages []remembered, complete bool, upTo uint64, err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.mu.Lock()
	w := r.held
	r.mu.Unlock()
	if after >= w.from { // another has read it meanwhile
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
	entries, err := r.chat.entries.Between(ctx, r.name, from, w.from+1, r.chat.config.Keep)
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
	bytes := 0
	for _, m := range older {
		bytes += len(m.json)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.from > w.from { // what came meanwhile pushed some out of the window
		return nil, false, 0, fmt.Errorf("%w: the room is too busy", broker.ErrUnavailable)
	}
	together := window{r.held.cursor, from, bottom, slices.Concat(older, r.held.messages), bytes + r.held.bytes}
	if together.bytes <= windowBytes && len(together.messages) <= r.chat.config.Keep {
		r.held = together
	}
	return together.after(after), after >= bottom, together.cursor, nil
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
				f, err := ws.NewFrame(m.frame())
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
