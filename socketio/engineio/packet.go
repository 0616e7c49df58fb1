package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"iter"

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

	packetBinary = 'b' // on polling only: a message of bytes, in base64
)

// separator stands between the packets of one polling request.
const separator = '\x1e'

// packet is one packet. The data of one that was decoded points into what it was decoded from.
type packet struct {
	kind byte // packetBinary for a message of bytes
	data []byte
}

var (
	errEmptyPacket = errors.New("a packet is empty")
	errPacketType  = errors.New("a packet is of an unknown type")
	errBase64      = errors.New("a binary packet is not base64")
	errManyPackets = errors.New("a request carries too many packets")
	errIdlePackets = errors.New("a request carries too many packets that mean nothing")
)

// decodePacket reads one packet of text.
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

// maxIdle is how many packets that mean nothing one request may carry.
const maxIdle = 10

// decodePayload reads the packets of one polling request, of which there may be most, one after the other: none is
// decoded before the one before it was handled. An error is the last.
func decodePayload(body []byte, most int) iter.Seq2[packet, error] {
	return func(yield func(packet, error) bool) {
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

// isIdle reports whether the packet means nothing when a client sends it by polling.
func (p packet) isIdle() bool {
	return p.kind == packetOpen || p.kind == packetUpgrade || p.kind == packetNoop
}

// packetOverhead is about what a packet costs besides its data while it waits, in bytes: its place in the queue, and
// what allocating its data wastes.
const packetOverhead = 64

// cost is how many bytes a packet that waits counts for.
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

// Prepare encodes messages for Session.Offer, once for all who get them, as they are on a WebSocket: text
// with its type before it, bytes as they are. They stay together.
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

// fromWire is the packet that a message on a WebSocket is.
func fromWire(m ws.Message) (packet, error) {
	if !m.IsText() {
		return packet{packetBinary, m.Data}, nil
	}
	return decodePacket(m.Data)
}

// wire is the packet as a message of a WebSocket.
func (p packet) wire() ws.Message {
	if p.kind == packetBinary {
		return ws.Message{Opcode: ws.Binary, Data: p.data}
	}
	return ws.Message{Opcode: ws.Text, Data: appendPacket(nil, p)}
}

// message is the application's part of a packet.
func (p packet) message() (m ws.Message, ok bool) {
	switch p.kind {
	case packetMessage:
		return ws.Message{Opcode: ws.Text, Data: p.data}, true
	case packetBinary:
		return ws.Message{Opcode: ws.Binary, Data: p.data}, true
	}
	return ws.Message{}, false
}
