package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"

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

// decodePayload reads the packets of one polling request: all, or those before the error.
func decodePayload(body []byte) ([]packet, error) {
	packets := make([]packet, 0, 1+min(bytes.Count(body, []byte{separator}), 64))
	for text := range bytes.SplitSeq(body, []byte{separator}) {
		p, err := decodePacket(text)
		if err != nil {
			return packets, err
		}
		packets = append(packets, p)
	}
	return packets, nil
}

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
	var body []byte
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
