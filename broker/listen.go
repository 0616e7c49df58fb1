package broker

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// listenQueue is how many messages may wait for a Listener. When it is full NATS drops what comes
// next, which those who need every message notice by its sequence.
const listenQueue = 8192

// Publish sends data to all nodes that listen to the subject, this one too, at most once each.
func (b *Broker) Publish(subject string, data []byte) error {
	if err := b.conn.Publish(subject, data); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Listener hands messages of many subjects to one function, one at a time: a goroutine for all of
// them, and a kilobyte for each.
type Listener struct {
	broker *Broker
	queue  chan *nats.Msg
	end    chan struct{}
	done   chan struct{}
	close  sync.Once

	mu   sync.Mutex
	subs map[string]*nats.Subscription
}

// Listen makes a Listener that calls handle, which must not wait for anything that waits for it.
func (b *Broker) Listen(handle func(subject string, data []byte)) *Listener {
	return b.listen(func(m *nats.Msg) { handle(m.Subject, m.Data) })
}

func (b *Broker) listen(handle func(*nats.Msg)) *Listener {
	l := &Listener{
		broker: b,
		queue:  make(chan *nats.Msg, listenQueue),
		end:    make(chan struct{}),
		done:   make(chan struct{}),
		subs:   map[string]*nats.Subscription{},
	}
	go func() {
		defer close(l.done)
		for {
			select {
			case m := <-l.queue:
				handle(m)
			case <-l.end:
				return
			}
		}
	}()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners = append(b.listeners, l)
	return l
}

// Add begins to listen to a subject. When it returns without an error, the server has heard of it.
func (l *Listener) Add(ctx context.Context, subject string) error {
	l.mu.Lock()
	var err error
	if l.subs[subject] == nil {
		var sub *nats.Subscription
		if sub, err = l.broker.conn.ChanSubscribe(subject, l.queue); err == nil {
			l.subs[subject] = sub
		}
	}
	l.mu.Unlock()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		err = l.broker.conn.FlushWithContext(ctx)
	}
	if err != nil {
		l.Remove(subject)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Remove ends listening to a subject. Messages that wait are still handed over.
func (l *Listener) Remove(subject string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sub := l.subs[subject]; sub != nil {
		sub.Unsubscribe() // fails only where the connection has ended, and the subscription with it
		delete(l.subs, subject)
	}
}

// Close ends the Listener and waits for the call under way. It may be called again.
func (l *Listener) Close() {
	l.close.Do(func() {
		l.mu.Lock()
		for _, sub := range l.subs {
			sub.Unsubscribe()
		}
		clear(l.subs)
		l.mu.Unlock()
		close(l.end)
	})
	<-l.done
}
