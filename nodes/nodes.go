// Package nodes reaches the other nodes of a cluster for the three lessons: it opens what each needs of the broker, and
// tells the others what is said in /ws/broadcast.
package nodes

import (
	"context"
	"log/slog"
	"time"

	"echows/broker"
	"echows/socketio"
	"echows/ws"
)

// Config holds what Open has to know.
type Config struct {
	Recovery time.Duration // for which Socket.IO's clients can come back; 0 for none
	MaxEvent int           // bytes of Socket.IO's longest event
	MaxBytes int64         // of these events, that each NATS server keeps in memory
}

// Nodes are the other nodes. A nil *Nodes is none: its methods may be called, and do nothing.
type Nodes struct {
	chat     *broker.Bus
	socketio *broker.Bus
	said     *broker.Bus     // what is said in /ws/broadcast
	journal  *broker.Journal // nil without Config.Recovery
}

// Open finds the other nodes by a NATS cluster. The broker's end is theirs.
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

// Chat is the chat's way to the other nodes, or nil.
func (n *Nodes) Chat() *broker.Bus {
	if n == nil {
		return nil
	}
	return n.chat
}

// Adapter is Socket.IO's way to the other nodes, or nil.
func (n *Nodes) Adapter() socketio.Adapter {
	if n == nil {
		return nil // and not an interface with a nil *broker.Bus in it
	}
	return n.socketio
}

// Journal keeps Socket.IO's events for clients that come back, or is nil.
func (n *Nodes) Journal() socketio.Journal {
	if n == nil || n.journal == nil {
		return nil
	}
	return journal{n.journal}
}

// journal is a broker.Journal with the Follow that socketio asks for.
type journal struct{ *broker.Journal }

func (j journal) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), ready func(from uint64)) (stop func(), err error) {
	return j.Journal.Follow(topic, broker.JournalHandler{Deliver: deliver, Reset: reset, Ready: ready})
}

// saidSubject is where nodes tell each other what is said in /ws/broadcast.
const saidSubject = "said"

// Hear sends a route's connections what is said on other nodes.
func (n *Nodes) Hear(route *ws.Route) error {
	if n == nil {
		return nil
	}
	n.said.Serve(func(_, _ string, data []byte) {
		if m, ok := decode(data); ok {
			route.Broadcast(m) // an error says that m is not a message, which it was on the other node
		}
	}, func(_ string, _ []byte, answer func([]byte)) { answer(nil) }, func() {})
	return n.said.Listen(saidSubject)
}

// Tell sends the other nodes a message, at most once. It waits for nobody; that they cannot be reached is logged.
func (n *Nodes) Tell(m ws.Message) {
	if n == nil {
		return
	}
	if err := n.said.Publish(saidSubject, encode(m)); err != nil {
		slog.Warn("other nodes do not hear a message", "error", err)
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
