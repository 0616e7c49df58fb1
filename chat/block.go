package chat

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"echows/broker"
	"echows/ws"
)

const (
	pageMessages = 500       // of one page of a history, at most
	pageBytes    = 256 << 10 // of one page on the wire, at most
	pageFrame    = 128       // bytes of a page besides its messages, at most
	manyBytes    = 16 << 20  // of pages for single members that are being sent; past that, such pages are short
	shortBytes   = 8 << 10   // of a short page: thousands of members may read slowly
	tailBytes    = 192 << 10 // of a room's newest messages in memory
	staleTime    = time.Minute
)

// remembered is a message as histories contain it.
type remembered struct {
	seq  uint64
	at   time.Time
	json []byte
}

// block holds consecutive messages of a room in memory: all that the room has between two sequences.
type block struct {
	room     *room
	after    uint64       // exclusive
	upTo     uint64       // inclusive; for the newest block, the last sequence received
	whole    bool         // the room has nothing before the block, and never had
	messages []remembered // oldest first
	bytes    int
	loaded   time.Time // when it was read, unless it is the newest: the limits may have discarded its messages since

	frames [2]*ws.Prepared // the whole block as a page, incomplete and complete; made when a client needs it

	place shelved // the shelf's
}

// has reports whether the block has everything after a sequence, up to its own end.
func (b *block) has(seq uint64) bool { return b.after <= seq && seq < b.upTo }

// since returns the messages after a sequence.
func (b *block) since(seq uint64) []remembered {
	i, _ := slices.BinarySearchFunc(b.messages, seq+1, func(m remembered, seq uint64) int { return cmp.Compare(m.seq, seq) })
	return slices.Clip(b.messages[i:])
}

// newest returns the last message's sequence.
func (b *block) newest() uint64 {
	if n := len(b.messages); n > 0 {
		return b.messages[n-1].seq
	}
	return b.after
}

// dropOldest makes the block begin later. The room is locked.
func (b *block) dropOldest(n int) {
	if n == 0 {
		return
	}
	b.after, b.whole = b.messages[n-1].seq, false
	for _, m := range b.messages[:n] {
		b.bytes -= len(m.json)
	}
	b.messages = b.messages[n:]
	b.room.chat.shelf.shrunk(b, b.sizeLocked())
}

// frame returns the whole block as a page, encoded once for all clients. It is never the last page. The room is not
// locked while it is made, so two goroutines may make it at the same time.
func (b *block) frame(complete bool) *ws.Prepared {
	i := 0
	if complete {
		i = 1
	}
	b.room.mu.Lock()
	f := b.frames[i]
	b.room.mu.Unlock()
	if f != nil {
		return f
	}
	f, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: historyFrame(b.messages, complete, true)})
	if err != nil {
		panic(err) // cannot happen: encoding/json made it
	}
	b.room.mu.Lock()
	b.frames[i] = f
	b.room.mu.Unlock()
	b.room.chat.shelf.grew(b)
	return f
}

// sizeLocked returns about how many bytes the block takes.
func (b *block) sizeLocked() int {
	size := b.bytes + perMessage*len(b.messages)
	for _, f := range b.frames {
		if f != nil {
			size += b.bytes
		}
	}
	return size
}

// historyFrame encodes one page.
func historyFrame(messages []remembered, complete, more bool) []byte {
	size := pageFrame
	for _, m := range messages {
		size += len(m.json) + 1
	}
	data := append(make([]byte, 0, size), `{"type":"history","messages":[`...)
	for i, m := range messages {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(data, m.json...)
	}
	data = append(data, `],"complete":`...)
	data = strconv.AppendBool(data, complete)
	data = append(data, `,"more":`...)
	return append(strconv.AppendBool(data, more), '}')
}

// firstBytes returns the first messages, at least one, that fit into a page of that many bytes.
func firstBytes(messages []remembered, bytes int) []remembered {
	size := pageFrame
	for i, m := range messages {
		if size += len(m.json) + 1; i > 0 && (size > bytes || i == pageMessages) {
			return messages[:i]
		}
	}
	return messages
}

// cursor returns the last sequence received.
func (r *room) cursor() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tail.upTo
}

// has reports whether the messages after a sequence are in memory, or are the next that the room receives.
func (r *room) has(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked()
	return r.blockLocked(seq) != nil
}

