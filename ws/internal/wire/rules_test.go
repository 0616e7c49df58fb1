package wire_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"echows/ws/internal/wire"
)

// none is for a frame that begins a message, or stands alone.
const none = -1

// ruleCases hold on both sides: M is 1 in what a server gets and 0 in what a client gets.
//
//	FIN
//	| RSV
//	| |   opcode
//	| |   |    MASK
//	| |   |    | length
//	1 000 0001 M 0000101
var ruleCases = []struct {
	drawn   string
	name    string
	deflate bool
	joined  int
	limit   int
	want    string // code and reason, "" for a frame that is fine
}{
	{"1 000 0001 M 0000101", "a whole message", false, none, 100, ""},
	{"0 000 0010 M 0000101", "a first fragment", false, none, 100, ""},
	{"0 000 0000 M 0000101", "a continuation", false, 1, 100, ""},
	{"1 000 0000 M 0000101", "a last one", false, 1, 100, ""},
	{"1 000 0000 M 0000101", "a continuation of an empty fragment", false, 0, 100, ""},
	{"1 000 1010 M 0000101", "a control frame between messages", false, none, 100, ""},
	{"1 000 1001 M 0000101", "a control frame between fragments", false, 1, 100, ""},
	{"1 000 1000 M 0000000", "a close between fragments", false, 1, 100, ""},

	{"1 100 0001 M 0000101", "RSV1 without permessage-deflate", false, none, 100, "1002 a reserved bit is set"},
	{"0 100 0010 M 0000101", "RSV1 of a first fragment, without permessage-deflate", false, none, 100, "1002 a reserved bit is set"},
	{"1 100 0000 M 0000101", "RSV1 of a continuation, without permessage-deflate", false, 1, 100, "1002 a reserved bit is set"},
	{"1 100 1001 M 0000000", "RSV1 of a ping, without permessage-deflate", false, none, 100, "1002 a reserved bit is set"},
	{"1 100 0001 M 0000101", "RSV1: a compressed text", true, none, 100, ""},
	{"1 100 0010 M 0000101", "RSV1: a compressed binary message", true, none, 100, ""},
	{"0 100 0001 M 0000101", "RSV1 of a first fragment", true, none, 100, ""},
	{"1 000 0001 M 0000101", "no RSV1: a message need not be compressed", true, none, 100, ""},
	{"1 000 0000 M 0000101", "a compressed message's continuation has no RSV1", true, 1, 100, ""},
	{"0 100 0000 M 0000101", "RSV1 of a continuation", true, 1, 100, "1002 a reserved bit is set"},
	{"1 100 0000 M 0000101", "RSV1 of the last continuation", true, 1, 100, "1002 a reserved bit is set"},
	{"1 100 1000 M 0000000", "RSV1 of a close", true, none, 100, "1002 a reserved bit is set"},
	{"1 100 1001 M 0000000", "RSV1 of a ping", true, none, 100, "1002 a reserved bit is set"},
	{"1 100 1010 M 0000000", "RSV1 of a pong", true, none, 100, "1002 a reserved bit is set"},
	{"1 010 0001 M 0000101", "RSV2", false, none, 100, "1002 a reserved bit is set"},
	{"1 001 0001 M 0000101", "RSV3", false, none, 100, "1002 a reserved bit is set"},
	{"1 010 0001 M 0000101", "RSV2 with permessage-deflate", true, none, 100, "1002 a reserved bit is set"},
	{"1 001 0001 M 0000101", "RSV3 with permessage-deflate", true, none, 100, "1002 a reserved bit is set"},
	{"1 110 0001 M 0000101", "RSV1 and RSV2 with permessage-deflate", true, none, 100, "1002 a reserved bit is set"},
	{"1 101 0001 M 0000101", "RSV1 and RSV3 with permessage-deflate", true, none, 100, "1002 a reserved bit is set"},
	{"1 001 1001 M 0000000", "RSV3 of a ping with permessage-deflate", true, none, 100, "1002 a reserved bit is set"},

	{"1 000 0011 M 0000000", "opcode 3", false, none, 100, "1002 reserved opcode"},
	{"1 000 0111 M 0000000", "opcode 7", false, none, 100, "1002 reserved opcode"},
	{"1 000 1011 M 0000000", "opcode 11", false, none, 100, "1002 reserved opcode"},
	{"1 000 1111 M 0000000", "opcode 15", false, none, 100, "1002 reserved opcode"},
	{"1 000 0011 M 0000000", "opcode 3 inside a message", false, 1, 100, "1002 reserved opcode"},

	{"1 000 1001 M 1111101", "a ping of 125 bytes", false, none, 0, ""},
	{"1 000 1000 M 1111101", "a close of 125 bytes", false, none, 0, ""},
	{"1 000 1001 M 1111110 00000000 01111110", "a ping of 126 bytes", false, none, 1000, "1002 control frame is longer than 125 bytes"},
	{"1 000 1000 M 1111110 00000000 01111110", "a close of 126 bytes", false, none, 1000, "1002 control frame is longer than 125 bytes"},
	{"1 000 1010 M 1111111" + zeros(5) + " 00000001" + zeros(2), "a pong of 65536 bytes", false, none, 1 << 20, "1002 control frame is longer than 125 bytes"},
	{"1 000 1001 M 1111110 00000000 00000101", "a ping of 5 bytes, said in two", false, none, 100, "1002 control frame is longer than 125 bytes"},
	{"0 000 1001 M 0000000", "a ping without FIN", false, none, 100, "1002 control frame is fragmented"},
	{"0 000 1010 M 0000000", "a pong without FIN", false, none, 100, "1002 control frame is fragmented"},
	{"0 000 1000 M 0000010", "a close without FIN", false, none, 100, "1002 control frame is fragmented"},
	{"0 000 1001 M 0000000", "a ping without FIN inside a message", false, 1, 100, "1002 control frame is fragmented"},

	{"1 000 0001 M 1111110 00000000 00000000", "0 in two bytes", false, none, 1000, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111110 00000000 01111101", "125 in two bytes", false, none, 1000, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111110 00000000 01111110", "126 in two bytes", false, none, 1000, ""},
	{"1 000 0001 M 1111110" + ones(2), "65535 in two bytes", false, none, 65535, ""},
	{"1 000 0001 M 1111111" + zeros(8), "0 in eight bytes", false, none, 1 << 20, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111111" + zeros(7) + " 01111110", "126 in eight bytes", false, none, 1 << 20, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111111" + zeros(6) + ones(2), "65535 in eight bytes", false, none, 1 << 20, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111111" + zeros(5) + " 00000001" + zeros(2), "65536 in eight bytes", false, none, 1 << 20, ""},
	{"1 000 0001 M 1111111 01111111" + ones(7), "2^63-1, the longest there is", false, none, math.MaxInt, ""},
	{"1 000 0001 M 1111111 10000000" + zeros(7), "2^63: the highest bit has to be 0", false, none, math.MaxInt, "1002 frame length is not in its shortest form"},
	{"1 000 0001 M 1111111 10000000" + zeros(6) + " 00000101", "the highest bit of a short length", false, none, 100, "1002 frame length is not in its shortest form"},
	{"1 000 0000 M 1111110 00000000 00000101", "a continuation's 5 in two bytes", false, 1, 100, "1002 frame length is not in its shortest form"},

	{"1 000 0000 M 0000101", "a continuation of nothing", false, none, 100, "1002 continuation without a message"},
	{"0 000 0000 M 0000101", "a continuation of nothing, without FIN", false, none, 100, "1002 continuation without a message"},
	{"1 000 0001 M 0000101", "a new text inside a message", false, 1, 100, "1002 new message inside a fragmented one"},
	{"1 000 0010 M 0000101", "a new message behind an empty fragment", false, 0, 100, "1002 new message inside a fragmented one"},
	{"0 000 0010 M 0000101", "a new fragment inside a message", false, 1, 100, "1002 new message inside a fragmented one"},
	{"1 100 0001 M 0000101", "a compressed message inside a message", true, 1, 100, "1002 new message inside a fragmented one"},

	{"1 000 0001 M 0000101", "a message at the limit", false, none, 5, ""},
	{"1 000 0001 M 0000101", "a message past the limit", false, none, 4, "1009 message is too long"},
	{"0 000 0010 M 0000101", "a fragment past the limit", false, none, 4, "1009 message is too long"},
	{"1 100 0001 M 0000101", "a compressed message past the limit", true, none, 4, "1009 message is too long"},
	{"1 000 0000 M 0000101", "fragments at the limit together", false, 3, 8, ""},
	{"1 000 0000 M 0000101", "fragments past the limit together", false, 4, 8, "1009 message is too long"},
	{"0 000 0000 M 0000101", "fragments past it before the last", false, 4, 8, "1009 message is too long"},
	{"1 000 0000 M 0000000", "an empty fragment behind those at the limit", false, 8, 8, ""},
	{"1 000 0000 M 0000001", "one byte behind those at the limit", false, 8, 8, "1009 message is too long"},
	{"1 000 0000 M 0000001", "one byte where the limit is passed already", false, 9, 8, "1009 message is too long"},
	{"1 000 0001 M 0000000", "nothing where nothing is allowed", false, none, 0, ""},
	{"1 000 0001 M 0000001", "one byte where nothing is allowed", false, none, 0, "1009 message is too long"},
	{"1 000 0010 M 1111111 01000000" + zeros(7), "2^62 bytes", false, none, 1 << 20, "1009 message is too long"},
	{"1 000 0010 M 1111111 01111111" + ones(7), "2^63-1 bytes", false, none, math.MaxInt - 1, "1009 message is too long"},
	{"1 000 0000 M 1111111 01111111" + ones(7), "a fragment of 2^63-1 bytes", false, 1, math.MaxInt, "1009 message is too long"},
	{"1 000 1001 M 0000101", "a control frame does not count", false, 8, 8, ""},
}

func TestCheck(t *testing.T) {
	for side, m := range map[wire.Side]string{wire.Server: "1", wire.Client: "0"} {
		t.Run(sideName(side), func(t *testing.T) {
			for _, c := range ruleCases {
				t.Run(c.name, func(t *testing.T) {
					h := parse(t, strings.Replace(c.drawn, "M", m, 1))
					if got := verdict(h.Check(side, c.deflate, c.joined, c.limit)); got != c.want {
						t.Errorf("got %q, want %q", got, c.want)
					}
				})
			}
		})
	}
}

// A client masks all its frames, and a server none (RFC 6455 section 5.1).
func TestCheckMask(t *testing.T) {
	for _, drawn := range []string{
		"1 000 0001 M 0000101", "0 000 0010 M 0000101", "1 000 1000 M 0000000", "1 000 1001 M 0000000", "1 000 1010 M 0000101",
	} {
		for _, c := range []struct {
			side wire.Side
			mask string
			want string
		}{
			{wire.Server, "1", ""},
			{wire.Server, "0", "1002 frame is not masked"},
			{wire.Client, "0", ""},
			{wire.Client, "1", "1002 a server's frame is masked"},
		} {
			h := parse(t, strings.Replace(drawn, "M", c.mask, 1))
			if got := verdict(h.Check(c.side, false, none, 100)); got != c.want {
				t.Errorf("%s gets %s: %q, want %q", sideName(c.side), strings.Replace(drawn, "M", c.mask, 1), got, c.want)
			}
		}
	}
	// One that goes on is no other case.
	for side, want := range map[wire.Side]string{wire.Server: "1002 frame is not masked", wire.Client: ""} {
		h := parse(t, "1 000 0000 0 0000101")
		if got := verdict(h.Check(side, false, 1, 100)); got != want {
			t.Errorf("%s gets a continuation that is not masked: %q, want %q", sideName(side), got, want)
		}
	}
}

// Of the 256 first bytes, only these are allowed.
func TestCheckFirstBytes(t *testing.T) {
	for _, c := range []struct {
		name    string
		deflate bool
		joined  int
		want    []byte
	}{
		{"between messages", false, none, []byte{0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8a}},
		{"between messages, with permessage-deflate", true, none, []byte{0x01, 0x02, 0x41, 0x42, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0xc2}},
		{"within a message", false, 0, []byte{0x00, 0x80, 0x88, 0x89, 0x8a}},
		{"within a message, with permessage-deflate", true, 0, []byte{0x00, 0x80, 0x88, 0x89, 0x8a}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for side, second := range map[wire.Side]byte{wire.Server: 0x80, wire.Client: 0} {
				var got []byte
				for first := range 256 {
					h, _ := wire.ParseHeader([]byte{byte(first), second, 0, 0, 0, 0})
					if h.Check(side, c.deflate, c.joined, 100) == nil {
						got = append(got, byte(first))
					}
				}
				if string(got) != string(c.want) {
					t.Errorf("%s takes % x, want % x", sideName(side), got, c.want)
				}
			}
		})
	}
}

// The values that the readers of payloads refuse with.
func TestRefusals(t *testing.T) {
	for want, err := range map[string]*wire.CloseError{
		"1007 text is not UTF-8":          wire.ErrNotUTF8,
		"1009 message is too long":        wire.ErrMessageTooLong,
		"1007 compressed data is damaged": wire.ErrDeflate,
	} {
		if got := verdict(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func parse(t testing.TB, bits string) wire.Header {
	t.Helper()
	h, n := wire.ParseHeader(drawn(bits))
	if n == 0 {
		t.Fatalf("%s is not a whole header", bits)
	}
	return h
}

// verdict is the code and the reason, or "" where nothing is wrong.
func verdict(err *wire.CloseError) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", err.Code, err.Reason)
}

func sideName(side wire.Side) string {
	if side == wire.Server {
		return "a server"
	}
	return "a client"
}
