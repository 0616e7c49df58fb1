package broker

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// The first byte, after the node's id, of a message to all or to one node.
const (
	kindHello   = 'h'
	kindWelcome = 'w'
	kindBye     = 'b'
	kindAsk     = 'q' // 8 bytes of the question's number, and its data
	kindAnswer  = 'a' // the same
	kindFailed  = 'f' // instead of an answer that cannot be sent: the question's number, and why
)

// member is another node.
type member struct {
	id       string
	heard    time.Time
	number   uint64 // from its last heartbeat
	numbered bool
}

// Nodes returns the other nodes that are alive, sorted.
func (b *Bus) Nodes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.nodes))
}

// hear notes that the node of a message is alive, and returns its id. ok is false for our own messages.
func (b *Bus) hear(m *nats.Msg) (node string, ok bool) {
	if len(m.Data) < nodeSize || string(m.Data[:nodeSize]) == b.node {
		return "", false
	}
	b.mu.Lock()
	one := b.nodes[string(m.Data[:nodeSize])]
	isNew := one == nil
	if isNew {
		one = &member{id: string(m.Data[:nodeSize])}
		if !ValidTopic(one.id) {
			b.mu.Unlock()
			return "", false
		}
		b.nodes[one.id] = one
	}
	one.heard = time.Now()
	if n := m.Data[nodeSize:]; len(n) == 8 && m.Subject[len(b.prefix):] == busAlive {
		one.number, one.numbered = binary.BigEndian.Uint64(n), true
	}
	b.mu.Unlock()
	if isNew {
		b.changed()
	}
	return one.id, true
}

// SetNumber sets the number that this node's heartbeats carry. If it counts what the node publishes, the
// others can see at no cost whether they have missed the last: see Number.
func (b *Bus) SetNumber(n uint64) { b.number.Store(n) }

// Number returns the number of a node's last heartbeat, which is a second old or more; messages published
// before it may still be waiting here. ok is false before the first heartbeat.
func (b *Bus) Number(node string) (n uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one := b.nodes[node]; one != nil {
		return one.number, one.numbered
	}
	return 0, false
}

// control handles the messages of the nodes' buses to each other.
func (b *Bus) control(node string, data []byte) {
	if len(data) == 0 {
		return
	}
	kind, data := data[0], data[1:]
	switch {
	case kind == kindHello:
		b.post(outgoing{subject: b.prefix + busTo + node, data: b.mark([]byte{kindWelcome})})
	case kind == kindBye:
		b.hearAll() // its last heartbeat must not bring it back
		b.lose(func(m *member) bool { return m.id == node })
	case kind == kindAsk && len(data) >= 8:
		b.answerTo(node, [8]byte(data), data[8:])
	case kind == kindFailed && len(data) >= 8:
		b.settle(binary.BigEndian.Uint64(data), answer{node: node, failed: string(data[8:])})
	case kind == kindAnswer && len(data) >= 8:
		b.answered(node, binary.BigEndian.Uint64(data), data[8:])
	}
}

// hearAll handles the waiting heartbeats.
func (b *Bus) hearAll() {
	for {
		select {
		case m := <-b.beats.queue:
			b.hear(m)
		default:
			return
		}
	}
}

// sweep removes silent nodes. First it handles the heartbeats that came while we were busy.
func (b *Bus) sweep() {
	b.hearAll()
	now := time.Now()
	b.lose(func(m *member) bool { return now.Sub(m.heard) > b.silence })
}

// lose removes nodes, so that nobody waits for them any longer. Only run calls it.
func (b *Bus) lose(gone func(*member) bool) {
	b.mu.Lock()
	before := len(b.nodes)
	for id, m := range b.nodes {
		if gone(m) {
			delete(b.nodes, id)
			delete(b.parts, id)
			for _, a := range b.asking {
				a.settleLocked(id, answer{node: id, gone: true})
			}
		}
	}
	after := len(b.nodes)
	b.mu.Unlock()
	if after != before {
		b.changed()
	}
}

// keepAlive greets the others and sends heartbeats.
func (b *Bus) keepAlive() {
	tick := time.NewTicker(b.interval)
	defer tick.Stop()
	var lost uint64
	b.greetSoon()
	for {
		select {
		case <-b.greet:
			b.post(outgoing{subject: b.prefix + busAll, data: b.mark([]byte{kindHello})})
		case <-tick.C:
			b.post(outgoing{subject: b.prefix + busAlive, data: b.mark(number(b.number.Load()))})
			lost = b.complain(lost)
		case <-b.end:
			return
		}
	}
}

// complain logs how many messages were dropped since its last call.
func (b *Bus) complain(before uint64) (now uint64) {
	if !b.slow.Swap(false) {
		return before
	}
	if now = b.queue.lost(); now > before {
		b.broker.log.Warn("messages from other nodes were dropped: they come faster than they can be handled",
			"bus", b.prefix, "messages", now-before)
	}
	return now
}

// greetSoon greets the others now: at the start, and when the connection is back.
func (b *Bus) greetSoon() {
	select {
	case b.greet <- struct{}{}:
	default:
	}
}
