package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	journalInFlight = 1024             // entries, or values, that may wait to be sent or acknowledged; past that, callers wait
	journalWait     = time.Second      // how long callers wait for a place
	journalTime     = 15 * time.Second // for storing one entry: a cluster takes some seconds to elect another leader
	journalHeaders  = 1024             // bytes of a message besides its entry, at most
	journalKey      = 128              // bytes of a key, at most
)

// ErrTooLarge means that an entry is larger than JournalConfig.MaxEntry.
var ErrTooLarge = errors.New("broker: the entry is too large")

// Append adds an entry to a topic without waiting until it is stored. Entries of one caller keep their order.
// done, if not nil, is called from another goroutine, which it must not block: with nil when the entry is in the
// stream and will be delivered, otherwise with an ErrUnavailable; it may then be delivered or not. Append keeps trying
// for fifteen seconds, under one id, so that the entry is delivered at most once. It gives up sooner if a server stopped
// without answering and a later entry of the topic is stored: this one would be out of order. After a failure, the results of
// all entries in flight come together, since only the last of them shows whether the others are in order. Data must not be
// changed afterwards.
//
// With 1024 entries in flight, Append waits up to a second for a place, and then returns ErrUnavailable.
// Without a connection it returns ErrUnavailable immediately. An entry larger than MaxEntry is refused with an ErrTooLarge.
func (j *Journal) Append(topic string, data []byte, done func(error)) error {
	if !ValidTopic(topic) {
		return fmt.Errorf("broker: %q is not a topic", topic)
	}
	if len(data) > j.config.MaxEntry {
		return fmt.Errorf("%w: %d bytes, and the journal %s keeps up to %d (JournalConfig.MaxEntry)",
			ErrTooLarge, len(data), j.config.Name, j.config.MaxEntry)
	}
	return j.entries.post(appending{topic: topic, m: nats.Msg{Data: data}, done: done})
}

// Put stores a value under a key (up to 128 letters, digits, - and _) for MaxAge from now, and replaces any previous
// value. It does not wait, has limits and errors like Append's, and calls done as Append does.
func (j *Journal) Put(key string, value []byte, done func(error)) error {
	return j.postValue(key, nats.Msg{Data: value}, done)
}

// Remove removes the value of a key, if there is one. It calls done as Append does.
func (j *Journal) Remove(key string, done func(error)) error {
	return j.postValue(key, nats.Msg{Header: nats.Header{"KV-Operation": {"DEL"}}}, done)
}

func (j *Journal) postValue(key string, m nats.Msg, done func(error)) error {
	if !validKey(key) {
		return fmt.Errorf("broker: %q is not a key", key)
	}
	m.Subject = "$KV." + j.sessions.config.Bucket + "." + key
	return j.values.post(appending{m: m, done: done})
}

// Take returns the value of a key and removes it, so that of all callers that take one value, on any node,
// exactly one gets it. ok is false if there is none. Take waits at most 5 s.
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
