package broker

import (
	"context"
	"fmt"
	"time"
)

const (
	unreadQueue = listenQueue / 16      // live messages that may wait before appends do
	unreadShare = 4                     // a follower may miss one in so many of the messages that the stream keeps of its topic
	unreadWait  = 10 * time.Millisecond // between two checks
)

// awaitReading waits while this node is far behind with reading what is stored: otherwise a flood of messages would
// overflow the Listener's queue, and the stream would discard messages of a topic before they are delivered here. A node
// does not wait for other nodes.
func (l *Log) awaitReading(ctx context.Context, topic string) error {
	if !l.isBehind(topic) {
		return nil
	}
	l.broker.unread.Add(1)
	tick := time.NewTicker(unreadWait)
	defer tick.Stop()
	for l.isBehind(topic) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("this node has not yet read what was stored before: %w", ctx.Err())
		case <-l.broker.ctx.Done():
			return l.broker.ctx.Err()
		}
	}
	return nil
}

func (l *Log) isBehind(topic string) bool {
	if len(l.live.subs.queue) > unreadQueue {
		return true
	}
	l.mu.Lock()
	f := l.followers[topic]
	l.mu.Unlock()
	return f != nil && f.missing.Load() > int64(l.config.PerTopic/unreadShare)
}
