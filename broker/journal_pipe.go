package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pipeAttempt = time.Second // for one attempt to store what failed before
	pipeSettle  = requestTime // how long to wait for outstanding answers after a failure: until then their entries may still be stored
)

// pipe stores a Journal's entries, or its values, in order. One goroutine sends, many at a time, and one waits for the
// results. When one fails, nothing else is sent until that one, and everything sent after it, is stored or given up, to
// keep the order.
type pipe struct {
	journal *Journal
	js      jetstream.JetStream
	name    string             // prefix of the ids
	writers map[string]*writer // by topic, "" for values; owned by send
	named   int                // writers so far; owned by send

	inFlight chan struct{}  // holds one element for each entry in queue or acks, or in between
	open     atomic.Int64   // entries that were sent, or failed to be sent, and are not finished
	queue    chan appending // waiting to be sent
	acks     chan sent      // waiting to be acknowledged
	trouble  chan struct{}  // holds one when something has failed
	sending  sync.Mutex     // held while one is sent, and while nothing may be sent
	link     uint64         // reconnections before the open entries were sent; guarded by sending
}

// appending is an entry or a value that waits to be stored.
type appending struct {
	topic string   // of an entry
	m     nats.Msg // an entry's subject is set when it is sent
	done  func(error)
	until time.Time // when to give up
	epoch string    // of an entry: the life that it was sent to, or ""
}

// sent is an entry or a value that waits to be acknowledged, unless sending it failed.
type sent struct {
	appending
	ack    jetstream.PubAckFuture
	err    error
	stored bool
	seq    uint64 // of an entry that is stored
	again  bool   // it was sent again after a failure
}

func (s *sent) isStored(ack *jetstream.PubAck) { s.stored, s.err, s.seq = true, nil, ack.Sequence }

func (j *Journal) newPipe() (*pipe, error) {
	p := &pipe{
		journal:  j,
		name:     newNode() + "-",
		writers:  map[string]*writer{},
		inFlight: make(chan struct{}, journalInFlight),
		queue:    make(chan appending, journalInFlight),
		acks:     make(chan sent, journalInFlight),
		trouble:  make(chan struct{}, 1),
	}
	var err error
	p.js, err = jetstream.New(j.broker.conn, jetstream.WithPublishAsyncMaxPending(2*journalInFlight), jetstream.WithPublishAsyncTimeout(requestTime),
		jetstream.WithPublishAsyncErrHandler(func(jetstream.JetStream, *nats.Msg, error) { p.hasTrouble() }))
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	j.running.Go(p.send)
	j.running.Go(p.await)
	return p, nil
}

func (p *pipe) hasTrouble() {
	select {
	case p.trouble <- struct{}{}:
	default:
	}
}

// post waits for a place, and queues an entry or a value.
func (p *pipe) post(a appending) error {
	j := p.journal
	if !j.broker.up.Load() {
		return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
	}
	if err := j.broker.tooLarge(len(a.m.Data) + journalHeaders); err != nil {
		return err
	}
	if err := p.place(); err != nil {
		return err
	}
	a.until = time.Now().Add(journalTime)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		<-p.inFlight
		return fmt.Errorf("%w: the journal is closed", ErrUnavailable)
	}
	p.queue <- a // does not block: it has as many places as inFlight
	return nil
}

