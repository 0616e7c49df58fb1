package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Once is a place for values that can be taken once, by any node. It is kept in memory: what is in it
// ends with the broker.
type Once struct {
	broker *Broker
	bucket jetstream.KeyValue
}

// onceBytes bounds all values of one place. When it is full, Put fails.
const onceBytes = 64 << 20

// OpenOnce makes the place, or brings it to what is said here. Values live for ttl.
func (b *Broker) OpenOnce(ctx context.Context, name string, ttl time.Duration) (*Once, error) {
	config := jetstream.KeyValueConfig{
		Bucket:   name,
		TTL:      ttl,
		MaxBytes: onceBytes,
		Storage:  jetstream.MemoryStorage,
		Replicas: b.replicas(),
	}
	bucket, err := b.js.CreateOrUpdateKeyValue(ctx, config)
	if apiErr := (*jetstream.APIError)(nil); config.Replicas > 1 && errors.As(err, &apiErr) {
		config.Replicas = 1
		bucket, err = b.js.CreateOrUpdateKeyValue(ctx, config)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the bucket %s: %w", name, err)
	}
	return &Once{b, bucket}, nil
}

// Put leaves a value under a key: letters, digits, - and _.
func (o *Once) Put(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := o.bucket.Create(ctx, key, value); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Take returns the value of the key and removes it, if accept agrees. Of all who take one value, on
// whatever node, one gets it; the others, and those who come too late, get false.
func (o *Once) Take(ctx context.Context, key string, accept func(value []byte) bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	name := o.bucket.Bucket()
	found, err := o.broker.leaderGet(ctx, "KV_"+name, map[string]any{"last_by_subj": "$KV." + name + "." + key})
	if err != nil || found == nil || !accept(found.Data) {
		return false, err
	}
	err = o.bucket.Delete(ctx, key, jetstream.LastRevision(found.Seq))
	if refused := (*jetstream.APIError)(nil); errors.As(err, &refused) {
		return false, nil // another took it in between
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return true, nil
}

// isRemoval reports whether a message of a bucket says that its key is gone.
func isRemoval(header []byte) bool { return bytes.Contains(header, []byte("\r\nKV-Operation: ")) }
