package socketio

import (
	"fmt"
	"slices"

	"echows/hub"
	"echows/socketio/engineio"
	"echows/ws"
)

// Emitter is whom an event goes to. It is a value: To and Except return another.
type Emitter struct {
	namespace *Namespace
	rooms     []string // any of these; none is all
	except    []string // none of these
	but       *Socket  // nor this one
}

// To adds rooms: their members get the event, each once.
func (e Emitter) To(rooms ...string) Emitter {
	e.rooms = slices.Concat(e.rooms, rooms)
	return e
}

// Except adds rooms whose members do not get it.
func (e Emitter) Except(rooms ...string) Emitter {
	e.except = slices.Concat(e.except, rooms)
	return e
}

// Emit sends the event. It waits for nobody: who does not read, or poll, is disconnected. The error says
// what is wrong with the arguments.
func (e Emitter) Emit(event string, args ...any) error {
	p, attachments, err := newEvent(e.namespace.name, event, args)
	if err != nil {
		return err
	}
	if r := e.namespace.recovery; r != nil {
		return r.emit(e, p, attachments, e.deliver)
	}
	f, err := encodeFrame(p, attachments)
	if err != nil {
		return err
	}
	e.deliver(f)
	return nil
}

// deliver is the one place where packets for many leave. To reach the members on other nodes, publish the
// frame here, with the emitter's rooms, and call deliver there with what arrives: nothing above it knows
// where members are.
func (e Emitter) deliver(f *ws.Prepared) {
	h, n := e.namespace.server.hub, e.namespace
	var but []hub.Member
	if e.but != nil {
		but = []hub.Member{e.but.member}
	}
	topics := []string{n.everyone()}
	if len(e.rooms) > 0 {
		topics = topics[:0]
	}
	for _, room := range e.rooms {
		topics = append(topics, n.topic(room))
	}
	if len(e.except) == 0 && len(topics) == 1 {
		h.BroadcastPrepared(topics[0], f, but...)
		return
	}
	seen := map[hub.Member]bool{}
	for _, m := range but {
		seen[m] = true
	}
	for _, room := range e.except {
		for m := range h.Members(n.topic(room)) {
			seen[m] = true
		}
	}
	for _, topic := range topics {
		for m := range h.Members(topic) {
			if !seen[m] {
				seen[m] = true
				m.Offer(f)
			}
		}
	}
}

// newEvent makes an event's packet, with its attachments beside it.
func newEvent(namespace, event string, args []any) (packet, [][]byte, error) {
	if reserved[event] {
		return packet{}, nil, errReserved(event)
	}
	data, attachments, err := appendArgs(nil, event, args)
	return packet{kind: kindEvent, namespace: namespace, data: data}, attachments, err
}

func errReserved(event string) error {
	return fmt.Errorf("socketio: %q is a reserved event name", event)
}

// encodeFrame encodes a packet and its attachments as messages that stay together.
func encodeFrame(p packet, attachments [][]byte) (*ws.Prepared, error) {
	if p.attachments = len(attachments); p.attachments > 0 {
		p.kind = p.kind.binary()
	}
	messages := make([]ws.Message, 1, 1+len(attachments))
	messages[0] = ws.Message{Opcode: ws.Text, Data: p.encode()}
	for _, data := range attachments {
		messages = append(messages, ws.Message{Opcode: ws.Binary, Data: data})
	}
	return engineio.Prepare(messages...)
}
