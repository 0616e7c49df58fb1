package ws

import (
	"encoding/binary"

	"golang.org/x/net/websocket"
)

// Opcode is what a frame, and so a message, is (RFC 6455 section 5.2).
type Opcode byte

const (
	Text   Opcode = websocket.TextFrame   // a message of UTF-8 text
	Binary Opcode = websocket.BinaryFrame // a message of bytes

	opContinuation Opcode = websocket.ContinuationFrame
	opClose        Opcode = websocket.CloseFrame
	opPing         Opcode = websocket.PingFrame
	opPong         Opcode = websocket.PongFrame
)

// isControl reports whether the opcode's highest bit is set (section 5.5).
func (o Opcode) isControl() bool { return o&8 != 0 }

func (o Opcode) isKnown() bool { return o <= Binary || o >= opClose && o <= opPong }

func (o Opcode) String() string {
	switch o {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return "control"
}

// header is a frame's header as it came over the wire (section 5.2):
//
//	byte 0   FIN, RSV1–3, opcode (4 bits)
//	byte 1   MASK, length (7 bits): below 126 the length itself, 126 and 127 announce
//	         2 or 8 bytes of length, the highest byte first
//	4 bytes  the masking key, when MASK is set
type header struct {
	fin      bool
	reserved byte // RSV1–3
	opcode   Opcode
	masked   bool
	short    byte   // the 7-bit length
	length   uint64 // of the payload, in bytes
	key      [4]byte
}

// maxHeader is the longest header, in bytes: 2, 8 of length, 4 of key.
const maxHeader = 14

// headerLength is how long the header is that b begins with, or 2 while that cannot be told.
func headerLength(b []byte) int {
	n := 2
	if len(b) < n {
		return n
	}
	if b[1]&0x80 != 0 {
		n += 4
	}
	switch b[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	return n
}

// parseHeader reads a header; b is whole.
func parseHeader(b []byte) header {
	h := header{
		fin:      b[0]&0x80 != 0,
		reserved: b[0] >> 4 & 7,
		opcode:   Opcode(b[0] & 0xf),
		masked:   b[1]&0x80 != 0,
		short:    b[1] & 0x7f,
	}
	b = b[2:]
	switch h.short {
	case 126:
		h.length, b = uint64(binary.BigEndian.Uint16(b)), b[2:]
	case 127:
		h.length, b = binary.BigEndian.Uint64(b), b[8:]
	default:
		h.length = uint64(h.short)
	}
	if h.masked {
		copy(h.key[:], b)
	}
	return h
}

// appendHeader appends the header of an unfragmented, unmasked frame (section 5.1: a server does not mask).
func appendHeader(dst []byte, op Opcode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
	}
}

// One value for each rule a peer can break. They are the close frames that the peer gets.
var (
	errReservedBits   = &CloseError{CloseProtocolError, "a reserved bit is set"}
	errOpcode         = &CloseError{CloseProtocolError, "reserved opcode"}
	errUnmasked       = &CloseError{CloseProtocolError, "frame is not masked"}
	errLength         = &CloseError{CloseProtocolError, "frame length is not in its shortest form"}
	errControlLong    = &CloseError{CloseProtocolError, "control frame is longer than 125 bytes"}
	errControlSplit   = &CloseError{CloseProtocolError, "control frame is fragmented"}
	errNothingToJoin  = &CloseError{CloseProtocolError, "continuation of nothing"}
	errInsideMessage  = &CloseError{CloseProtocolError, "new message inside a fragmented one"}
	errShortClose     = &CloseError{CloseProtocolError, "close frame with one byte of payload"}
	errForbiddenCode  = &CloseError{CloseProtocolError, "close code that may not be sent"}
	errCloseNotUTF8   = &CloseError{CloseInvalidPayload, "close reason is not UTF-8"}
	errNotUTF8        = &CloseError{CloseInvalidPayload, "text is not UTF-8"}
	errMessageTooLong = &CloseError{CloseTooBig, "message is too long"}
)

// check judges a client's frame by its header alone, before a byte of payload is read.
// joined is what the message in progress holds so far, or -1 when there is none.
func (h header) check(joined, limit int) *CloseError {
	switch {
	// "MUST be 0 unless an extension is negotiated" (5.2); none ever is.
	case h.reserved != 0:
		return errReservedBits
	// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_" (5.2).
	case !h.opcode.isKnown():
		return errOpcode
	// "The server MUST close the connection upon receiving a frame that is not masked" (5.1).
	case !h.masked:
		return errUnmasked
	// "All control frames MUST have a payload length of 125 bytes or less" (5.5) …
	case h.opcode.isControl() && h.short > maxControl:
		return errControlLong
	// "… and MUST NOT be fragmented."
	case h.opcode.isControl() && !h.fin:
		return errControlSplit
	// "The minimal number of bytes MUST be used to encode the length", and the most significant bit
	// MUST be 0 (5.2).
	case h.length >= 1<<63:
		return errLength
	case h.short == 126 && h.length < 126, h.short == 127 && h.length < 1<<16:
		return errLength
	case h.opcode.isControl():
		return nil
	// Fragments of one message come in order and are not mixed with another's (5.4).
	case h.opcode == opContinuation && joined < 0:
		return errNothingToJoin
	case h.opcode != opContinuation && joined >= 0:
		return errInsideMessage
	// 1009: "a message that is too big for it to process" (7.4.1), over all its fragments.
	case h.length > uint64(limit-max(joined, 0)):
		return errMessageTooLong
	}
	return nil
}
