package broker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	readyTime  = 1200 * time.Millisecond // for Ready
	readyWait  = 50 * time.Millisecond   // between two requests of one Ready
	askedTime  = 500 * time.Millisecond  // how long a good answer counts
	goneTime   = 3 * time.Second / 2     // after which a server that was seen to leave does not count
	quorumTime = 3 * time.Second         // after which a silent server does not count: each is heard every second
)

// Ready returns nil if an entry appended now would be stored. Otherwise the error names what is missing: the
// connection, a stream's leader or quorum, the disk, the data folder. Ready waits for 1.2 s at most, within which a
// node that has lost its server finds another. It may be called often.
func (b *Broker) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if b.folder != nil {
		b.folder.look()
	}
	if err := b.folderFailure(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := b.awaitConnection(ctx); err != nil {
		return err
	}
	for _, l := range b.allLogs() {
		if err := l.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitConnection gives the connection time to find another server.
func (b *Broker) awaitConnection(ctx context.Context) error {
	for !b.conn.IsConnected() {
		if b.conn.IsClosed() || pause(ctx, readyWait) != nil {
			return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asked is a stream's last answer.
type asked struct {
	at      time.Time
	link    context.Context // the connection over which it came
	failure error           // why it was not good, or nil
}

// ready returns why the Log accepts no messages, or nil.
func (l *Log) ready(ctx context.Context) error {
	failing := l.recentFailure()
	if err := l.askReady(ctx); err != nil {
		return err
	}
	if failing != nil || l.refuses.Load() {
		return fmt.Errorf("%w: the stream %s accepts no messages", ErrUnavailable, l.stream)
	}
	return nil
}

// recentFailure returns why an append failed a moment ago, if none has succeeded since, or nil.
func (l *Log) recentFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.failed) >= failingTime {
		return nil
	}
	return l.failing
}

// askReady asks for the stream's state until the answer is good, or ctx ends. A good answer counts for a
// moment, while the connection lasts.
func (l *Log) askReady(ctx context.Context) (err error) {
	l.asking.Lock() // callers that wait here get the same answer
	defer l.asking.Unlock()
	before := l.asked
	if a := before; a.failure == nil && a.link != nil && a.link.Err() == nil && time.Since(a.at) < askedTime && l.checkHome() == nil {
		return nil
	}
	for {
		l.broker.mu.Lock()
		link := l.broker.link
		l.broker.mu.Unlock()
		failure := l.hasAll(ctx)
		if failure == nil {
			l.asked = asked{at: time.Now(), link: link}
			return nil
		}
		switch {
		case ctx.Err() != nil && err != nil: // the answer before the timeout says more
		case ctx.Err() != nil && before.failure != nil && time.Since(before.at) < readyTime:
			return before.failure // another call used up the time, in vain
		default:
			err = failure
		}
		if isFinal(err) || pause(ctx, readyWait) != nil {
			l.asked = asked{at: time.Now(), link: link, failure: err}
			return err
		}
	}
}

// hasAll returns an error if the stream does not answer, or has less than it had.
func (l *Log) hasAll(ctx context.Context) error {
	highest := l.highestSeen() // before the stream is asked: it may grow in the meantime
	s, err := l.state(ctx)
	if err != nil {
		return err
	}
	if l.endsBefore(s.LastSeq, highest) {
		return fmt.Errorf("the stream %s ends at %d, but had %d before: what was stored last is lost", l.stream, l.epochs().seq(s.LastSeq), highest)
	}
	return nil
}

// leads returns why a stream's leader cannot be trusted, or nil. Without a leader any server answers from what it
// has; and a leader that is cut off believes for some seconds that it still leads.
func leads(stream string, cluster *jetstream.ClusterInfo) error {
	if err := fromLeader(stream, cluster); err != nil || cluster == nil {
		return err
	}
	heard := 1
	for _, r := range cluster.Replicas {
		limit := quorumTime
		if r.Offline { // but it may already be back
			limit = goneTime
		}
		if r.Active < limit && (r.Current || r.Active > 0) { // a server that was never heard has 0 as the time since
			heard++
		}
	}
	if servers := len(cluster.Replicas) + 1; heard <= servers/2 {
		return fmt.Errorf("the stream %s has lost its quorum: %d of its %d servers answer", stream, heard, servers)
	}
	return nil
}

// fromLeader returns an error unless a stream's leader sent what is known of its cluster.
func fromLeader(stream string, cluster *jetstream.ClusterInfo) error {
	switch {
	case cluster == nil: // a server without others
		return nil
	case cluster.Leader == "":
		return fmt.Errorf("the stream %s has no leader", stream)
	case slices.ContainsFunc(cluster.Replicas, func(r *jetstream.PeerInfo) bool { return r.Name == cluster.Leader }):
		return fmt.Errorf("a server other than the leader answered for the stream %s", stream) // who lists all but itself
	}
	return nil
}
