package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
)

// outgoing is a message that waits to be sent.
type outgoing struct {
	subject string
	reply   string // where NATS says that nobody is there, if that is to be known
	data    []byte
	counted bool            // it is not one of our own purposes
	written chan<- struct{} // closed instead of sending anything
	last    bool            // nothing may follow: a sign of life after the goodbye would bring us back
}

// outbox holds what waits to be sent, in order. The connection alone would not do: when its buffer is
// full, and the server does not read, it makes everybody wait.
type outbox struct {
	ready chan struct{} // holds one when something waits

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	closed  bool // the last one was put in
}

// outgoingSize is what a message takes beside its data, in bytes, about.
const outgoingSize = 128

// post leaves a message to the writer. It never waits.
func (b *Bus) post(o outgoing) error {
	err := b.tryPost(o)
	if err != nil && o.counted {
		b.failed.Add(1)
	}
	return err
}

func (b *Bus) tryPost(o outgoing) error {
	if !b.broker.up.Load() {
		return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
	}
	if err := b.broker.tooLarge(len(o.data)); err != nil {
		return err
	}
	return b.out.put(o)
}

func (q *outbox) put(o outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return fmt.Errorf("%w: the bus is closed", ErrUnavailable)
	case q.bytes > busOutbox && !o.last:
		return fmt.Errorf("%w: %d bytes wait to be sent, and NATS takes none", ErrUnavailable, busOutbox)
	}
	q.closed = o.last
	q.waiting = append(q.waiting, o)
	q.bytes += len(o.data) + outgoingSize
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return nil
}

// take returns all that waits, and lends the next ones the place of those before.
func (q *outbox) take(before []outgoing) []outgoing {
	clear(before) // lets go of their data
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting, q.bytes = before[:0], 0
	return all
}

// write sends what waits, until Close: the goodbye is the last.
func (b *Bus) write() {
	var batch []outgoing
	for open := true; open; {
		select {
		case <-b.out.ready:
		case <-b.end:
			open = false
		}
		batch = b.out.take(batch)
		for _, o := range batch {
			b.send(o)
		}
	}
	if b.broker.up.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		b.broker.conn.FlushWithContext(ctx) // what fails is of no use to anybody now
	}
}

// send sends one message, or drops it: the connection would keep what is sent during an interruption, and
// nobody wants it when that is over.
func (b *Bus) send(o outgoing) {
	if o.written != nil {
		close(o.written)
		return
	}
	ok := b.broker.conn.IsConnected() && b.broker.conn.PublishMsg(&nats.Msg{Subject: o.subject, Reply: o.reply, Data: o.data}) == nil
	switch {
	case !ok && o.counted:
		b.failed.Add(1)
	case o.counted:
		b.published.Add(1)
	}
}

// forget takes a bus that ends out of the list.
func (b *Broker) forget(bus *Bus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buses = slices.DeleteFunc(b.buses, func(one *Bus) bool { return one == bus })
}
