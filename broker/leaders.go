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

// A question to a stream's leader that has stopped is never answered: the servers go on bringing it there. So whoever has
// asked asks again when the servers say that there is another leader.

const (
	electedSubject = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED." // and the stream
	electedWait    = 50 * time.Millisecond                       // for the answer of a leader that is just elected; doubled for each further attempt
	electedTime    = time.Second                                 // for which it is
)

// elections are when streams got their leaders, as far as the servers have said.
type elections struct {
	mu    sync.Mutex
	terms map[string]*term // by stream
}

// term is the time of one leader.
type term struct {
	began time.Time       // zero where that was not heard
	ctx   context.Context // ends with the next election
	end   context.CancelFunc
}

// of returns the term of now.
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

// hearElections listens to what the servers say of new leaders.
func (b *Broker) hearElections() error {
	_, err := b.conn.Subscribe(electedSubject+"*", func(m *nats.Msg) { b.elected(topicOf(m.Subject)) })
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// elected is called when a stream has got another leader. What the one before has stored last may not be republished.
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

// askLeader calls ask, with which a stream's leader is asked; and again when there is another leader before it has
// answered, until ctx ends. The servers say a moment early that a leader is elected: from then on each attempt is short.
func (b *Broker) askLeader(ctx context.Context, stream string, ask func(context.Context) error) error {
	if b.server != nil { // which has no others
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
		if late != nil && (errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)) { // not yet
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