func (p *pipe) place() error {
	select {
	case p.inFlight <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(journalWait)
	defer late.Stop()
	select {
	case p.inFlight <- struct{}{}:
		return nil
	case <-late.C:
		p.journal.broker.crowded.Add(1)
		return fmt.Errorf("%w: %d entries are waiting to be stored", ErrUnavailable, journalInFlight)
	case <-p.journal.ctx.Done():
		return fmt.Errorf("%w: the journal is closed", ErrUnavailable)
	}
}

// send sends the queued entries or values, in order.
func (p *pipe) send() {
	defer close(p.acks)
	for a := range p.queue {
		p.sending.Lock()
		alone := p.open.Add(1) == 1
		if alone {
			p.link = p.journal.reconnections()
		}
		header := nats.Header{jetstream.MsgIDHeader: {p.nextID(a.topic, alone)}}
		maps.Copy(header, a.m.Header)
		a.m.Header = header
		s := sent{appending: a}
		p.publish(&s)
		p.acks <- s // does not block: it has as many places as inFlight
		p.sending.Unlock()
	}
}

// publish sends one, unless the connection was replaced since the open entries before it were sent: those may be lost, and
// would be out of order if this one were stored.
func (p *pipe) publish(s *sent) {
	m, options, err := p.address(&s.appending, s.until)
	if err == nil && p.link != p.journal.reconnections() {
		p.hasTrouble()
		err = errTrouble
	}
	if s.err = err; err == nil {
		s.ack, s.err = p.js.PublishMsgAsync(m, options...)
	}
}

// address makes a message for the current life, and waits for that if necessary.
func (p *pipe) address(a *appending, until time.Time) (*nats.Msg, []jetstream.PublishOpt, error) {
	if !p.journal.broker.conn.IsConnected() {
		return nil, nil, nats.ErrDisconnected // otherwise nats.go would send it later, when nobody wants it any more
	}
	m, options := a.m, []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if a.topic == "" {
		return &m, options, nil
	}
	life, err := p.journal.settled(until)
	switch {
	case err != nil:
		return nil, nil, err
	case a.epoch != "" && a.epoch != life.epoch: // followers may have received it
		return nil, nil, errLifeEnded
	}
	a.epoch = life.epoch
	m.Subject = life.subject(a.topic)
	return &m, append(options, jetstream.WithExpectStream(p.journal.stream)), nil
}

var (
	errLifeEnded = errors.New("the stream was lost")
	errLate      = errors.New("a later entry was stored first")
)

// await waits for the result of each entry or value sent, in order.
func (p *pipe) await() {
	var late <-chan time.Time // after Close
	closed := p.journal.ctx.Done()
	for s := range p.acks {
		for s.err == nil && !s.stored {
			select {
			case ack := <-s.ack.Ok():
				s.isStored(ack)
			case s.err = <-s.ack.Err():
			case <-p.trouble:
				s.err = errTrouble
			case <-closed:
				closed, late = nil, time.After(drainTime)
			case <-late:
				s.err, late = context.Canceled, closedTime
			}
		}
		if s.err == nil || late != nil {
			p.finish(&s)
			continue
		}
		p.repair(s)
	}
}

// errTrouble is the error of an entry that may not have failed, although another one has.
var errTrouble = errors.New("something failed")

// closedTime is a timer channel that has already fired.
var closedTime = func() <-chan time.Time { c := make(chan time.Time); close(c); return c }()

// finish reports the result of an entry or a value.
func (p *pipe) finish(s *sent) {
	if s.err != nil {
		s.err = fmt.Errorf("%w: %w", ErrUnavailable, s.err)
		p.journal.lookSoon() // the stream may be lost
	}
	if s.done != nil {
		s.done(s.err)
	}
	p.open.Add(-1)
	<-p.inFlight
}

// repair stores entries that were sent but failed, while nothing else is sent, and then reports what became of them. It gives up
// an entry if a later one was stored, since it would be out of order.
func (p *pipe) repair(first sent) {
	p.sending.Lock()
	defer p.sending.Unlock()
	all := []sent{first}
	for more := true; more; {
		select {
		case s, open := <-p.acks:
			if more = open; open {
				all = append(all, s)
			}
		default:
			more = false
		}
	}
	for rest := all; len(rest) > 0; {
		rest = rest[p.settle(rest)+1:]
		if len(rest) == 0 {
			break
		}
		s := &rest[0]
		rest = rest[1:]
		if p.store(s); s.stored { // now the others may follow
			p.link = p.journal.reconnections()
			for i := range rest {
				if !refused(rest[i].err) {
					rest[i].again = true
					p.publish(&rest[i])
				}
			}
		}
	}
	if p == p.journal.entries {
		failLate(all)
	}
	for i := range all {
		p.finish(&all[i])
	}
}

// settle waits for answers, and returns the index of the last entry that was stored, or -1. Anything sent now would be stored
// after the entries still on their way, so it waits for all answers, as long as nats.go does, or until drainTime after the
// Journal was closed.
func (p *pipe) settle(all []sent) (last int) {
	late, cancel := context.WithTimeout(context.Background(), pipeSettle)
	defer cancel()
	defer context.AfterFunc(p.journal.ctx, func() { time.AfterFunc(drainTime, cancel) })()
	last = -1
	for i := range all {
		s := &all[i]
		if s.ack != nil && (s.err == nil || s.err == errTrouble) {
			s.answered(late)
		}
		s.ack = nil
		if s.stored {
			last = i
		}
	}
	return last
}

// answered waits until an entry is answered, or it is too late.
func (s *sent) answered(late context.Context) {
	s.err = errTrouble
	select {
	case ack := <-s.ack.Ok():
		s.isStored(ack)
	case s.err = <-s.ack.Err():
	case <-late.Done():
		select { // it may have come at the same moment
		case ack := <-s.ack.Ok():
			s.isStored(ack)
		default:
		}
	}
}

// store retries an entry or a value that failed or was not answered, under the same id, so that it is stored only once.
func (p *pipe) store(s *sent) {
	s.again = true
	for time.Now().Before(s.until) && p.journal.ctx.Err() == nil && !refused(s.err) {
		until := time.Now().Add(pipeAttempt)
		m, options, err := p.address(&s.appending, until)
		if err == nil {
			ctx, cancel := context.WithDeadline(p.journal.ctx, until)
			err = p.journal.broker.askLeader(ctx, p.stream(s), func(ctx context.Context) error {
				ack, err := p.js.PublishMsg(ctx, m, options...)
				if err == nil {
					s.isStored(ack)
				}
				return err
			})
			cancel()
		}
		if s.err = err; err == nil {
			return
		}
		p.journal.lookSoon()
		select {
		case <-time.After(attemptWait):
		case <-p.journal.ctx.Done():
		}
	}
}

// stream returns the stream that stores s.
func (p *pipe) stream(s *sent) string {
	if s.topic == "" {
		return bucketStream(p.journal.sessions.config.Bucket)
	}
	return p.journal.stream
}

// refused reports whether another attempt cannot succeed.
func refused(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, errLifeEnded) || errors.As(err, &api) && refusedForGood(api)
}
