package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batchSize is the maximum number of messages that one request reads.
const batchSize = 256

// get is a request for messages of the stream (ADR-31, "direct get"). Any replica may answer, so the newest
// messages may be missing from the answer for a few milliseconds.
type get struct {
	Seq   uint64   `json:"seq,omitempty"`
	Next  string   `json:"next_by_subj,omitempty"`
	Batch int      `json:"batch,omitempty"`
	Last  []string `json:"multi_last,omitempty"`
	Bytes int      `json:"max_bytes,omitempty"` // after this many, a batch ends
}

// copyTime is the timeout for the first answer of a replica, doubled for a second attempt: the servers may choose any
// replica, even one whose server has stopped.
const copyTime = 500 * time.Millisecond

// batch sends a request to a replica, and again if that does not answer, until one does. pending is the number of messages
// that follow the first one.
func (l *Log) batch(ctx context.Context, g get) (entries []Entry, pending int, err error) {
	ctx, cancel := l.broker.during(ctx, requestTime)
	defer cancel()
	body, err := json.Marshal(g)
	if err != nil {
		return nil, 0, fmt.Errorf("broker: %w", err)
	}
	for _, wait := range []time.Duration{copyTime, 2 * copyTime} {
		if l.broker.server != nil { // which has the only copy
			break
		}
		if entries, pending, err = l.askCopy(ctx, wait, body); err != errSilent {
			return entries, pending, err
		}
	}
	return l.askCopy(ctx, 2*requestTime, body) // until ctx ends: the copy may only be slow
}

var errSilent = errors.New("a copy of the stream is silent")

