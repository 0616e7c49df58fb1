package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	journalInFlight = 1024        // entries and values that wait to be sent or acknowledged; past it callers wait
	journalWait     = time.Second // for a place among them
	journalHeaders  = 1024        // bytes that a message may have beside its entry
	journalKey      = 128         // bytes of a key
)

// appending is an entry or a value that waits to be stored.
type appending struct {
	topic string   // of an entry
	m     nats.Msg // its subject is known when it is sent, unless it is a value
	done  func(error)
	until time.Time // a stream is waited for
}

// sent is one that waits for its acknowledgement, unless it failed before.
type sent struct {
	appending
	ack jetstream.PubAckFuture
	err error
}

// Append adds an entry to a topic. It does not wait for that; entries of one caller keep their order. done,
// if not nil, is called from another goroutine, which it must not hold up: with nil when the entry is in the
// stream, otherwise with an ErrUnavailable, and then the entry may be in the stream or not. Data must not
// be changed afterwards.
//
// With 1024 entries and values in flight it waits a second for a place, and then returns ErrUnavailable, as
// it does at once without a connection. An entry past MaxEntry is refused.
func (j *Journal) Append(topic string, data []byte, done func(error)) error {
	if !ValidTopic(topic) {
		return fmt.Errorf("broker: %q is not a topic", topic)
	}
	if len(data) > j.config.MaxEntry {
		return fmt.Errorf("broker: an entry of %d bytes is larger than the %d that the journal %s keeps (JournalConfig.MaxEntry)",
			len(data), j.config.MaxEntry, j.config.Name)
	}
	return j.post(appending{topic: topic, m: nats.Msg{Data: data}, done: done})
}

// Put keeps a value under a key (letters, digits, - and _) for MaxAge from now, in place of one that is
// there. done is called as in Append.
func (j *Journal) Put(key string, value []byte, done func(error)) error {
	return j.postValue(key, nats.Msg{Data: value}, done)
}

// Remove removes the value of a key, if there is one. done is called as in Append.
func (j *Journal) Remove(key string, done func(error)) error {
	return j.postValue(key, nats.Msg{Header: nats.Header{"KV-Operation": {"DEL"}}}, done)
}

func (j *Journal) postValue(key string, m nats.Msg, done func(error)) error {
	if !validKey(key) {
		return fmt.Errorf("broker: %q is not a key", key)
	}
	m.Subject = "$KV." + j.sessions.config.Bucket + "." + key
	return j.post(appending{m: m, done: done})
}

// Take returns the value of a key and removes it, so that of all who take one value, on whatever node,
// exactly one gets it. false means that there is none. It waits 5 s at most.
func (j *Journal) Take(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if !validKey(key) {
		return nil, false, fmt.Errorf("broker: %q is not a key", key)
	}
	ok, err = j.sessions.Take(ctx, key, func(v []byte) bool { value = v; return true })
	if !ok {
		return nil, false, err
	}
	return value, true, nil
}

func validKey(key string) bool {
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(key) >= 1 && len(key) <= journalKey
}

// post leaves something to be sent, when there is a place for it.
func (j *Journal) post(a appending) error {
	if !j.broker.up.Load() {
		return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
	}
	if err := j.broker.tooLarge(len(a.m.Data) + journalHeaders); err != nil {
		return err
	}
	if err := j.place(); err != nil {
		return err
	}
	a.until = time.Now().Add(requestTime)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		<-j.inFlight
		return fmt.Errorf("%w: the journal is closed", ErrUnavailable)
	}
	j.queue <- a // has as many places
	return nil
}

func (j *Journal) place() error {
	select {
	case j.inFlight <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(journalWait)
	defer late.Stop()
	select {
	case j.inFlight <- struct{}{}:
		return nil
	case <-late.C:
		return fmt.Errorf("%w: %d entries wait to be stored", ErrUnavailable, journalInFlight)
	case <-j.ctx.Done():
		return fmt.Errorf("%w: the journal is closed", ErrUnavailable)
	}
}

// send sends what waits, in order.
func (j *Journal) send() {
	defer close(j.acks)
	for a := range j.queue {
		ack, err := j.trySend(&a)
		j.acks <- sent{a, ack, err} // has as many places
	}
}

// trySend does not try again: that would change the order.
func (j *Journal) trySend(a *appending) (jetstream.PubAckFuture, error) {
	if !j.broker.conn.IsConnected() {
		return nil, nats.ErrDisconnected // or it would be sent when nobody wants it any more
	}
	options := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if a.topic != "" {
		life, err := j.settled(a.until)
		if err != nil {
			return nil, err
		}
		a.m.Subject = life.subject(a.topic)
		options = append(options, jetstream.WithExpectStream(j.stream))
	}
	return j.js.PublishMsgAsync(&a.m, options...)
}

// settled waits until it is certain which life the stream has.
func (j *Journal) settled(until time.Time) (*life, error) {
	for {
		j.mu.Lock()
		life, looked := j.life, j.looked
		j.mu.Unlock()
		if life != nil && !j.inDoubt() {
			return life, nil
		}
		j.lookSoon()
		late := time.NewTimer(time.Until(until))
		select {
		case <-looked:
		case <-late.C:
			return nil, context.DeadlineExceeded
		case <-j.ctx.Done():
			late.Stop()
			return nil, j.ctx.Err()
		}
		late.Stop()
	}
}

// await passes on what became of what was sent, in order.
func (j *Journal) await() {
	var late <-chan time.Time // after Close
	closed := j.ctx.Done()
	for s := range j.acks {
		for s.err == nil && s.ack != nil {
			select {
			case <-s.ack.Ok():
				s.ack = nil
			case s.err = <-s.ack.Err():
			case <-closed:
				closed, late = nil, time.After(drainTime)
			case <-late:
				s.err, late = context.Canceled, closedTime
			}
		}
		if s.err != nil {
			s.err = fmt.Errorf("%w: %w", ErrUnavailable, s.err)
			j.lookSoon() // the stream may be lost
		}
		if s.done != nil {
			s.done(s.err)
		}
		<-j.inFlight
	}
}

// closedTime is over.
var closedTime = func() <-chan time.Time { c := make(chan time.Time); close(c); return c }()
