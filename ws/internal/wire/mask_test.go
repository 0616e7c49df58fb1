package wire_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"echows/ws/internal/wire"
)

// maskByDefinition is RFC 6455 section 5.3: "octet i of the transformed data is the XOR of octet i of the
// original data with octet at index i modulo 4 of the masking key".
func maskByDefinition(key [4]byte, p []byte) []byte {
	masked := make([]byte, len(p))
	for i := range p {
		masked[i] = p[i] ^ key[i%4]
	}
	return masked
}

// turned is key as it goes on after n bytes.
func turned(key [4]byte, n int) [4]byte {
	return [4]byte{key[n%4], key[(n+1)%4], key[(n+2)%4], key[(n+3)%4]}
}

func TestMask(t *testing.T) {
	lengths := []int{1 << 10, 4095, 65536, 65537, 1<<20 + 3}
	for n := range 101 {
		lengths = append(lengths, n)
	}
	random := rand.NewChaCha8([32]byte{1})
	for _, n := range lengths {
		for offset := range 4 {
			from := turned(key, offset)
			for start := range 8 { // in memory
				if n > 100 && start > 1 {
					break
				}
				all := make([]byte, start+n+8)
				random.Read(all)
				want := slices.Concat(all[:start], maskByDefinition(from, all[start:start+n]), all[start+n:])
				next := wire.Mask(from, all[start:start+n])
				if !bytes.Equal(all, want) {
					t.Fatalf("%d bytes from key byte %d on, at address %d: not the definition's", n, offset, start)
				}
				if next != turned(key, offset+n) {
					t.Fatalf("after %d bytes from key byte %d on, the key is % x", n, offset, next)
				}
			}
		}
	}
}

func TestMaskGoesOnInPieces(t *testing.T) {
	whole := bytes.Repeat([]byte("Hello, wörld €. "), 6)
	want := maskByDefinition(key, whole)
	for i := range whole {
		for j := i; j < len(whole); j++ {
			p := slices.Clone(whole)
			wire.Mask(wire.Mask(wire.Mask(key, p[:i]), p[i:j]), p[j:])
			if !bytes.Equal(p, want) {
				t.Fatalf("cut at %d and %d: not the same", i, j)
			}
		}
	}
}

// RFC 6455 section 5.7 has this one.
func TestMaskOfTheRFC(t *testing.T) {
	p := []byte("Hello")
	wire.Mask(key, p)
	if want := "\x7f\x9f\x4d\x51\x58"; string(p) != want {
		t.Errorf("got % x, want % x", p, want)
	}
}
