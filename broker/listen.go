package broker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// listenQueue is how many messages may wait for a Listener. When the queue is full, NATS drops messages. Those
// that need every message notice that by the sequences.
const listenQueue = 8192

// subscriptions are one owner's subscriptions. They all feed one queue, so that their messages stay in the order in
// which NATS sends them.
type subscriptions struct {
	conn  *nats.Conn
	queue chan *nats.Msg

	mu      sync.Mutex
	subs    map[string]*nats.Subscription
	dropped uint64 // by subscriptions that have ended
}

func newSubscriptions(conn *nats.Conn, queue int) *subscriptions {
	return &subscriptions{conn: conn, queue: make(chan *nats.Msg, queue), subs: map[string]*nats.Subscription{}}
}

// add begins listening to a subject. The server hears of it a moment later.
func (s *subscriptions) add(subject string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs[subject] != nil {
		return nil
	}
	sub, err := s.conn.ChanSubscribe(subject, s.queue)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	s.subs[subject] = sub
	return nil
}

// remove ends listening to a subject. Waiting messages stay in the queue.
func (s *subscriptions) remove(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.subs[subject]; sub != nil {
		s.endLocked(sub)
		delete(s.subs, subject)
	}
}

func (s *subscriptions) removeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		s.endLocked(sub)
	}
	clear(s.subs)
}

func (s *subscriptions) endLocked(sub *nats.Subscription) {
	s.dropped += droppedOf(sub)
	sub.Unsubscribe() // fails only if the connection has ended, and the subscription with it
}

// lost returns how many messages were dropped because the queue was full.
func (s *subscriptions) lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.dropped
	for _, sub := range s.subs {
		n += droppedOf(sub)
	}
	return n
}

func droppedOf(sub *nats.Subscription) uint64 {
	n, _ := sub.Dropped() // 0 once the connection has ended
	return uint64(n)
}

// Listener hands messages of many subjects to one function, one at a time. It takes one goroutine for all
// subjects, and a kilobyte for each.
type Listener struct {
	subs    *subscriptions
	handled atomic.Uint64 // messages
	end     chan struct{}
	done    chan struct{}
	close   sync.Once
}

// listen makes a Listener that calls handle, which must not wait for anything that waits for the Listener.
func (b *Broker) listen(handle func(*nats.Msg)) *Listener {
	l := b.newListener(handle)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners = append(b.listeners, l)
	return l
}

// newListener makes a Listener that Broker.Close does not close.
func (b *Broker) newListener(handle func(*nats.Msg)) *Listener {
	l := &Listener{
		subs: newSubscriptions(b.conn, listenQueue),
		end:  make(chan struct{}),
		done: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		for {
			select {
			case m := <-l.subs.queue:
				handle(m)
				l.handled.Add(1)
			case <-l.end:
				return
			}
		}
	}()
	return l
}

// arrived returns how many messages have been received at least: those that are handled in the meantime may not be counted.
func (l *Listener) arrived() uint64 { return l.handled.Load() + uint64(len(l.subs.queue)) }

// Add begins listening to a subject. When it returns without an error, the server has heard of it.
func (l *Listener) Add(ctx context.Context, subject string) error {
	err := l.subs.add(subject)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		err = l.subs.conn.FlushWithContext(ctx)
	}
	if err != nil {
		l.Remove(subject)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Remove ends listening to a subject. Waiting messages are still handed over.
func (l *Listener) Remove(subject string) { l.subs.remove(subject) }

// Close ends the Listener and waits for the current call. It may be called again.
func (l *Listener) Close() {
	l.close.Do(func() {
		l.subs.removeAll()
		close(l.end)
	})
	<-l.done
}
