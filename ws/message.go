package ws

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"echows/ws/internal/wire"
)

// Opcode is what a message is (RFC 6455 section 5.2).
type Opcode = wire.Opcode

const (
	Text   Opcode = wire.Text   // a message of UTF-8 text
	Binary Opcode = wire.Binary // a message of bytes
)

// Message is one message, with all its fragments joined. Received text is valid UTF-8.
type Message struct {
	Opcode Opcode // Text or Binary
	Data   []byte // valid until the callback returns; copy what you keep
}

// IsText reports whether the peer sent text.
func (m Message) IsText() bool { return m.Opcode == Text }

// Text returns a copy of the data as a string, safe to keep.
func (m Message) Text() string { return string(m.Data) }

// JSON decodes the data into v, which must be a pointer. The error can be shown to the peer.
func (m Message) JSON(v any) error {
	if err := json.Unmarshal(m.Data, v); err != nil {
		return fmt.Errorf("ws: message is not the JSON expected: %w", err)
	}
	return nil
}

// check returns why m may not be sent, or nil (RFC 6455 section 5.6).
func (m Message) check() error {
	switch {
	case m.Opcode != Text && m.Opcode != Binary:
		return errOpcodeToSend
	case m.Opcode == Text && !utf8.Valid(m.Data):
		return errTextToSend
	}
	return nil
}

var (
	errOpcodeToSend = errors.New("ws: send: a message's opcode is Text or Binary")
	errTextToSend   = errors.New("ws: send: text must be UTF-8; send other bytes as a binary message")
)

// LogValue returns what is logged of a message: its kind and its length, but nothing of its content.
func (m Message) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprintf("%d bytes of %v", len(m.Data), m.Opcode))
}
