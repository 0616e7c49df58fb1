package main

import (
	"context"
	"log/slog"

	"echows/broker"
	"echows/settings"
	"echows/socketio"
	"echows/ws"
)

// nodes are the other nodes of a cluster, as the lessons reach them. A nil *nodes is none.
type nodes struct {
	chat    *broker.Bus     // what need not last of /ws/chat/
	sockets *broker.Bus     // what crosses nodes in /socket.io/
	said    *broker.Bus     // and in /ws/broadcast
	journal *broker.Journal // nil without -recovery
}

// journal is a broker.Journal as socketio asks for one.
type journal struct{ *broker.Journal }

func (j journal) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), ready func(from uint64)) (stop func(), err error) {
	return j.Journal.Follow(topic, broker.JournalHandler{Deliver: deliver, Reset: reset, Ready: ready})
}

// crowd is what the chat reaches the other nodes by, or nil.
func (n *nodes) crowd() *broker.Bus {
	if n == nil {
		return nil
	}
	return n.chat
}

// adapter is what socketio reaches the other nodes by, or nil.
func (n *nodes) adapter() socketio.Adapter {
	if n == nil {
		return nil
	}
	return n.sockets
}

// keeper is what socketio keeps events in for those who come back, or nil.
func (n *nodes) keeper() socketio.Journal {
	if n == nil || n.journal == nil {
		return nil
	}
	return journal{n.journal}
}

// saidSubject is where nodes tell each other what was said in /ws/broadcast.
const saidSubject = "said"

// openNodes finds the other nodes where there may be any: on a NATS cluster.
func openNodes(ctx context.Context, b *broker.Broker, set settings.Settings) (*nodes, error) {
	if set.NATS.URL == "" {
		return nil, nil
	}
	n := &nodes{}
	var err error
	if n.chat, err = b.OpenBus(ctx, "chat"); err != nil {
		return nil, err
	}
	if n.sockets, err = b.OpenBus(ctx, "socketio"); err != nil {
		return nil, err
	}
	if n.said, err = b.OpenBus(ctx, "said"); err != nil {
		return nil, err
	}
	if set.Recovery > 0 {
		n.journal, err = b.OpenJournal(ctx, broker.JournalConfig{
			Name: "socketio", MaxAge: set.Recovery, MaxBytes: settings.JournalBytes, MaxEntry: settings.MaxPayload,
		})
	}
	return n, err
}

// hear has a route's connections hear what is said on other nodes.
func (n *nodes) hear(route *ws.Route) error {
	if n == nil {
		return nil
	}
	n.said.Serve(func(_, _ string, data []byte) {
		if m, ok := decodeSaid(data); ok {
			route.Broadcast(m) // an error says that m is no message, which it was when it came
		}
	}, func(_ string, _ []byte, answer func([]byte)) { answer(nil) }, func() {})
	return n.said.Listen(saidSubject)
}

// tell tells the other nodes what was said.
func (n *nodes) tell(m ws.Message) {
	if n == nil {
		return
	}
	if err := n.said.Publish(saidSubject, append([]byte{byte(m.Opcode)}, m.Data...)); err != nil {
		logged.Do(func() { slog.Warn("other nodes do not hear a message", "error", err) })
	}
}

// decodeSaid reads what tell sent.
func decodeSaid(data []byte) (ws.Message, bool) {
	if len(data) == 0 || ws.Opcode(data[0]) != ws.Text && ws.Opcode(data[0]) != ws.Binary {
		return ws.Message{}, false
	}
	return ws.Message{Opcode: ws.Opcode(data[0]), Data: data[1:]}, true
}
