package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// outgoing is a message that waits to be sent.
type outgoing struct {
	subject string
	reply   string // where NATS says that nobody is there, if the sender wants to know
	data    []byte
	counted bool            // in the Stats, unlike the bus's own messages
	written chan<- struct{} // closed instead of sending anything
	last    bool            // nothing may follow: a heartbeat after the goodbye would bring us back
}

// outbox holds messages that wait to be sent, in order. The connection alone would not do: when its buffer
// is full and the server does not read, it blocks everybody.
type outbox struct {
	ready chan struct{} // holds one when something waits

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	closed  bool // the last message was added
}

// outgoingSize is about how many bytes a message takes besides its data.
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
	if len(o.data) > busLargest {
		return fmt.Errorf("broker: a message of %d bytes is larger than the %d that nodes send each other", len(o.data), busLargest)
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
		return fmt.Errorf("%w: %d bytes are waiting to be sent, and NATS accepts none", ErrUnavailable, busOutbox)
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

// take returns all waiting messages, and reuses the memory of the last ones for the next.
func (q *outbox) take(before []outgoing) []outgoing {
	clear(before) // so that their data can be collected
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting, q.bytes = before[:0], 0
	return all
}

// write sends waiting messages until Close: the goodbye is the last.
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
		b.broker.conn.FlushWithContext(ctx) // nobody could use an error now
	}
}

// send sends one message, or drops it: the connection would keep what is sent during an interruption, but
// nobody wants that afterwards.
func (b *Bus) send(o outgoing) {
	if o.written != nil {
		close(o.written)
		return
	}
	ok := b.broker.conn.IsConnected() && b.publish(o) == nil
	switch {
	case !ok && o.counted:
		b.failed.Add(1)
	case o.counted:
		b.published.Add(1)
	}
}

// forget removes a closing bus from the list.
func (b *Broker) forget(bus *Bus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buses = slices.DeleteFunc(b.buses, func(one *Bus) bool { return one == bus })
}