// blockLocked returns the block with the messages after a sequence, or nil.
func (r *room) blockLocked(seq uint64) *block {
	if r.tail.has(seq) || seq == r.tail.upTo {
		return &r.tail
	}
	i, _ := slices.BinarySearchFunc(r.blocks, seq, func(b *block, seq uint64) int {
		switch {
		case b.has(seq):
			return 0
		case b.after > seq:
			return 1
		}
		return -1
	})
	if i < len(r.blocks) && r.blocks[i].has(seq) {
		return r.blocks[i]
	}
	return nil
}

// trimLocked drops messages that the stream's limits discard, and those past the memory limits.
func (r *room) trimLocked() {
	cfg, now := r.chat.config, time.Now()
	t, drop := &r.tail, 0
	for size := t.bytes; drop < len(t.messages); drop++ {
		kept := len(t.messages) - drop
		if size <= tailBytes && kept <= pageMessages && kept <= cfg.Keep && (r.chat.archive != nil || now.Sub(t.messages[drop].at) <= cfg.MaxAge) {
			break
		}
		size -= len(t.messages[drop].json)
	}
	t.dropOldest(drop)
	r.blocks = slices.DeleteFunc(r.blocks, func(b *block) bool {
		stale := now.Sub(b.loaded) > staleTime || r.chat.archive == nil && len(b.messages) > 0 && now.Sub(b.messages[0].at) > cfg.MaxAge
		if stale {
			r.chat.shelf.remove(b)
		}
		return stale
	})
}

// keep inserts a block in order, without the messages of other blocks, so that each sequence is in only one.
func (r *room) keep(b *block) {
	r.mu.Lock()
	fresh := b.upTo > b.after && r.blockLocked(b.after) == nil && !r.closed
	if fresh {
		next := &r.tail
		if i := slices.IndexFunc(r.blocks, func(other *block) bool { return other.after > b.after }); i >= 0 {
			next = r.blocks[i]
		}
		meets := next.after <= b.upTo
		if meets {
			b.cut(next.after)
		}
		if fresh = len(b.messages) > 0 || !meets; !fresh { // nothing lies between
			next.after = b.after
		}
	}
	var gone []*block
	if fresh {
		i, _ := slices.BinarySearchFunc(r.blocks, b.after, func(b *block, seq uint64) int { return cmp.Compare(b.after, seq) })
		r.blocks = slices.Insert(r.blocks, i, b)
		gone = r.chat.shelf.count(b, b.sizeLocked(), true)
	}
	r.mu.Unlock()
	forget(gone)
}

// cut makes the block end at a sequence.
func (b *block) cut(upTo uint64) {
	for n := len(b.messages); n > 0 && b.messages[n-1].seq > upTo; n-- {
		b.bytes -= len(b.messages[n-1].json)
		b.messages = b.messages[:n-1]
	}
	b.upTo = upTo
}

// forgetBlock drops a block, because all rooms together remember too much.
func (r *room) forgetBlock(b *block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b == &r.tail {
		b.dropOldest(len(b.messages))
		b.messages = nil
		b.after = b.upTo
		return
	}
	r.blocks = slices.DeleteFunc(r.blocks, func(one *block) bool { return one == b })
	r.chat.shelf.remove(b) // it may have been counted again since it was removed
}

// newBlock makes a block of the messages after a sequence, as many as fit into a page. It ends at end if all fit.
func (r *room) newBlock(after uint64, messages []remembered, end uint64) *block {
	b := &block{room: r, after: after, upTo: end, messages: messages, loaded: time.Now()}
	if first := firstBytes(messages, pageBytes); len(first) < len(messages) {
		b.messages = first
		b.upTo = first[len(first)-1].seq
	}
	for _, m := range b.messages {
		b.bytes += len(m.json)
	}
	return b
}

// readBlock reads the messages after a sequence from the stream, or from its copy in the database, and reports whether
// none is missing in between. The block is nil if the replica of the stream that answered lags behind.
func (r *room) readBlock(ctx context.Context, after uint64) (b *block, whole bool, err error) {
	p, err := r.chat.entries.After(ctx, r.name, after, pageMessages, pageBytes)
	if err != nil {
		return nil, false, err
	}
	if len(p.Entries) == 0 {
		tailAfter := r.tailAfter()
		if after >= tailAfter {
			return nil, false, nil
		}
		if held, err := r.chat.entries.Tail(ctx, r.name); err != nil || held > after {
			return nil, false, err // the replica lags behind
		}
		if p.Whole { // nothing lies between
			return r.newBlock(after, nil, tailAfter), true, nil
		}
		return r.newBlock(tailAfter, nil, tailAfter), false, nil
	}
	first, end := p.Entries[0].Seq, p.Entries[len(p.Entries)-1].Seq
	messages := r.decodeAll(p.Entries)
	at := after
	if !p.Whole {
		at = first - 1
	}
	if r.chat.archive != nil && (!p.Whole || r.chat.entries.Begins(after, end)) {
		return r.withArchive(ctx, after, p, messages)
	}
	return r.newBlock(at, messages, end), p.Whole, nil
}

