package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"echows/ws/internal/wire"
)

// key is the mask of the frames drawn in these tests.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// drawn builds a header from its bits, and puts key behind them where MASK is set:
//
//	FIN
//	| RSV
//	| |   opcode  MASK
//	| |   |       | length
//	1 000 0001    1 0000101
func drawn(bits string) []byte {
	bits = strings.ReplaceAll(bits, " ", "")
	if len(bits)%8 != 0 {
		panic("a header is whole bytes: " + bits)
	}
	var b []byte
	for i := 0; i < len(bits); i += 8 {
		n, err := strconv.ParseUint(bits[i:i+8], 2, 8)
		if err != nil {
			panic(err)
		}
		b = append(b, byte(n))
	}
	if b[1]&0x80 != 0 {
		b = append(b, key[:]...)
	}
	return b
}

// zeros and ones are so many bytes of a drawn length.
func zeros(bytes int) string { return strings.Repeat(" 00000000", bytes) }
func ones(bytes int) string  { return strings.Repeat(" 11111111", bytes) }

// headerCases, as drawn reads them, have their length in its shortest form.
var headerCases = []struct {
	drawn string
	name  string
	want  wire.Header
}{
	{"1 000 0001 0 0000101", "a server's text", wire.Header{Fin: true, Opcode: wire.Text, Short: 5, Length: 5}},
	{"1 000 0001 1 0000101", "a client's text", wire.Header{Fin: true, Opcode: wire.Text, Short: 5, Length: 5, Masked: true, Key: key}},
	{"0 000 0010 0 0000001", "a first fragment", wire.Header{Opcode: wire.Binary, Short: 1, Length: 1}},
	{"0 000 0000 1 0000001", "a fragment in the middle", wire.Header{Opcode: wire.Continuation, Short: 1, Length: 1, Masked: true, Key: key}},
	{"1 000 0000 0 0000001", "a last fragment", wire.Header{Fin: true, Opcode: wire.Continuation, Short: 1, Length: 1}},
	{"1 100 0001 0 0000010", "a compressed text", wire.Header{Fin: true, Reserved: 4, Opcode: wire.Text, Short: 2, Length: 2}},
	{"1 000 1000 1 0000000", "a close without a payload", wire.Header{Fin: true, Opcode: wire.Close, Masked: true, Key: key}},
	{"1 000 1001 0 0000100", "a ping", wire.Header{Fin: true, Opcode: wire.Ping, Short: 4, Length: 4}},
	{"1 000 1010 1 0000100", "a pong", wire.Header{Fin: true, Opcode: wire.Pong, Short: 4, Length: 4, Masked: true, Key: key}},
	{"0 010 0001 0 0000001", "RSV2", wire.Header{Reserved: 2, Opcode: wire.Text, Short: 1, Length: 1}},
	{"0 001 0001 0 0000001", "RSV3", wire.Header{Reserved: 1, Opcode: wire.Text, Short: 1, Length: 1}},
	{"1 111 1111 0 0000001", "all of the first byte set", wire.Header{Fin: true, Reserved: 7, Opcode: 15, Short: 1, Length: 1}},

	{"1 000 0010 0 0000000", "0 bytes", wire.Header{Fin: true, Opcode: wire.Binary}},
	{"1 000 0010 0 0000001", "1 byte", wire.Header{Fin: true, Opcode: wire.Binary, Short: 1, Length: 1}},
	{"1 000 0010 0 1111101", "125 bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 125, Length: 125}},
	{"1 000 0010 0 1111110 00000000 01111110", "126 bytes need two more", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 126}},
	{"1 000 0010 0 1111110 00000000 01111111", "127 bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 127}},
	{"1 000 0010 0 1111110 00000001 00000010", "the highest byte comes first", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 258}},
	{"1 000 0010 0 1111110" + ones(2), "65535 bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 65535}},
	{"1 000 0010 0 1111111" + zeros(5) + " 00000001" + zeros(2), "65536 bytes need eight more", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 65536}},
	{"1 000 0010 0 1111111 00000001 00000010 00000011 00000100 00000101 00000110 00000111 00001000", "each of the eight bytes counts", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 0x0102030405060708}},
	{"1 000 0010 0 1111111 01000000" + zeros(7), "2^62 bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 1 << 62}},
	{"1 000 0010 0 1111111 01111111" + ones(7), "2^63-1 bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 1<<63 - 1}},

	{"1 000 0010 1 0000000", "0 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: key}},
	{"1 000 0010 1 1111101", "125 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 125, Length: 125, Masked: true, Key: key}},
	{"1 000 0010 1 1111110 00000000 01111110", "126 masked bytes: the key comes last", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 126, Masked: true, Key: key}},
	{"1 000 0010 1 1111110 00000000 01111111", "127 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 127, Masked: true, Key: key}},
	{"1 000 0010 1 1111110" + ones(2), "65535 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 126, Length: 65535, Masked: true, Key: key}},
	{"1 000 0010 1 1111111" + zeros(5) + " 00000001" + zeros(2), "65536 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 65536, Masked: true, Key: key}},
	{"1 000 0010 1 1111111 01000000" + zeros(7), "2^62 masked bytes", wire.Header{Fin: true, Opcode: wire.Binary, Short: 127, Length: 1 << 62, Masked: true, Key: key}},
}

// longFormCases have a length that would fit into fewer bytes, or into none: they can be read, and Check
// refuses them.
var longFormCases = []struct {
	drawn string
	name  string
	want  wire.Header
}{
	{"1 000 0001 0 1111110" + zeros(2), "0 in two bytes", wire.Header{Fin: true, Opcode: wire.Text, Short: 126}},
	{"1 000 0001 1 1111110 00000000 00000101", "5 in two bytes", wire.Header{Fin: true, Opcode: wire.Text, Short: 126, Length: 5, Masked: true, Key: key}},
	{"1 000 0001 0 1111110 00000000 01111101", "125 in two bytes", wire.Header{Fin: true, Opcode: wire.Text, Short: 126, Length: 125}},
	{"1 000 0001 0 1111111" + zeros(7) + " 00000101", "5 in eight bytes", wire.Header{Fin: true, Opcode: wire.Text, Short: 127, Length: 5}},
	{"1 000 0001 1 1111111" + zeros(6) + ones(2), "65535 in eight bytes", wire.Header{Fin: true, Opcode: wire.Text, Short: 127, Length: 65535, Masked: true, Key: key}},
	{"1 000 0001 0 1111111 10000000" + zeros(7), "2^63, the bit that has to be 0", wire.Header{Fin: true, Opcode: wire.Text, Short: 127, Length: 1 << 63}},
	{"1 000 0001 1 1111111" + ones(8), "all bits of the length", wire.Header{Fin: true, Opcode: wire.Text, Short: 127, Length: 1<<64 - 1, Masked: true, Key: key}},
}

func TestParseHeader(t *testing.T) {
	for _, c := range slices.Concat(headerCases, longFormCases) {
		t.Run(c.name, func(t *testing.T) {
			b := drawn(c.drawn)
			for _, behind := range []string{"", "\xff", strings.Repeat("payload", 3)} {
				if h, n := wire.ParseHeader(append(b[:len(b):len(b)], behind...)); h != c.want || n != len(b) {
					t.Errorf("before %q: got %+v of %d bytes, want %+v of %d", behind, h, n, c.want, len(b))
				}
			}
			for i := range b {
				if _, n := wire.ParseHeader(b[:i:i]); n != 0 {
					t.Errorf("%d of %d bytes are taken for a header of %d", i, len(b), n)
				}
			}
		})
	}
}

func TestAppendHeader(t *testing.T) {
	for _, c := range headerCases {
		t.Run(c.name, func(t *testing.T) {
			want := drawn(c.drawn)
			if len(want) > wire.MaxHeader {
				t.Errorf("%d bytes are more than MaxHeader", len(want))
			}
			if got := appendHeader([]byte("before"), c.want); string(got) != "before"+string(want) {
				t.Errorf("got %08b behind %q, want %08b", got, "before", want)
			}
		})
	}
	if longest := appendHeader(nil, wire.Header{Masked: true, Length: 1 << 62}); len(longest) != wire.MaxHeader {
		t.Errorf("the longest has %d bytes, MaxHeader is %d", len(longest), wire.MaxHeader)
	}
}

// appendHeader appends h with its length in the shortest form.
func appendHeader(dst []byte, h wire.Header) []byte {
	first := h.Reserved<<4 | byte(h.Opcode)
	if h.Fin {
		first |= wire.Fin
	}
	if h.Masked {
		return wire.AppendMaskedHeader(dst, first, int(h.Length), h.Key)
	}
	return wire.AppendHeader(dst, first, int(h.Length))
}

func TestHeadersRoundTrip(t *testing.T) {
	lengths := []uint64{0, 1, 5, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 1<<24 - 1, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1<<63 - 1}
	for first := range 256 {
		for _, length := range lengths {
			for _, masked := range []bool{false, true} {
				var b []byte
				if masked {
					b = wire.AppendMaskedHeader(nil, byte(first), int(length), key)
				} else {
					b = wire.AppendHeader(nil, byte(first), int(length))
				}
				h, n := wire.ParseHeader(b)
				if n != len(b) || h.Length != length || h.Masked != masked || masked && h.Key != key {
					t.Fatalf("%08b, %d bytes, masked %v: came back as %+v of %d bytes", first, length, masked, h, n)
				}
				if back := appendHeader(nil, h); !bytes.Equal(back, b) {
					t.Fatalf("%08b became %08b", b, back)
				}
			}
		}
	}
}

func TestOpcodes(t *testing.T) {
	names := map[wire.Opcode]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
	for o := range wire.Opcode(16) {
		want, known := names[o]
		if !known {
			want = "reserved"
		}
		if got := fmt.Sprint(o); got != want {
			t.Errorf("opcode %d is %q, want %q", byte(o), got, want)
		}
		if got := o.IsControl(); got != (o >= 8) {
			t.Errorf("opcode %d is a control frame's: %v", byte(o), got)
		}
	}
}

func TestOnlyRSV1SaysCompressed(t *testing.T) {
	for reserved := range byte(8) {
		if got := (wire.Header{Reserved: reserved}).IsCompressed(); got != (reserved >= 4) {
			t.Errorf("RSV %03b: %v", reserved, got)
		}
	}
	if h, _ := wire.ParseHeader(wire.AppendHeader(nil, byte(wire.Text)|wire.RSV1, 1)); !h.IsCompressed() {
		t.Error("a header made with RSV1 is not compressed")
	}
}
