package wire

import "encoding/binary"

// Opcode is what a frame is (RFC 6455 section 5.2).
type Opcode byte

const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

// IsControl reports whether the opcode's highest bit is set (section 5.5).
func (o Opcode) IsControl() bool { return o&8 != 0 }

func (o Opcode) isKnown() bool { return o <= Binary || o >= Close && o <= Pong }

func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "reserved"
}

// Header is a frame's header as it came over the wire (section 5.2):
//
//	byte 0   FIN, RSV1–3, opcode (4 bits)
//	byte 1   MASK, length (7 bits): below 126 the length itself, 126 and 127 announce
//	         2 or 8 bytes of length, the highest byte first
//	4 bytes  the masking key, when MASK is set
type Header struct {
	Fin      bool
	Reserved byte // RSV1–3 as three bits, RSV1 the highest
	Opcode   Opcode
	Masked   bool
	Short    byte   // the 7-bit length
	Length   uint64 // of the payload, in bytes
	Key      [4]byte
}

// The first byte of a header, apart from the opcode.
const (
	Fin  = 0x80 // the last frame of a message
	RSV1 = 0x40 // of a message's first frame: the message is compressed (RFC 7692 section 6)
)

// rsv1 is RSV1 in Header.Reserved.
const rsv1 = RSV1 >> 4

// MaxHeader is the longest header, in bytes: 2, 8 of length, 4 of key.
const MaxHeader = 14

// MaxControl is the longest payload of a control frame, in bytes (section 5.5).
const MaxControl = 125

// ParseHeader reads the header at the beginning of b, and returns its length in bytes, or 0 if the header is
// incomplete.
func ParseHeader(b []byte) (h Header, n int) {
	if len(b) < 2 {
		return h, 0
	}
	h = Header{
		Fin:      b[0]&Fin != 0,
		Reserved: b[0] >> 4 & 7,
		Opcode:   Opcode(b[0] & 0xf),
		Masked:   b[1]&0x80 != 0,
		Short:    b[1] & 0x7f,
	}
	n = 2
	switch h.Short {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	key := n
	if h.Masked {
		n += 4
	}
	if len(b) < n {
		return h, 0
	}
	switch h.Short {
	case 126:
		h.Length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.Length = binary.BigEndian.Uint64(b[2:])
	default:
		h.Length = uint64(h.Short)
	}
	if h.Masked {
		copy(h.Key[:], b[key:])
	}
	return h, n
}

// AppendHeader appends the header of an unmasked frame, which a server sends (section 5.1). first is the header's
// first byte: the opcode with Fin, and with RSV1 for a compressed message. The length has the shortest form.
func AppendHeader(dst []byte, first byte, length int) []byte {
	return appendHeader(dst, first, 0, length)
}

// AppendMaskedHeader is like AppendHeader, for a client, whose payload is masked with key.
func AppendMaskedHeader(dst []byte, first byte, length int, key [4]byte) []byte {
	return append(appendHeader(dst, first, 0x80, length), key[:]...)
}

func appendHeader(dst []byte, first, mask byte, length int) []byte {
	dst = append(dst, first)
	switch {
	case length < 126:
		return append(dst, mask|byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(length))
	}
}