// withArchive adds the messages that only the copy in the database has.
func (r *room) withArchive(ctx context.Context, after uint64, p broker.Page, messages []remembered) (b *block, whole bool, err error) {
	first, end := p.Entries[0].Seq, p.Entries[len(p.Entries)-1].Seq
	rows, err := r.chat.archive.newer(ctx, r.name, after, end, pageMessages)
	if err != nil {
		r.chat.noDatabase(ctx, r.name, err)
		at := after
		if !p.Whole {
			at = first - 1
		}
		return r.newBlock(at, messages, end), p.Whole && after >= r.chat.entries.Start(), nil
	}
	switch whole = p.Whole; {
	case p.Whole: // except from a stream before this one: nobody knows how much of that was copied
		whole = len(rows) == 0 || rows[0].Seq >= r.chat.entries.Start()
	case p.Known:
		if whole, err = r.chat.archive.whole(ctx, after, first); err != nil {
			return nil, false, err
		}
	}
	if len(rows) == pageMessages { // there may be more, before the stream's messages
		end = rows[len(rows)-1].Seq
	}
	messages = slices.Concat(rememberAll(rows), messages)
	slices.SortStableFunc(messages, func(a, b remembered) int { return cmp.Compare(a.seq, b.seq) })
	messages = slices.CompactFunc(messages, func(a, b remembered) bool { return a.seq == b.seq })
	for len(messages) > 0 && messages[len(messages)-1].seq > end {
		messages = messages[:len(messages)-1]
	}
	at := after
	if !whole && len(messages) > 0 {
		at = messages[0].seq - 1
	}
	return r.newBlock(at, messages, end), whole, nil
}

func (r *room) tailAfter() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tail.after
}

// readNewest reads the newest messages up to a sequence. last is the room's last sequence up to there, according to the
// stream's leader, or 0.
func (r *room) readNewest(ctx context.Context, upTo, last uint64) (*block, error) {
	all, err := r.chat.entries.After(ctx, r.name, 0, newest+1, pageBytes)
	if err != nil {
		return nil, err
	}
	whole := all.Whole && r.chat.entries.Sure(0) // if there are fewer than newest
	entries, err := r.newestUpTo(ctx, upTo, last)
	if err != nil {
		return nil, err
	}
	b := r.newBlock(upTo, nil, upTo)
	b.messages = r.decodeAll(entries)
	if len(entries) > 0 {
		b.after = entries[0].Seq - 1
	}
	if missing := newest - len(entries); missing > 0 && r.chat.archive != nil {
		rows, err := r.chat.archive.older(ctx, r.name, b.after+1, missing)
		if err != nil {
			r.chat.noDatabase(ctx, r.name, err)
		}
		whole = whole && err == nil && len(rows) == 0
		b.messages = slices.Concat(rememberAll(rows), b.messages)
		if len(rows) > 0 {
			b.after = rows[0].Seq - 1
		}
	}
	for _, m := range b.messages {
		b.bytes += len(m.json)
	}
	if len(entries) < newest && whole {
		b.whole, b.after = true, 0
	}
	return b, nil
}

// newestUpTo returns the newest entries up to a sequence; last is the last of them. It waits for them, as the replica
// that answers may lag behind.
func (r *room) newestUpTo(ctx context.Context, upTo, last uint64) ([]broker.Entry, error) {
	for {
		entries, err := r.chat.entries.Before(ctx, r.name, upTo+1, newest)
		if err != nil || last == 0 || len(entries) > 0 && entries[len(entries)-1].Seq >= last {
			return entries, err
		}
		if _, held, err := r.chat.entries.At(ctx, last); err != nil || !held { // deleted in the meantime
			return entries, err
		}
		if err := pause(ctx, reachPoll); err != nil {
			return nil, err
		}
	}
}
