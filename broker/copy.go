package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	copyBatch  = 500                    // entries, at most, that Copy hands over at a time
	copyWait   = 20 * time.Millisecond  // for more of them
	copyIdle   = 3 * time.Second        // without an entry, until the stream is asked whether there is one
	copyRounds = 2                      // how often the stream may have entries that do not come
	copyEnd    = 300 * time.Millisecond // for deleting a consumer
)

// Copy hands every entry after a sequence to keep, in order, in batches of at most 500, and then new ones as they
// come, until ctx ends or keep fails. While none come, it calls keep with no entries about every three seconds. It
// returns keep's error, or ErrUnavailable if the broker was silent for about ten seconds, or sent nothing although there
// was something to copy. Then begin again after the last entry kept.
func (l *Log) Copy(ctx context.Context, after uint64, keep func(batch []Entry) error) error {
	making, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	raw, _ := l.epochs().floor(after)
	// Not nats.go's ordered consumer: that keeps trying to repair itself, and reports nothing.
	consumer, err := l.broker.js.CreateConsumer(making, l.stream, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       raw + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        1,
		Replicas:          1,
		MemoryStorage:     true,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), copyEnd)
		defer cancel()
		l.broker.js.DeleteConsumer(ending, l.stream, consumer.CachedInfo().Name) // otherwise it ends by itself in a minute
	}()
	c := &copying{log: l, consumer: consumer, keep: keep, last: after}
	for err == nil {
		err = c.fetch(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// copying is one call of Copy.
type copying struct {
	log       *Log
	consumer  jetstream.Consumer
	keep      func(batch []Entry) error
	last      uint64 // sequence handed to keep
	delivered uint64 // how many the consumer has sent
	missed    int    // rounds without an entry, though the stream has some
}

// fetch asks the consumer once, and hands over what comes within a few seconds.
func (c *copying) fetch(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, copyIdle)
	defer cancel()
	answers, err := c.consumer.Fetch(2*copyBatch, jetstream.FetchContext(waiting))
	if err != nil {
		return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
	}
	before := c.last
	for open := true; open; {
		var batch []Entry
		if batch, open, err = c.gather(answers.Messages()); err != nil {
			return err
		}
		if len(batch) == 0 {
			continue
		}
		if err := c.keep(batch); err != nil {
			return err
		}
		c.last = batch[len(batch)-1].Seq
	}
	switch err := answers.Error(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
	case c.last > before:
		c.missed = 0
		return nil
	}
	return c.idle(ctx)
}

// gather waits for one entry, and a moment for more; open says whether more can come.
func (c *copying) gather(messages <-chan jetstream.Msg) (batch []Entry, open bool, err error) {
	var more <-chan time.Time
	for len(batch) < copyBatch {
		select {
		case m, ok := <-messages:
			if !ok {
				return batch, false, nil
			}
			meta, err := m.Metadata()
			if err != nil {
				return nil, false, fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
			}
			if c.delivered++; meta.Sequence.Consumer != c.delivered {
				return nil, false, fmt.Errorf("%w: copy: an entry was lost in transit", ErrUnavailable)
			}
			batch = append(batch, Entry{Topic: topicOf(m.Subject()), Seq: c.log.epochs().seq(meta.Sequence.Stream), Data: m.Data()})
			if more == nil {
				more = time.After(copyWait)
			}
		case <-more:
			return batch, true, nil
		}
	}
	return batch, true, nil
}

// idle asks the stream whether there was really nothing to copy.
func (c *copying) idle(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, copyIdle)
	defer cancel()
	last, err := c.log.Last(asking)
	if err != nil {
		return err
	}
	if last <= c.last {
		c.missed = 0
	} else if c.missed++; c.missed == copyRounds {
		return fmt.Errorf("%w: copy: the stream goes up to %d, and sends nothing after %d", ErrUnavailable, last, c.last)
	}
	return c.keep(nil)
}

// Last returns the sequence of the last entry that is held, of any topic, as the stream's leader knows it, or 0. The
// stream's own end (see State) may be higher if its last entries were deleted.
func (l *Log) Last(ctx context.Context) (uint64, error) { return l.Tail(ctx, "*") }

// Held returns up to 256 entries of all topics between two sequences (both exclusive), oldest first. Fewer than 256
// mean that no more are held.
func (l *Log) Held(ctx context.Context, after, before uint64) ([]Entry, error) {
	if after+1 >= before {
		return nil, nil
	}
	most := int(min(batchSize, before-after)) // with one beyond, which shows that there are no more
	for {
		entries, _, err := l.batch(ctx, get{Seq: after + 1, Next: l.subject("*"), Batch: most})
		if err != nil {
			return nil, err
		}
		upTo := after
		for i, e := range entries {
			if e.Seq >= before {
				return entries[:i], nil
			}
			upTo = e.Seq
		}
		if len(entries) == most {
			return entries, nil
		}
		// The replica that answered may lack the newest entries; it has everything before those it has.
		if last, err := l.Last(ctx); err != nil || last <= upTo {
			return entries, err
		}
		select {
		case <-time.After(attemptWait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: read: %w", ErrUnavailable, ctx.Err())
		}
	}
}
