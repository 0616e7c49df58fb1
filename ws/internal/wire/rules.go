package wire

// Side is an end of a connection.
type Side byte

const (
	Server Side = iota
	Client
)

// One value for each rule that a peer can break: the close frame that the peer receives.
var (
	errReservedBits   = &CloseError{ProtocolError, "a reserved bit is set"}
	errOpcode         = &CloseError{ProtocolError, "reserved opcode"}
	errUnmasked       = &CloseError{ProtocolError, "frame is not masked"}
	errMasked         = &CloseError{ProtocolError, "a server's frame is masked"}
	errLength         = &CloseError{ProtocolError, "frame length is not in its shortest form"}
	errControlLong    = &CloseError{ProtocolError, "control frame is longer than 125 bytes"}
	errControlSplit   = &CloseError{ProtocolError, "control frame is fragmented"}
	errNothingToJoin  = &CloseError{ProtocolError, "continuation without a message"}
	errInsideMessage  = &CloseError{ProtocolError, "new message inside a fragmented one"}
	errShortClose     = &CloseError{ProtocolError, "close frame with one byte of payload"}
	errForbiddenCode  = &CloseError{ProtocolError, "close code that may not be sent"}
	errCloseNotUTF8   = &CloseError{InvalidPayload, "close reason is not UTF-8"}
	ErrNotUTF8        = &CloseError{InvalidPayload, "text is not UTF-8"}
	ErrMessageTooLong = &CloseError{TooBig, "message is too long"}
	ErrDeflate        = &CloseError{InvalidPayload, "compressed data is damaged"}
)

// Check checks a frame that side received by its header alone, before a byte of payload is read. deflate says
// whether permessage-deflate was agreed on. joined is the size of the message in progress so far, in bytes, or
// -1 if there is none; limit is the size limit of a message.
func (h Header) Check(side Side, deflate bool, joined, limit int) *CloseError {
	switch {
	// "MUST be 0 unless an extension is negotiated" (RFC 6455 section 5.2). permessage-deflate uses RSV1, on
	// the first frame of a message and nowhere else (RFC 7692 section 6.1).
	case h.Reserved&^rsv1 != 0:
		return errReservedBits
	case h.Reserved != 0 && (!deflate || h.Opcode.IsControl() || h.Opcode == Continuation):
		return errReservedBits
	// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_" (5.2).
	case !h.Opcode.isKnown():
		return errOpcode
	// "The server MUST close the connection upon receiving a frame that is not masked" (5.1) …
	case side == Server && !h.Masked:
		return errUnmasked
	// … "A client MUST close a connection if it detects a masked frame."
	case side == Client && h.Masked:
		return errMasked
	// "All control frames MUST have a payload length of 125 bytes or less" (5.5) …
	case h.Opcode.IsControl() && h.Short > MaxControl:
		return errControlLong
	// … "and MUST NOT be fragmented."
	case h.Opcode.IsControl() && !h.Fin:
		return errControlSplit
	// "The minimal number of bytes MUST be used to encode the length", and the most significant bit
	// MUST be 0 (5.2).
	case h.Length >= 1<<63:
		return errLength
	case h.Short == 126 && h.Length < 126, h.Short == 127 && h.Length < 1<<16:
		return errLength
	case h.Opcode.IsControl():
		return nil
	// Fragments of one message come in order and are not mixed with another's (5.4).
	case h.Opcode == Continuation && joined < 0:
		return errNothingToJoin
	case h.Opcode != Continuation && joined >= 0:
		return errInsideMessage
	// 1009: "a message that is too big for it to process" (7.4.1), over all its fragments.
	case h.Length > uint64(max(limit-max(joined, 0), 0)):
		return ErrMessageTooLong
	}
	return nil
}

// IsCompressed reports whether the frame begins a compressed message.
func (h Header) IsCompressed() bool { return h.Reserved&rsv1 != 0 }
