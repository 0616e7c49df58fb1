package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// defaultLost is how long a cluster's stream must end before a sequence that was seen, until an epoch begins: a server
// that was the leader may not know yet that it no longer is.
const defaultLost = 15 * time.Second

// openStream creates the Log's stream, or updates it to the configuration. made says which.
func (l *Log) openStream(ctx context.Context) (info *jetstream.StreamInfo, made bool, err error) {
	for {
		s, err := l.broker.js.Stream(ctx, l.stream)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			info, err = l.createStream(ctx)
			made = true
		case err == nil:
			info, err = l.updateStream(ctx, s.CachedInfo())
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was first
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("cannot open the stream %s: %w", l.stream, err)
		}
		return info, made, nil
	}
}

// createStream creates a stream that begins with a sequence that no earlier stream can have had.
func (l *Log) createStream(ctx context.Context) (*jetstream.StreamInfo, error) {
	want := l.streamConfig()
	want.FirstSeq = max(epochStart(), l.config.After+1)
	l.least.Store(want.MaxMsgsPerSubject)
	es := epochs{{From: want.FirstSeq}}
	l.known.Store(&es)
	want.Metadata = l.metadata(nil)
	return l.broker.makeStream(ctx, want, l.broker.js.CreateStream)
}

// updateStream updates the stream to the configuration, and keeps its epochs. NATS cannot update a stream on the
// condition that nobody else has: so nothing is written if nothing changes, and a node that knows of a newer epoch than
// the stream puts that back (see adopt).
func (l *Log) updateStream(ctx context.Context, info *jetstream.StreamInfo) (*jetstream.StreamInfo, error) {
	has, want := info.Config, l.streamConfig()
	es, err := epochsOf(has)
	if err != nil {
		return nil, err
	}
	switch {
	case l.broker.server != nil: // only we know its messages, and we do not know what happened while we were stopped
		es = es.trim(min(info.State.FirstSeq, info.State.LastSeq)).begin(info.State.LastSeq, max(epochStart(), l.config.After+1), false)
	case es == nil:
		es = epochs{{From: 1}}
	}
	l.known.Store(&es)
	l.least.Store(min(leastOf(has), want.MaxMsgsPerSubject))
	want.FirstSeq = has.FirstSeq
	want.Metadata = l.metadata(has.Metadata)
	if isBrought(has, want, l.broker.replicas()) {
		return info, nil
	}
	if has.MaxMsgsPerSubject != want.MaxMsgsPerSubject || has.MaxAge != want.MaxAge || has.MaxBytes != want.MaxBytes {
		l.broker.log.Warn("the stream's limits are changed, for all nodes; messages past them are discarded", "stream", l.stream,
			"messages of a topic", want.MaxMsgsPerSubject, "before", has.MaxMsgsPerSubject, "time", want.MaxAge, "before", has.MaxAge,
			"bytes", want.MaxBytes, "before", has.MaxBytes)
	}
	return l.broker.makeStream(ctx, want, l.broker.js.UpdateStream)
}

// isBrought reports whether a stream has the settings we want. Others are NATS' or an operator's.
func isBrought(has, want jetstream.StreamConfig, replicas int) bool {
	return has.Replicas == replicas && slices.Equal(has.Subjects, want.Subjects) && maps.Equal(has.Metadata, want.Metadata) &&
		has.Retention == want.Retention && has.Discard == want.Discard && has.MaxMsgsPerSubject == want.MaxMsgsPerSubject &&
		has.MaxAge == want.MaxAge && has.MaxBytes == want.MaxBytes && has.MaxMsgSize == want.MaxMsgSize &&
		has.Duplicates == want.Duplicates && has.AllowDirect == want.AllowDirect &&
		has.RePublish != nil && *has.RePublish == *want.RePublish
}

