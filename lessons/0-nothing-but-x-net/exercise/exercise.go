// Package exercise reads the first bytes of a frame. Make its test pass:
//
//	go test ./lessons/0-nothing-but-x-net/exercise
package exercise

// Header is what stands before the payload of a frame (RFC 6455 section 5.2).
type Header struct {
	Fin    bool // the last frame of its message
	Opcode byte // 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong
	Masked bool // a client's are, a server's are not
	Length int  // of the payload
}

// Parse reads a header of a frame with at most 125 bytes of payload, whose header is two bytes:
//
//	first byte    FIN, three bits that are 0, and four bits of opcode
//	second byte   MASK, and seven bits of length
func Parse(first, second byte) Header {
	return Header{} // yours to write
}
