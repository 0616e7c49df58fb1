package socketio

import (
	"context"
	"errors"
)

// Adapter connects the nodes of a cluster; broker.Bus implements it. Its methods may be called from any goroutine. Except
// for Ask, they must not block.
type Adapter interface {
	// Node returns this node's name: eight letters or digits, different after each start.
	Node() string
	// Nodes returns the names of the other nodes that are alive.
	Nodes() []string
	// Serve begins to receive. message is called with data that other nodes publish to subjects that this node listens to,
	// one call at a time, in the order in which each node published it. asked is called with data from Ask on other nodes;
	// it calls answer once, perhaps after it has returned. changed is called after the result of Nodes has changed, but
	// not during a call of message.
	Serve(message func(node, subject string, data []byte), asked func(node string, data []byte, answer func([]byte)), changed func())
	// Publish sends data to the other nodes that listen to the subject, at most once to each.
	Publish(subject string, data []byte) error
	// Ask sends data to all other nodes and calls each with their answers, one call at a time. It returns when all nodes
	// that are alive have answered, or with an error when ctx ends.
	Ask(ctx context.Context, data []byte, each func(node string, answer []byte)) error
	// Listen subscribes this node to a subject, which consists of letters, digits and dots.
	Listen(subject string) error
	// Unlisten unsubscribes this node from a subject.
	Unlisten(subject string)
}

// ErrTooLarge means that an event is larger than what the Journal stores. It was not sent.
var ErrTooLarge = errors.New("socketio: the event is too large for the journal")

// Journal stores, for Config.Recovery, events in one order for all nodes, and the sockets that may come back. Package nodes
// adapts broker.Journal to it.
type Journal interface {
	// Append adds an event to a topic. All nodes receive it through Follow. If Append returns nil and done is not nil, done
	// is called with the result. The error wraps ErrTooLarge if the event is too large to be stored; after other errors,
	// the event is sent without being stored.
	Append(topic string, data []byte, done func(error)) error
	// Follow calls reset with the epoch, which names this life of the journal; then deliver with each event of the topic
	// that is still stored, oldest first; then ready; and then deliver with each new event. It makes one call at a time,
	// and delivers each event once, in order, without a gap after from. When events may have been lost, Follow calls reset
	// again and starts over with the oldest stored event: with the same sequences if the epoch is the same, otherwise with
	// new ones. It calls hole with a sequence if events that a node appended before the one at this sequence are lost, or
	// are stored behind it and not delivered; then it may deliver that event.
	Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error)
	// Put stores a value under a key, and replaces any earlier one.
	Put(key string, value []byte, done func(error)) error
	// Take returns a key's value, if there is one, and removes it, so that only one caller gets it.
	Take(ctx context.Context, key string) ([]byte, bool, error)
	// Remove removes a key's value.
	Remove(key string, done func(error)) error
}
