package socketio

import "context"

// Adapter reaches the other nodes of a cluster: broker.Bus is one. Its methods may be called from any goroutine, and do
// not wait, but for Ask.
type Adapter interface {
	// Node names this node: eight letters or digits, other ones at each start.
	Node() string
	// Nodes are the other nodes that are alive.
	Nodes() []string
	// Serve begins: message is called with what others publish to subjects that this node listens to, one at a time and
	// in the order of each publishing node; asked with what others ask, and may answer later, once; changed when Nodes
	// has changed.
	Serve(message func(node, subject string, data []byte), asked func(node string, data []byte, answer func([]byte)), changed func())
	// Publish sends to the other nodes that listen to the subject, at most once each.
	Publish(subject string, data []byte) error
	// Ask sends to all other nodes, and calls each with one's answer after the other's, until all have answered that
	// are alive, or ctx ends, which is an error.
	Ask(ctx context.Context, data []byte, each func(node string, answer []byte)) error
	// Listen begins to receive what is published to a subject: lower-case letters and digits, with dots.
	Listen(subject string) error
	// Unlisten ends that.
	Unlisten(subject string)
}

// Journal keeps events for Config.Recovery, in one order for all nodes, and the sockets that may come back:
// broker.Journal is one.
type Journal interface {
	// Append adds an event to a topic. It comes back, on all nodes, by Follow. done, if not nil, is called with the
	// result.
	Append(topic string, data []byte, done func(error)) error
	// Follow calls reset with what names this life of the journal, then deliver with each event of a topic that is held,
	// oldest first, then ready, and then deliver with those that come: in order, each once, none left out after from,
	// one call at a time. Where events may have been lost it calls reset again, and begins with the oldest event that is
	// held: again, if the epoch is the same, and otherwise with sequences of their own.
	Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), ready func(from uint64)) (stop func(), err error)
	// Put keeps a value under a key; the next Put replaces it.
	Put(key string, value []byte, done func(error)) error
	// Take returns a key's value to one of all who ask for it, and removes it.
	Take(ctx context.Context, key string) ([]byte, bool, error)
	// Remove removes a key's value.
	Remove(key string, done func(error)) error
}
