package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"iter"
	"unicode/utf8"

	"echows/ws"
)

// The types of packets, as the protocol numbers them.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'

	packetBinary = 'b' // only in polling: a binary message, in base64
)

// separator separates the packets of a polling request or answer.
const separator = '\x1e'

// packet is one packet. The data of a decoded packet may share memory with the text that it was decoded from.
type packet struct {
	kind byte // packetBinary for a binary message
	data []byte
}

var (
	errEmptyPacket = errors.New("a packet is empty")
	errPacketType  = errors.New("a packet is of an unknown type")
	errNotUTF8     = errors.New("a request is not UTF-8 text")
	errBase64      = errors.New("a binary packet is not base64")
	errManyPackets = errors.New("a request carries too many packets")
	errIdlePackets = errors.New("a request carries too many meaningless packets")
)

// decodePacket decodes one packet from text.
func decodePacket(text []byte) (packet, error) {
	if len(text) == 0 {
		return packet{}, errEmptyPacket
	}
	kind, data := text[0], text[1:]
	switch {
	case kind == packetBinary:
		decoded := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
		n, err := base64.StdEncoding.Decode(decoded, data)
		if err != nil {
			return packet{}, errBase64
		}
		return packet{kind, decoded[:n]}, nil
	case kind < packetOpen || kind > packetNoop:
		return packet{}, errPacketType
	}
	return packet{kind, data}, nil
}

// maxIdle is how many meaningless packets one request may carry.
const maxIdle = 10

// decodePayload decodes the packets of one polling request, which may have at most most of them. It decodes each packet only
// after the previous one has been handled. It stops after the first error.
func decodePayload(body []byte, most int) iter.Seq2[packet, error] {
	return func(yield func(packet, error) bool) {
		if !utf8.Valid(body) {
			yield(packet{}, errNotUTF8)
			return
		}
		if bytes.Count(body, []byte{separator}) >= most {
			yield(packet{}, errManyPackets)
			return
		}
		idle := 0
		for text := range bytes.SplitSeq(body, []byte{separator}) {
			p, err := decodePacket(text)
			if err == nil && p.isIdle() {
				if idle++; idle > maxIdle {
					err = errIdlePackets
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// isIdle reports whether the packet has no meaning when a client sends it by polling.
func (p packet) isIdle() bool {
	return p.kind == packetOpen || p.kind == packetUpgrade || p.kind == packetNoop
}

// packetOverhead is about how many bytes a queued packet takes besides its data: its place in the queue, and waste in the
// allocation of the data.
const packetOverhead = 64

// cost returns how many bytes a queued packet counts as.
func (p packet) cost() int { return len(p.data) + packetOverhead }

// appendPacket encodes one packet as text.
func appendPacket(dst []byte, p packet) []byte {
	dst = append(dst, p.kind)
	if p.kind == packetBinary {
		return base64.StdEncoding.AppendEncode(dst, p.data)
	}
	return append(dst, p.data...)
}

// encodePayload encodes the packets of one polling answer.
func encodePayload(packets []packet) []byte {
	size := 0
	for _, p := range packets {
		size += 2 + base64.StdEncoding.EncodedLen(len(p.data))
	}
	body := make([]byte, 0, size)
	for i, p := range packets {
		if i > 0 {
			body = append(body, separator)
		}
		body = appendPacket(body, p)
	}
	return body
}

// Prepare encodes messages once for any number of sessions (see Session.Offer). Text gets the packet type as a prefix, binary
// messages are unchanged, as on a WebSocket. The messages are sent together: no other message can come between them. The
// errors are those of ws.Prepare.
func Prepare(messages ...ws.Message) (*ws.Prepared, error) {
	wire := make([]ws.Message, len(messages))
	for i, m := range messages {
		wire[i] = onWire(m)
	}
	return ws.Prepare(wire...)
}

func onWire(m ws.Message) ws.Message {
	if m.IsText() {
		return ws.Message{Opcode: ws.Text, Data: append([]byte{packetMessage}, m.Data...)}
	}
	return m
}

// fromWire decodes the packet in a message on a WebSocket.
func fromWire(m ws.Message) (packet, error) {
	if !m.IsText() {
		return packet{packetBinary, m.Data}, nil
	}
	return decodePacket(m.Data)
}

// wire returns the packet as a message for a WebSocket.
func (p packet) wire() ws.Message {
	if p.kind == packetBinary {
		return ws.Message{Opcode: ws.Binary, Data: p.data}
	}
	return ws.Message{Opcode: ws.Text, Data: appendPacket(nil, p)}
}

// message returns the application's message in the packet, if there is one.
func (p packet) message() (m ws.Message, ok bool) {
	switch p.kind {
	case packetMessage:
		return ws.Message{Opcode: ws.Text, Data: p.data}, true
	case packetBinary:
		return ws.Message{Opcode: ws.Binary, Data: p.data}, true
	}
	return ws.Message{}, false
}