// askCopy sends one request and collects its answers. The error is errSilent if none has come after wait.
func (l *Log) askCopy(ctx context.Context, wait time.Duration, request []byte) (entries []Entry, pending int, err error) {
	part := "read the stream " + l.stream
	inbox, err := l.broker.conn.SubscribeSync(l.broker.conn.NewInbox())
	if err != nil {
		return nil, 0, unavailable(ctx, part, err)
	}
	defer inbox.Unsubscribe()
	if err := l.broker.conn.PublishRequest("$JS.API.DIRECT.GET."+l.stream, inbox.Subject, request); err != nil {
		return nil, 0, unavailable(ctx, part, err)
	}
	first, cancel := context.WithTimeoutCause(ctx, wait, errSilent)
	defer cancel()
	m, err := inbox.NextMsgWithContext(first)
	if err != nil && ctx.Err() == nil && context.Cause(first) == errSilent {
		return nil, 0, errSilent
	}
	var before uint64 // the sequence of the previous entry, according to the server
	for ; ; m, err = inbox.NextMsgWithContext(ctx) {
		if err != nil {
			return nil, 0, unavailable(ctx, part, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case strconv.Itoa(http.StatusNoContent): // the end of a batch
			return entries, pending, nil
		case strconv.Itoa(http.StatusNotFound):
			return nil, 0, nil
		default:
			return nil, 0, fmt.Errorf("%w: %s: %s %s", ErrUnavailable, part, status, m.Header.Get("Description"))
		}
		e, last, ok := entry(m)
		if !ok || last != before {
			return nil, 0, fmt.Errorf("%w: %s: an answer is missing", ErrUnavailable, part)
		}
		if before = e.Seq; len(entries) == 0 {
			pending, _ = strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
		}
		entries = append(entries, e)
	}
}

// read returns up to 256 entries of the topic after a sequence, oldest first. An empty result means that there are none, or
// that the replica that answered does not have them yet (see Tail). As in all unexported functions here, sequences are those
// of NATS.
func (l *Log) read(ctx context.Context, topic string, after uint64) ([]Entry, error) {
	entries, _, err := l.batch(ctx, get{Seq: after + 1, Next: l.subject(topic), Batch: batchSize})
	return entries, err
}

// Tail returns the sequence of the topic's last entry, as the stream's leader knows it, or 0.
func (l *Log) Tail(ctx context.Context, topic string) (uint64, error) {
	raw, err := l.tail(ctx, topic)
	if raw == 0 {
		return 0, err
	}
	return l.epochs().seq(raw), err
}

func (l *Log) tail(ctx context.Context, topic string) (uint64, error) {
	m, err := l.broker.leaderGet(ctx, l.stream, map[string]any{"last_by_subj": l.subject(topic)})
	if err != nil || m == nil {
		return 0, err
	}
	return m.Seq, nil
}

// At returns the entry with the given sequence, and whether the stream still holds it. It asks the stream's leader.
func (l *Log) At(ctx context.Context, seq uint64) (Entry, bool, error) {
	raw, exact := l.epochs().floor(seq)
	if raw == 0 || !exact {
		return Entry{}, false, nil
	}
	m, err := l.broker.leaderGet(ctx, l.stream, map[string]any{"seq": raw})
	if err != nil || m == nil {
		return Entry{}, false, err
	}
	return Entry{Topic: topicOf(m.Subject), Seq: seq, Data: m.Data}, true, nil
}

// Page holds a topic's entries after a sequence.
type Page struct {
	Entries []Entry // oldest first
	// Whole reports that the sequence belongs to this stream and that no entry of the topic between it and the first entry
	// was discarded. If it is false, entries may be missing. Sure reports what a stream has lost.
	Whole bool
	// Known reports that the sequence belongs to this stream, not to a lost or different one.
	Known bool
}

// After returns up to limit entries of the topic after a sequence, and whether any before them may be missing. A sequence of
// 0 means from the oldest. It stops after about the given bytes, unless that is 0. The newest entries may be missing, because
// the replica that answers may not have them yet (see Tail).
func (l *Log) After(ctx context.Context, topic string, after uint64, limit, bytes int) (Page, error) {
	es := l.epochs()
	raw, exact := es.floor(after)
	known := exact || after == 0
	if known && after > l.highestSeen() {
		s, err := l.state(ctx)
		if err != nil {
			return Page{}, err
		}
		known = raw <= s.LastSeq
	}
	entries, _, err := l.batch(ctx, get{Seq: max(raw, 1), Next: l.subject(topic), Batch: limit + 1, Bytes: bytes})
	if err != nil {
		return Page{}, err
	}
	p := Page{Known: known}
	held := raw > 0 && len(entries) > 0 && entries[0].Seq == raw
	if held {
		entries = entries[1:]
	}
	if known && held {
		p.Whole = true // since the oldest are dropped first, everything after it is held
	} else if known {
		if p.Whole, err = l.nothingLost(ctx, topic, raw); err != nil {
			return Page{}, err
		}
	}
	p.Entries = l.shown(entries[:min(len(entries), limit)])
	return p, nil
}

// nothingLost reports whether a topic still has all its entries after a sequence, whose own entry is not held.
func (l *Log) nothingLost(ctx context.Context, topic string, after uint64) (bool, error) {
	first, total, err := l.count(ctx, topic, 1)
	if err != nil {
		return false, err
	}
	if total > 0 && first <= after { // an older one is held, and the oldest are dropped first
		return true, nil
	}
	s, err := l.state(ctx)
	if err != nil {
		return false, err
	}
	// The stream's own limits drop its oldest entries, the topic's limit drops the topic's.
	return s.FirstSeq <= max(after+1, l.epochs().first()) && total < int(l.least.Load()), nil
}

// Before returns the last entries of the topic below a sequence, oldest first: limit of them, or fewer
// if no more are held.
func (l *Log) Before(ctx context.Context, topic string, before uint64, limit int) ([]Entry, error) {
	if before == 0 {
		return nil, nil
	}
	raw, _ := l.epochs().floor(before - 1)
	entries, err := l.before(ctx, topic, raw+1, limit)
	return l.shown(entries), err
}

// before searches for the first entry by the number of entries after it, as the stream has no backward index.
func (l *Log) before(ctx context.Context, topic string, before uint64, limit int) ([]Entry, error) {
	first, total, err := l.count(ctx, topic, 1)
	if err != nil || total == 0 || first >= before {
		return nil, err
	}
	_, beyond, err := l.count(ctx, topic, before)
	if err != nil {
		return nil, err
	}
	// low has at least limit entries between it and before, high has fewer.
	low, lowCount, high, highCount := first, total-beyond, before, 0
	slack := limit/2 + 16 // this many extra entries are cheaper to read than to exclude by searching
	for try := 0; lowCount > limit+slack && low+1 < high; try++ {
		middle := low + (high-low)/2
		if try%2 == 0 { // entries are often spread evenly
			part := float64(limit+slack/2-highCount) / float64(lowCount-highCount)
			middle = min(max(high-uint64(part*float64(high-low)), low+1), high-1)
		}
		at, n, err := l.count(ctx, topic, middle)
		if err != nil {
			return nil, err
		}
		switch n -= beyond; {
		case n < limit:
			high, highCount = middle, max(n, 0)
		case at == low: // nothing in between, as other topics have many entries there
			low, lowCount = middle, n
		default:
			low, lowCount = max(middle, min(at, high-1)), n
		}
	}
	entries, err := l.between(ctx, topic, low-1, before, limit)
	if err == nil && len(entries) < limit && low > first { // entries that came in the meantime were counted
		return l.between(ctx, topic, first-1, before, limit)
	}
	return entries, err
}

// between returns the last limit entries of the topic between two sequences (both exclusive), oldest first.
func (l *Log) between(ctx context.Context, topic string, after, before uint64, limit int) ([]Entry, error) {
	var found []Entry
	for {
		more, err := l.read(ctx, topic, after)
		if err != nil {
			return nil, err
		}
		for _, e := range more {
			if after = e.Seq; e.Seq < before {
				found = append(found, e)
			}
		}
		if len(found) > limit {
			found = slices.Clone(found[len(found)-limit:])
		}
		if len(more) < batchSize || after+1 >= before {
			return found, nil
		}
	}
}

// count returns the sequence of the topic's first entry from seq on, and the number of entries from there on.
func (l *Log) count(ctx context.Context, topic string, seq uint64) (first uint64, n int, err error) {
	entries, pending, err := l.batch(ctx, get{Seq: seq, Next: l.subject(topic), Batch: 1})
	if err != nil || len(entries) == 0 {
		return 0, 0, err
	}
	return entries[0].Seq, pending + 1, nil
}

// stored is a message as a stream's leader returns it.
type stored struct {
	Subject string
	Seq     uint64
	Data    []byte
	Time    time.Time
}

// leaderGet asks a stream's leader, which has the newest messages, for one message. It returns nil if there is none.
func (b *Broker) leaderGet(ctx context.Context, stream string, request map[string]any) (*stored, error) {
	ctx, cancel := b.during(ctx, requestTime)
	defer cancel()
	part := "ask the leader of the stream " + stream
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	var m *nats.Msg
	err = b.askLeader(ctx, stream, func(ctx context.Context) (err error) {
		m, err = b.conn.RequestMsgWithContext(ctx, &nats.Msg{Subject: "$JS.API.STREAM.MSG.GET." + stream, Data: body})
		return err
	})
	if err != nil {
		return nil, unavailable(ctx, part, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, unavailable(ctx, part, err)
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case answer.Error != nil:
		return nil, unavailable(ctx, part, answer.Error)
	case answer.Message == nil:
		return nil, unavailable(ctx, part, errors.New("an empty answer"))
	}
	if isRemoval(answer.Message.Header) {
		return nil, nil
	}
	return &stored{answer.Message.Subject, answer.Message.Seq, answer.Message.Data, answer.Message.Time}, nil
}
