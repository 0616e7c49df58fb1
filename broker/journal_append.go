package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	journalInFlight = 1024             // entries, or values, that wait to be sent or acknowledged; past it callers wait
	journalWait     = time.Second      // for a place among them
	journalTime     = 15 * time.Second // for one to be stored: a cluster takes some seconds to find another leader
	journalHeaders  = 1024             // bytes that a message may have beside its entry
	journalKey      = 128              // bytes of a key
)

// Append adds an entry to a topic. It does not wait for that; entries of one caller keep their order. done,
// if not nil, is called from another goroutine, which it must not hold up: with nil when the entry is in the
// stream, otherwise with an ErrUnavailable, and then the entry may be in the stream or not. It is tried again
// for fifteen seconds, under an id, so that it is stored once. Data must not be changed afterwards.
//
// With 1024 entries, or values, in flight it waits a second for a place, and then returns ErrUnavailable, as
// it does at once without a connection. An entry past MaxEntry is refused.
func (j *Journal) Append(topic string, data []byte, done func(error)) error {
	if !ValidTopic(topic) {
		return fmt.Errorf("broker: %q is not a topic", topic)
	}
	if len(data) > j.config.MaxEntry {
		return fmt.Errorf("broker: an entry of %d bytes is larger than the %d that the journal %s keeps (JournalConfig.MaxEntry)",
			len(data), j.config.MaxEntry, j.config.Name)
	}
	return j.entries.post(appending{topic: topic, m: nats.Msg{Data: data}, done: done})
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
	return j.values.post(appending{m: m, done: done})
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
