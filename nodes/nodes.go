// Package nodes connects the three lessons to the other nodes of a cluster: it opens the broker's buses and journal for them,
// and passes the messages of /ws/broadcast between nodes.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"echows/broker"
	"echows/socketio"
	"echows/ws"
)

// Config configures Open.
type Config struct {
	Recovery time.Duration // how long Socket.IO clients can come back; 0 for not at all
	MaxEvent int           // size limit of one Socket.IO event, in bytes
	MaxBytes int64         // of Socket.IO events that each NATS server keeps in memory
}

// Nodes connects this node to the others. A nil *Nodes is for a server without other nodes: its methods may be called, and
// do nothing.
type Nodes struct {
	chat     *broker.Bus
	socketio *broker.Bus
	said     *broker.Bus     // messages of /ws/broadcast
	journal  *broker.Journal // nil without Config.Recovery
}

// Open connects to the other nodes through b, which must be open for as long as the Nodes are in use. Closing b ends them.
func Open(ctx context.Context, b *broker.Broker, cfg Config) (*Nodes, error) {
	n := new(Nodes)
	var err error
	for name, bus := range map[string]**broker.Bus{"chat": &n.chat, "socketio": &n.socketio, "said": &n.said} {
		if *bus, err = b.OpenBus(ctx, name); err != nil {
			return nil, err
		}
	}
	if cfg.Recovery > 0 {
		n.journal, err = b.OpenJournal(ctx, broker.JournalConfig{
			Name: "socketio", MaxAge: cfg.Recovery, MaxBytes: cfg.MaxBytes, MaxEntry: cfg.MaxEvent,
		})
	}
	return n, err
}

// Chat returns the bus that connects the chat to the other nodes, or nil.
func (n *Nodes) Chat() *broker.Bus {
	if n == nil {
		return nil
	}
	return n.chat
}

// Adapter returns the adapter that connects Socket.IO to the other nodes, or nil.
func (n *Nodes) Adapter() socketio.Adapter {
	if n == nil {
		return nil // not an interface that holds a nil *broker.Bus
	}
	return n.socketio
}

// Journal returns the journal that keeps Socket.IO events for clients that come back, or nil.
func (n *Nodes) Journal() socketio.Journal {
	if n == nil || n.journal == nil {
		return nil
	}
	return journal{n.journal}
}

// journal adapts a broker.Journal to socketio.Journal.
type journal struct{ *broker.Journal }

func (j journal) Append(topic string, data []byte, done func(error)) error {
	err := j.Journal.Append(topic, data, done)
	if errors.Is(err, broker.ErrTooLarge) {
		return fmt.Errorf("%w: %w", socketio.ErrTooLarge, err)
	}
	return err
}

func (j journal) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	return j.Journal.Follow(topic, broker.JournalHandler{Deliver: deliver, Hole: hole, Reset: reset, Ready: ready})
}

// saidSubject is the subject on which nodes pass on messages of /ws/broadcast.
const saidSubject = "said"

// Hear starts sending the messages that other nodes Tell to the route's connections.
func (n *Nodes) Hear(route *ws.Route) error {
	if n == nil {
		return nil
	}
	n.said.Serve(func(_, _ string, data []byte) {
		if m, ok := decode(data); ok {
			route.Broadcast(m) // an error would mean that m is invalid, but the other node has checked it
		}
	}, func(_ string, _ []byte, answer func([]byte)) { answer(nil) }, func() {})
	return n.said.Listen(saidSubject)
}

// Tell sends a message to the other nodes, at most once. It does not wait for them, and logs an error if it cannot send.
func (n *Nodes) Tell(m ws.Message) {
	if n == nil {
		return
	}
	if err := n.said.Publish(saidSubject, encode(m)); err != nil {
		slog.Warn("a message was not sent to other nodes", "error", err)
	}
}

// encode writes a message as one byte, its opcode, and its data.
func encode(m ws.Message) []byte { return append([]byte{byte(m.Opcode)}, m.Data...) }

// decode reads what encode wrote.
func decode(data []byte) (ws.Message, bool) {
	if len(data) == 0 || ws.Opcode(data[0]) != ws.Text && ws.Opcode(data[0]) != ws.Binary {
		return ws.Message{}, false
	}
	return ws.Message{Opcode: ws.Opcode(data[0]), Data: data[1:]}, true
}
