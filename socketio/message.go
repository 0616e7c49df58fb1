package socketio

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// message is a message from one node to the others.
type message struct {
	Kind      string   `json:"kind"`
	Namespace string   `json:"ns"`
	Rooms     []string `json:"rooms,omitempty"` // empty means all sockets
	Except    []string `json:"except,omitempty"`
	Once      uint64   `json:"once,omitempty"` // if it is published to several subjects: rises with each such message of a node
	Volatile  bool     `json:"volatile,omitempty"`
	Hole      bool     `json:"hole,omitempty"` // an event that the journal does not have
	To        []string `json:"to,omitempty"`   // rooms to join or leave
	All       bool     `json:"all,omitempty"`  // disconnect the whole connection
	Wait      int64    `json:"wait,omitempty"` // ms, for acknowledgements
	Token     uint64   `json:"token,omitempty"`
	Node      string   `json:"node,omitempty"` // waits for the message with its Token to come back from the journal
	Lengths   []int    `json:"lengths,omitempty"`

	payload     []byte // of an event's packet
	attachments [][]byte
}

// The kinds of messages.
const (
	tellEmit       = "emit"
	tellJoin       = "join"
	tellLeave      = "leave"
	tellDisconnect = "disconnect"
	tellHole       = "hole" // in the journal: events were sent before this point but not stored

	askLen     = "len"
	askRooms   = "rooms"
	askSockets = "sockets"
	askAcks    = "acks"
	askSession = "session"
)

var errMessage = errors.New("a message from another node is damaged")

func (m message) audience() audience { return audience{m.Rooms, m.Except} }

// size returns about how many bytes encode returns, besides the fields.
func (m message) size() int {
	n := len(m.payload)
	for _, a := range m.attachments {
		n += len(a)
	}
	return n
}

// encode encodes the length of the fields, the fields as JSON, the payload, and the attachments.
func (m message) encode() ([]byte, error) {
	for _, a := range m.attachments {
		m.Lengths = append(m.Lengths, len(a))
	}
	fields, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("socketio: encode: %w", err)
	}
	b := binary.AppendUvarint(make([]byte, 0, len(fields)+len(m.payload)+16), uint64(len(fields)))
	b = append(append(b, fields...), m.payload...)
	for _, a := range m.attachments {
		b = append(b, a...)
	}
	return b, nil
}

// decodeMessage decodes the result of encode. The message refers to data.
func decodeMessage(data []byte) (m message, err error) {
	n, skip := binary.Uvarint(data)
	if skip <= 0 || n > uint64(len(data)-skip) {
		return m, errMessage
	}
	fields, rest := data[skip:skip+int(n)], data[skip+int(n):]
	if json.Unmarshal(fields, &m) != nil {
		return m, errMessage
	}
	for i := len(m.Lengths) - 1; i >= 0; i-- {
		length := m.Lengths[i]
		if length < 0 || length > len(rest) {
			return m, errMessage
		}
		m.attachments = append(m.attachments, rest[len(rest)-length:])
		rest = rest[:len(rest)-length]
	}
	for i, j := 0, len(m.attachments)-1; i < j; i, j = i+1, j-1 {
		m.attachments[i], m.attachments[j] = m.attachments[j], m.attachments[i]
	}
	m.payload = rest
	if m.Kind == tellEmit || m.Kind == askAcks {
		return m, m.checkEvent()
	}
	return m, nil
}

// checkEvent checks that the event makes a valid packet.
func (m message) checkEvent() error {
	p := packet{kind: kindEvent, namespace: m.Namespace, data: m.payload}
	if !bytes.HasSuffix(p.data, []byte("]")) || p.check() != nil {
		return errMessage
	}
	if len(m.attachments) > 0 && checkPlaceholders(p.data, len(m.attachments)) != nil { // without attachments, they are ordinary objects
		return errMessage
	}
	return nil
}

// packet returns the event's packet.
func (m message) packet() packet {
	return packet{kind: kindEvent, namespace: m.Namespace, data: m.payload}
}
