package broker

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

const (
	busLargest   = busOutbox // size limit of one message, in bytes
	partHeader   = "Part"    // of a message in parts: the number of bytes before this part, and of all parts
	partOverhead = 128       // at most, of the header in its written form
)

// inPart is a message whose parts arrive. One goroutine of its node sends them one right after the other, each with the node's id
// before it, so a node has one such message at a time.
type inPart struct {
	subject string
	data    []byte
	size    int // of the whole
}

// publish sends a message, in parts if it is too large for the servers.
func (b *Bus) publish(o outgoing) error {
	limit := int(b.broker.largest.Load())
	if len(o.data) <= limit {
		return b.broker.conn.PublishMsg(&nats.Msg{Subject: o.subject, Reply: o.reply, Data: o.data})
	}
	data, sent := o.data[nodeSize:], 0
	for sent < len(data) {
		part := data[sent:min(len(data), sent+max(limit-partOverhead-nodeSize, 1))]
		m := &nats.Msg{
			Subject: o.subject,
			Reply:   o.reply,
			Header:  nats.Header{partHeader: {fmt.Sprintf("%d/%d", sent, len(data))}},
			Data:    b.mark(part),
		}
		if err := b.broker.conn.PublishMsg(m); err != nil {
			return err
		}
		sent += len(part)
	}
	return nil
}

// join returns the data of a received message, without its node. If the message came in parts, ok is false until the last of
// them; a message without all its parts is dropped, as messages may be. Only run calls join.
func (b *Bus) join(node string, m *nats.Msg) (data []byte, ok bool) {
	data = m.Data[nodeSize:]
	place := m.Header.Get(partHeader)
	if place == "" {
		return data, true
	}
	var before, size int
	if n, _ := fmt.Sscanf(place, "%d/%d", &before, &size); n != 2 || size > busLargest {
		return nil, false
	}
	p := b.parts[node]
	if before == 0 {
		p = &inPart{subject: m.Subject, size: size}
		b.parts[node] = p
	}
	if p == nil || p.subject != m.Subject || p.size != size || len(p.data) != before || len(data) > size-before {
		delete(b.parts, node)
		return nil, false
	}
	p.data = append(p.data, data...)
	if len(p.data) < size {
		return nil, false
	}
	delete(b.parts, node)
	return p.data, true
}
