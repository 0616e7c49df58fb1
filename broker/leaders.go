package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A request to a stream's leader that has stopped is never answered: the servers keep routing requests there. So requests are
// repeated when the servers announce another leader.

const (
	electedSubject = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED." // followed by the stream
	electedWait    = 50 * time.Millisecond                       // timeout of a request to a newly elected leader; doubled for each further attempt
	electedTime    = time.Second                                 // how long a leader counts as newly elected
)

// elections records when streams got their leaders, as far as the servers have announced it.
type elections struct {
	mu    sync.Mutex
	terms map[string]*term // by stream
}

// term is the term of one leader.
type term struct {
	began time.Time       // zero if the election was not heard
	ctx   context.Context // ends with the next election
	end   context.CancelFunc
}

// of returns the current term.
func (e *elections) of(stream string) *term {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.terms[stream] == nil {
		e.beginLocked(stream, time.Time{})
	}
	return e.terms[stream]
}

// begin ends a term and begins the next.
func (e *elections) begin(stream string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if before := e.terms[stream]; before != nil {
		before.end()
		e.beginLocked(stream, time.Now())
	}
}

func (e *elections) beginLocked(stream string, at time.Time) {
	ctx, end := context.WithCancel(context.Background())
	e.terms[stream] = &term{at, ctx, end}
}

// hearElections subscribes to the servers' announcements of new leaders.
func (b *Broker) hearElections() error {
	_, err := b.conn.Subscribe(electedSubject+"*", func(m *nats.Msg) { b.elected(topicOf(m.Subject)) })
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// elected is called when a stream has another leader. The last messages that the previous one stored may not be republished.
func (b *Broker) elected(stream string) {
	b.elections.begin(stream)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.logs {
		if l.stream == stream {
			l.compareSoon()
		}
	}
	for _, j := range b.journals {
		if j.stream == stream {
			j.lookSoon()
		}
	}
}

// askLeader calls ask, which sends a request to a stream's leader, and calls it again if another leader is elected before the
// answer, until ctx ends. The servers announce a leader a moment before it answers, so the first attempts after that are
// short.
func (b *Broker) askLeader(ctx context.Context, stream string, ask func(context.Context) error) error {
	if b.server != nil { // a single server has no other leader
		return ask(ctx)
	}
	for wait := electedWait; ; {
		now := b.elections.of(stream)
		try, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(now.ctx, func() { cancel(errElected) })
		var late *time.Timer
		if time.Since(now.began) < electedTime {
			late = time.AfterFunc(wait, func() { cancel(errElected) })
			wait *= 2
		}
		err := ask(try)
		if late != nil && (errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)) { // the leader is not ready yet
			<-try.Done()
		}
		again := err != nil && ctx.Err() == nil && context.Cause(try) == errElected
		if late != nil {
			late.Stop()
		}
		stop()
		cancel(nil)
		if !again {
			return err
		}
	}
}

var errElected = errors.New("there is another leader")
