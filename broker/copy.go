package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	copyBatch = 500                   // entries, at most, that Copy hands over at once
	copyWait  = 20 * time.Millisecond // for more of them
)

// Copy hands every entry after a sequence to keep, in order, in batches, and then those that come,
// until ctx ends or keep fails. It returns that error, or what the broker failed of; begin again after
// the last entry kept.
func (l *Log) Copy(ctx context.Context, after uint64, keep func(batch []Entry) error) error {
	raw, _ := l.epochs().floor(after)
	consumer, err := l.broker.js.OrderedConsumer(ctx, l.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   raw + 1,
	})
	if err != nil {
		return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2 * copyBatch))
	if err != nil {
		return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
	}
	defer messages.Stop()
	for {
		batch, err := gather(ctx, messages)
		if len(batch) > 0 {
			if err := keep(l.shown(batch)); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("%w: copy: %w", ErrUnavailable, err)
		}
	}
}

// gather waits for one entry, and a moment for more.
func gather(ctx context.Context, messages jetstream.MessagesContext) (batch []Entry, err error) {
	next := jetstream.NextContext(ctx)
	for len(batch) < copyBatch {
		m, err := messages.Next(next)
		if len(batch) > 0 && (errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)) {
			return batch, nil
		}
		if err != nil {
			return batch, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return batch, err
		}
		batch = append(batch, Entry{Topic: topicOf(m.Subject()), Seq: meta.Sequence.Stream, Data: m.Data()})
		next = jetstream.NextMaxWait(copyWait)
	}
	return batch, nil
}
