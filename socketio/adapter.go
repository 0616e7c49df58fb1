package socketio

import "context"

// Adapter reaches the other nodes of a cluster; broker.Bus is one. Its methods may be called from any goroutine. Except for
// Ask, they do not block.
type Adapter interface {
	// Node returns this node's name: eight letters or digits, different at each start.
	Node() string
	// Nodes returns the names of the other nodes that are alive.
	Nodes() []string
	// Serve begins to receive. message is called with what other nodes publish to subjects that this node listens to, one
	// call at a time, in the order of each publishing node. asked is called with what other nodes ask, and calls answer
	// once, perhaps later. changed is called when Nodes has changed.
	Serve(message func(node, subject string, data []byte), asked func(node string, data []byte, answer func([]byte)), changed func())
	// Publish sends data to the other nodes that listen to the subject, to each at most once.
	Publish(subject string, data []byte) error
	// Ask sends data to all other nodes and calls each with their answers, one call at a time. It returns when all nodes
	// that are alive have answered, or with an error when ctx ends.
	Ask(ctx context.Context, data []byte, each func(node string, answer []byte)) error
	// Listen begins to receive what is published to a subject, which consists of lower-case letters, digits and dots.
	Listen(subject string) error
	// Unlisten ends what Listen began.
	Unlisten(subject string)
}

// Journal keeps, for Config.Recovery, events in one order for all nodes, and the sockets that may come back.
// broker.Journal is almost one; package nodes adapts it.
type Journal interface {
	// Append adds an event to a topic. All nodes get it by Follow. If done is not nil, it is called with the result.
	Append(topic string, data []byte, done func(error)) error
	// Follow calls reset with the epoch, the name of this life of the journal; then deliver with each event of the topic
	// that is kept, oldest first; then ready; and then deliver with each new event. Calls come one at a time, events in
	// order and each once; none after from is left out. When events may have been lost, Follow calls reset again and
	// begins with the oldest event that is kept: with the same sequences if the epoch is the same, otherwise with new ones.
	Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), ready func(from uint64)) (stop func(), err error)
	// Put keeps a value under a key, in place of an earlier one.
	Put(key string, value []byte, done func(error)) error
	// Take returns a key's value and removes it, so that only one caller gets it.
	Take(ctx context.Context, key string) ([]byte, bool, error)
	// Remove removes a key's value.
	Remove(key string, done func(error)) error
}
