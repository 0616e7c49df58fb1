package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// SetConfig holds a Set's settings.
type SetConfig struct {
	// Name is the bucket's: lower-case letters.
	Name string
	// MaxAge is how long a key is kept.
	MaxAge time.Duration
	// MaxBytes bounds all keys on disk; one takes its length and some 60 bytes. When the Set is full, Add fails
	// until the oldest key has reached MaxAge: no key is forgotten earlier.
	MaxBytes int64
	// Added is called for each key that is new to this node, whichever node added it. It is called from any
	// goroutine, possibly from several at the same time, and must not wait.
	Added func(key string)
}

// Set is a set of keys that all nodes know: a bucket on disk, and a copy of it in each node's memory, at about 32 bytes
// a key. Its methods may be called from any goroutine.
//
// A node learns of a key by a plain message, which may be lost. So it checks the bucket's end every few seconds, and
// when the connection is back, and reads what it has missed.
type Set struct {
	broker *Broker
	config SetConfig
	bucket jetstream.KeyValue
	live   *Listener
	soon   chan struct{} // holds one when the end is to be checked now

	swept   time.Time     // compare's
	reached atomic.Uint64 // the revision that the copy reaches; only fill changes it

	mu   sync.Mutex
	seed maphash.Seed
	keys map[uint64]int64 // when each was added, in seconds; by a hash that nobody outside can aim at
}

// ErrSetFull is the error if a Set has reached SetConfig.MaxBytes.
var ErrSetFull = errors.New("broker: the set is full")

// OpenSet creates the bucket, or updates it to cfg, and reads it. A Set of a name may be opened once.
func (b *Broker) OpenSet(ctx context.Context, cfg SetConfig) (*Set, error) {
	if !lowerLetters(cfg.Name) {
		return nil, fmt.Errorf("broker: %q is not a name for a set: use lower-case letters", cfg.Name)
	}
	s := &Set{broker: b, config: cfg, soon: make(chan struct{}, 1), swept: time.Now(), seed: maphash.MakeSeed(), keys: map[uint64]int64{}}
	if err := b.patiently(ctx, "the bucket "+cfg.Name, s.open); err != nil {
		return nil, fmt.Errorf("cannot open the set %s: %w", cfg.Name, err)
	}
	b.mu.Lock()
	b.sets = append(b.sets, s)
	b.mu.Unlock()
	b.running.Go(s.compare)
	return s, nil
}

func (s *Set) open(ctx context.Context) error {
	want := jetstream.KeyValueConfig{
		Bucket:   s.config.Name,
		TTL:      s.config.MaxAge,
		MaxBytes: s.config.MaxBytes,
		Storage:  jetstream.FileStorage,
		Replicas: s.broker.replicas(),
	}
	var err error
	s.bucket, err = s.broker.js.CreateOrUpdateKeyValue(ctx, want)
	if want.Replicas > 1 && s.broker.tooFewServers(err) {
		want.Replicas = 1
		s.bucket, err = s.broker.js.CreateOrUpdateKeyValue(ctx, want)
	}
	if err != nil {
		return err
	}
	live := s.broker.newListener(func(m *nats.Msg) {
		if m.Header.Get(kvOperation) == "" {
			s.note(strings.TrimPrefix(m.Subject, s.subject("")), time.Now())
		}
	})
	err = live.Add(ctx, s.subject(">"))
	if err == nil {
		err = s.fill(ctx)
	}
	if err != nil {
		live.Close()
		return err
	}
	s.live = live
	return nil
}

// bucketStream returns the name of the stream behind a bucket.
func bucketStream(bucket string) string { return "KV_" + bucket }

func (s *Set) subject(key string) string { return "$KV." + s.config.Name + "." + key }

// Add adds a key of letters, digits, - and _. When it returns without an error, the key is on disk, and other nodes
// know it within milliseconds, or within seconds if the message is lost. After an error, ErrUnavailable, the key may or
// may not be in the set, and can be added again; if the set is full, the error is ErrSetFull, too.
func (s *Set) Add(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	err := s.put(ctx, key)
	if refused := (*jetstream.APIError)(nil); errors.As(err, &refused) && refused.Description == server.ErrMaxBytes.Error() {
		err = fmt.Errorf("%w: %w", ErrSetFull, err)
	}
	if err != nil {
		return fmt.Errorf("%w: add to the set %s: %w", ErrUnavailable, s.config.Name, err)
	}
	s.note(key, time.Now())
	return nil
}

