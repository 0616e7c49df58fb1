package broker

import (
	"context"
	"time"
)

const (
	unreadQueue = listenQueue / 16      // live messages that may wait before appends do
	unreadShare = 4                     // a follower may miss one in so many of the messages that the stream keeps of its topic
	unreadTime  = 2 * time.Second       // for the follower to catch up; then a message is stored all the same
	unreadWait  = 20 * time.Millisecond // between two checks
)

// awaitReading waits, for unreadTime at most, while this node is far behind with reading what is stored: otherwise a flood of
// messages would overflow the Listener's queue, and the stream would discard messages of a topic before they are delivered
// here. A node does not wait for other nodes, nor for topics that it does not follow.
func (l *Log) awaitReading(ctx context.Context, topic string) {
	if !l.isBehind(topic) {
		return
	}
	l.broker.unread.Add(1)
	ctx, cancel := context.WithTimeout(ctx, unreadTime)
	defer cancel()
	tick := time.NewTicker(unreadWait)
	defer tick.Stop()
	for l.isBehind(topic) && !l.refuses.Load() && l.broker.folderFailure() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-l.broker.ctx.Done():
			return
		}
	}
}

func (l *Log) isBehind(topic string) bool {
	l.mu.Lock()
	f := l.followers[topic]
	l.mu.Unlock()
	return f != nil && (len(l.live.subs.queue) > unreadQueue || f.missing.Load() > int64(max(1, l.config.PerTopic/unreadShare)))
}
