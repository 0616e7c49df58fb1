package wire

import (
	"encoding/binary"
	"math/bits"
)

// Mask masks or unmasks p in place (RFC 6455 section 5.3), eight bytes at a time, and returns the key
// rotated for the payload's next byte.
func Mask(key [4]byte, p []byte) [4]byte {
	k := binary.LittleEndian.Uint32(key[:])
	kk := uint64(k)<<32 | uint64(k)
	for len(p) >= 32 {
		_ = p[31]
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^kk)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^kk)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^kk)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^kk)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^kk)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		k = bits.RotateLeft32(k, -8)
	}
	binary.LittleEndian.PutUint32(key[:], k)
	return key
}