// put stores a key, and tries again while nobody answers: until the servers have told each other where the bucket's leader
// is, a key reaches only the nodes that listen, which do not answer.
func (s *Set) put(ctx context.Context, key string) error {
	for limit := againTime; ; limit *= 2 {
		try, cancel := context.WithTimeout(ctx, limit)
		_, err := s.bucket.Put(try, key, nil)
		again := err != nil && try.Err() != nil && ctx.Err() == nil
		cancel()
		if !again {
			return err
		}
	}
}

// Has reports whether a key is in the set, as far as this node knows. It does not wait.
func (s *Set) Has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.keys[maphash.String(s.seed, key)]
	return ok && time.Since(time.Unix(at, 0)) < s.config.MaxAge
}

// note adds a key to the copy in memory.
func (s *Set) note(key string, at time.Time) {
	s.mu.Lock()
	hash := maphash.String(s.seed, key)
	_, known := s.keys[hash]
	if !known {
		s.keys[hash] = at.Unix()
	}
	s.mu.Unlock()
	if !known && s.config.Added != nil {
		s.config.Added(key)
	}
}

// compare reads missed keys, and drops old ones, until the Broker is closed.
func (s *Set) compare() {
	tick := time.NewTicker(s.broker.config.Compare)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-s.soon:
		case <-s.broker.ctx.Done():
			s.live.Close()
			return
		}
		s.forget()
		err := s.fill(s.broker.ctx)
		if err != nil && !failing && s.broker.ctx.Err() == nil {
			s.broker.log.Warn("cannot read what other nodes add to a set", "set", s.config.Name, "error", err)
		}
		failing = err != nil
	}
}

// compareSoon asks for a check of the bucket's end now.
func (s *Set) compareSoon() {
	select {
	case s.soon <- struct{}{}:
	default:
	}
}

// fill reads the bucket's keys after the last one that was read.
func (s *Set) fill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	end, err := s.broker.leaderGet(ctx, bucketStream(s.config.Name), map[string]any{"last_by_subj": s.subject(">")})
	if err == nil && end != nil && end.Seq < s.reached.Load() { // it is another bucket
		s.reached.Store(0)
	}
	for err == nil && end != nil && s.reached.Load() < end.Seq {
		before := s.reached.Load()
		if err = s.read(ctx); err == nil && s.reached.Load() == before {
			break // the replica that answered lacks the newest; the next check asks again
		}
	}
	if err != nil {
		return fmt.Errorf("%w: read the set %s: %w", ErrUnavailable, s.config.Name, err)
	}
	return nil
}

// read notes up to setBatch keys after the last one that was read ("direct get", as in read.go).
func (s *Set) read(ctx context.Context) error {
	ctx, cancel := s.broker.during(ctx, requestTime)
	defer cancel()
	conn := s.broker.conn
	inbox, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return err
	}
	defer inbox.Unsubscribe()
	ask := fmt.Appendf(nil, `{"seq":%d,"next_by_subj":%q,"batch":%d}`, s.reached.Load()+1, s.subject(">"), setBatch)
	if err := conn.PublishRequest("$JS.API.DIRECT.GET."+bucketStream(s.config.Name), inbox.Subject, ask); err != nil {
		return err
	}
	for {
		m, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end, and nothing there
			return nil
		default:
			return fmt.Errorf("%s %s", status, m.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil || seq <= s.reached.Load() {
			return errors.New("an answer without a sequence")
		}
		at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
		if err != nil {
			return errors.New("an answer without a time")
		}
		s.reached.Store(seq)
		if m.Header.Get(kvOperation) != "" { // somebody removed it by hand; running nodes keep it
			continue
		}
		s.note(strings.TrimPrefix(m.Header.Get(jetstream.SubjectHeader), s.subject("")), at)
	}
}

const (
	setBatch    = 512              // keys that one request reads, at most
	readTime    = 30 * time.Second // for reading a whole Set
	kvOperation = "KV-Operation"   // the field of a message that removes a key
)

// forget drops the keys older than MaxAge.
func (s *Set) forget() {
	if time.Since(s.swept) < s.config.MaxAge/20 {
		return
	}
	s.swept = time.Now()
	oldest := s.swept.Add(-s.config.MaxAge).Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.keys, func(_ uint64, at int64) bool { return at < oldest })
}