func (l *Log) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              l.stream,
		Subjects:          []string{l.subject("*")},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld, // so that a full log still accepts messages
		MaxMsgsPerSubject: int64(l.config.PerTopic),
		MaxAge:            l.config.MaxAge,
		MaxBytes:          l.config.MaxBytes,
		MaxMsgSize:        64 << 10,
		Duplicates:        l.config.Duplicates,
		AllowDirect:       true,
		RePublish:         &jetstream.RePublish{Source: l.subject("*"), Destination: l.liveSubject("{{wildcard(1)}}")},
	}
}

// metadata returns the metadata that the stream has, with what a Log keeps there.
func (l *Log) metadata(has map[string]string) map[string]string {
	all := maps.Clone(has)
	if all == nil {
		all = map[string]string{}
	}
	all[epochsKey] = l.epochs().String()
	all[leastKey] = strconv.FormatInt(l.least.Load(), 10)
	return all
}

// leastOf returns the lowest number of messages of a topic that a stream ever kept.
func leastOf(c jetstream.StreamConfig) int64 {
	least, err := strconv.ParseInt(c.Metadata[leastKey], 10, 64)
	if err != nil {
		return c.MaxMsgsPerSubject
	}
	return min(least, c.MaxMsgsPerSubject)
}

// endsBefore reports whether the stream, which ends at NATS' sequence last, has lost its end: the next message would be shown
// under a sequence that was already seen.
func (l *Log) endsBefore(last, highest uint64) bool { return l.epochs().seq(last+1) <= highest }

// adopt takes over what another node has changed. If the stream lacks the newest epoch, because another node overwrote it
// when it began, or an operator restored an older copy, adopt puts it back.
func (l *Log) adopt(ctx context.Context, c jetstream.StreamConfig) {
	l.least.Store(min(leastOf(c), int64(l.config.PerTopic)))
	has, err := epochsOf(c)
	if err != nil || has == nil || has.String() == l.epochs().String() {
		return
	}
	if l.broker.server != nil { // no other node begins epochs
		return
	}
	es := l.epochs().newer(has)
	if es.String() != has.String() {
		if _, err := l.writeEpochs(ctx, c, es); err != nil {
			l.broker.log.Warn("the stream lacks its newest epoch", "stream", l.stream, "error", err)
		}
		return
	}
	l.known.Store(&es)
	newest := es[len(es)-1]
	if !newest.Lost {
		return
	}
	l.twice.Store(0)
	l.resume = time.Now().Add(2 * l.broker.config.Compare)
	l.rounds, l.tails = 0, nil
	for _, f := range l.allFollowers() {
		f.rewind(newest.From - 1)
	}
}

// writeEpochs stores epochs in the metadata of a stream with configuration c.
func (l *Log) writeEpochs(ctx context.Context, c jetstream.StreamConfig, es epochs) (jetstream.StreamConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[epochsKey] = es.String()
	s, err := l.broker.js.UpdateStream(ctx, c)
	if err != nil {
		return c, fmt.Errorf("%w: store the epochs of the stream %s: %w", ErrUnavailable, l.stream, err)
	}
	return s.CachedInfo().Config, nil
}

// beginAfterLoss begins an epoch after the last message that the stream still has, as far as this node knows: messages
// stored since then are new, and were not acknowledged.
func (l *Log) beginAfterLoss(ctx context.Context, info *jetstream.StreamInfo, highest uint64) error {
	end := info.State.LastSeq
	if twice := l.twice.Load(); twice > 0 {
		end = min(end, twice-1)
	}
	es := l.epochs().begin(end, max(epochStart(), highest+1), true)
	c, err := l.writeEpochs(ctx, info.Config, es)
	if err != nil {
		return err
	}
	had := l.epochs().seq(end)
	l.adopt(ctx, c)
	l.broker.log.Error("the stream has lost its end, and continues; clients that saw lost messages are told that messages are missing",
		"stream", l.stream, "ends", had, "had", highest)
	return nil
}
