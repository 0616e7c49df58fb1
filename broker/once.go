package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Once keeps values that can be taken once, by any node. They are in the servers' memory, and are lost with it.
type Once struct {
	broker *Broker
	config jetstream.KeyValueConfig

	mu     sync.Mutex
	bucket jetstream.KeyValue
}

// onceBytes bounds all values of one Once. When it is full, Put fails.
const onceBytes = 64 << 20

// OpenOnce creates the bucket, or updates it. Values are kept for ttl.
func (b *Broker) OpenOnce(ctx context.Context, name string, ttl time.Duration) (*Once, error) {
	o := &Once{broker: b, config: jetstream.KeyValueConfig{
		Bucket:   name,
		TTL:      ttl,
		MaxBytes: onceBytes,
		Storage:  jetstream.MemoryStorage,
		Replicas: b.replicas(),
	}}
	if err := b.patiently(ctx, "the bucket "+name, o.open); err != nil {
		return nil, fmt.Errorf("cannot open the bucket %s: %w", name, err)
	}
	return o, nil
}

// open creates the bucket. A restarted server has lost it, so open may be called again.
func (o *Once) open(ctx context.Context) error {
	bucket, err := o.broker.js.CreateOrUpdateKeyValue(ctx, o.config)
	if o.config.Replicas > 1 && o.broker.tooFewServers(err) {
		o.config.Replicas = 1
		bucket, err = o.broker.js.CreateOrUpdateKeyValue(ctx, o.config)
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bucket = bucket
	return nil
}

// again calls f, and if that fails, once more on a new bucket.
func (o *Once) again(ctx context.Context, f func(jetstream.KeyValue) error) error {
	o.mu.Lock()
	bucket := o.bucket
	o.mu.Unlock()
	err := f(bucket)
	if err == nil {
		return nil
	}
	if openErr := o.open(ctx); openErr != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, openErr)
	}
	o.mu.Lock()
	bucket = o.bucket
	o.mu.Unlock()
	if err = f(bucket); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	o.broker.log.Warn("a bucket was lost, and was created again", "bucket", o.config.Bucket)
	return nil
}

// ready returns why the bucket cannot be used, or nil.
func (o *Once) ready(ctx context.Context) error {
	return o.again(ctx, func(bucket jetstream.KeyValue) error {
		_, err := bucket.Status(ctx)
		return err
	})
}

// Put stores a value under a key of letters, digits, - and _.
func (o *Once) Put(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return o.again(ctx, func(bucket jetstream.KeyValue) error {
		_, err := bucket.Create(ctx, key, value)
		return err
	})
}

// Take removes the value of a key if accept returns true for it. Of all callers that take one value, on any node, exactly
// one gets true. The others, and those that come too late, get false.
func (o *Once) Take(ctx context.Context, key string, accept func(value []byte) bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	name := o.config.Bucket
	taken := false
	err := o.again(ctx, func(bucket jetstream.KeyValue) error {
		found, err := o.broker.leaderGet(ctx, bucketStream(name), map[string]any{"last_by_subj": "$KV." + name + "." + key})
		if err != nil || found == nil || !accept(found.Data) {
			return err
		}
		err = bucket.Delete(ctx, key, jetstream.LastRevision(found.Seq))
		if refused := (*jetstream.APIError)(nil); errors.As(err, &refused) {
			return nil // another caller has taken it in the meantime
		}
		taken = err == nil
		return err
	})
	return taken, err
}

// isRemoval reports whether a message of a bucket removes its key.
func isRemoval(header []byte) bool { return bytes.Contains(header, []byte("\r\nKV-Operation: ")) }
