package ws_test

import (
	"net"
	"strings"
	"testing"

	"echows/ws"
)

// wireCases are RFC 6455's rules for frames, as a client would keep or break them on an echo route.
//
// want lists what the server sends; a close code as the last one is followed by the connection's end.
var wireCases = []struct {
	name string
	sent string
	want []string
	code ws.CloseCode
}{
	//                                    FIN
	//                                    | RSV
	//                                    | |   opcode  MASK
	//                                    | |   |       | length
	{"a text message comes back", frame("1 000 0001    1 0000101", "Hello"), []string{"text Hello"}, 0},
	{"a binary message comes back", frame("1 000 0010 1 0000011", "\x00\xff\x80"), []string{"binary \x00\xff\x80"}, 0},
	{"an empty text message comes back", frame("1 000 0001 1 0000000", ""), []string{"text"}, 0},
	{"125 bytes", whole(opText, strings.Repeat("a", 125)), []string{"text " + strings.Repeat("a", 125)}, 0},
	{"126 bytes", whole(opText, strings.Repeat("b", 126)), []string{"text " + strings.Repeat("b", 126)}, 0},
	{"127 bytes", whole(opText, strings.Repeat("b", 127)), []string{"text " + strings.Repeat("b", 127)}, 0},
	{"65535 bytes", whole(opBinary, strings.Repeat("c", 65535)), []string{"binary " + strings.Repeat("c", 65535)}, 0},
	{"65536 bytes", whole(opBinary, strings.Repeat("d", 65536)), []string{"binary " + strings.Repeat("d", 65536)}, 0},
	{"messages of one segment come back in order", whole(opText, "1") + whole(opText, "2") + whole(opText, "3"), []string{"text 1", "text 2", "text 3"}, 0},

	{"fragments are joined", part(opText, "Hel") + whole(opContinuation, "lo"), []string{"text Hello"}, 0},
	{"empty fragments are joined", part(opText, "") + part(opContinuation, "") + whole(opContinuation, ""), []string{"text"}, 0},
	{"a rune may be split over fragments", part(opText, "\xe2\x82") + whole(opContinuation, "\xac"), []string{"text €"}, 0},
	{"a ping between fragments is answered at once", part(opText, "Hel") + whole(opPing, "?") + whole(opContinuation, "lo"), []string{"pong ?", "text Hello"}, 0},
	{"a pong between fragments is taken", part(opBinary, "a") + whole(opPong, "") + whole(opContinuation, "b"), []string{"binary ab"}, 0},

	{"a ping's payload is returned", whole(opPing, strings.Repeat("p", 125)), []string{"pong " + strings.Repeat("p", 125)}, 0},
	{"an empty ping", whole(opPing, ""), []string{"pong"}, 0},
	{"an unasked pong is ignored", whole(opPong, "x") + whole(opText, "y"), []string{"text y"}, 0},

	{"unmasked frame", frame("1 000 0001 0 0000101", "Hello"), nil, ws.CloseProtocolError},
	{"unmasked ping", frame("1 000 1001 0 0000000", ""), nil, ws.CloseProtocolError},
	{"RSV1", frame("1 100 0001 1 0000101", "Hello"), nil, ws.CloseProtocolError},
	{"RSV2", frame("1 010 0001 1 0000101", "Hello"), nil, ws.CloseProtocolError},
	{"RSV3", frame("1 001 0001 1 0000101", "Hello"), nil, ws.CloseProtocolError},
	{"RSV on a ping", frame("1 100 1001 1 0000000", ""), nil, ws.CloseProtocolError},
	{"opcode 3", frame("1 000 0011 1 0000000", ""), nil, ws.CloseProtocolError},
	{"opcode 7", frame("1 000 0111 1 0000000", ""), nil, ws.CloseProtocolError},
	{"opcode 11", frame("1 000 1011 1 0000000", ""), nil, ws.CloseProtocolError},
	{"opcode 15", frame("1 000 1111 1 0000000", ""), nil, ws.CloseProtocolError},
	{"fragmented ping", frame("0 000 1001 1 0000000", ""), nil, ws.CloseProtocolError},
	{"fragmented close", frame("0 000 1000 1 0000000", ""), nil, ws.CloseProtocolError},
	{"ping of 126 bytes", frame("1 000 1001 1 1111110 00000000 01111110", strings.Repeat("p", 126)), nil, ws.CloseProtocolError},
	{"close of 126 bytes", frame("1 000 1000 1 1111110 00000000 01111110", "\x03\xe8"+strings.Repeat("r", 124)), nil, ws.CloseProtocolError},
	{"ping whose length is 5, but in two bytes", frame("1 000 1001 1 1111110 00000000 00000101", "Hello"), nil, ws.CloseProtocolError},
	{"length 5 in two bytes", frame("1 000 0001 1 1111110 00000000 00000101", "Hello"), nil, ws.CloseProtocolError},
	{"length 5 in eight bytes", frame("1 000 0001 1 1111111"+strings.Repeat(" 00000000", 7)+" 00000101", "Hello"), nil, ws.CloseProtocolError},
	{"length with its highest bit set", frame("1 000 0001 1 1111111 10000000"+strings.Repeat(" 00000000", 4)+" 00000001 00000000 00000000", ""), nil, ws.CloseProtocolError},
	{"continuation of nothing", whole(opContinuation, "x"), nil, ws.CloseProtocolError},
	{"continuation after a whole message", whole(opText, "a") + whole(opContinuation, "x"), []string{"text a"}, ws.CloseProtocolError},
	{"a new message inside one", part(opText, "a") + whole(opText, "b"), nil, ws.CloseProtocolError},

	{"text that is not UTF-8", whole(opText, "\xff"), nil, ws.CloseInvalidPayload},
	{"text that ends within a rune", whole(opText, "a\xe2\x82"), nil, ws.CloseInvalidPayload},
	{"text with a surrogate", whole(opText, "\xed\xa0\x80"), nil, ws.CloseInvalidPayload},
	{"text with an overlong form", whole(opText, "\xc0\xaf"), nil, ws.CloseInvalidPayload},
	{"fragments that end within a rune", part(opText, "a") + whole(opContinuation, "\xe2\x82"), nil, ws.CloseInvalidPayload},
	{"bytes that prove it are enough: first fragment", part(opText, "ab\xff"), nil, ws.CloseInvalidPayload},
	{"bytes that prove it are enough: later fragment", part(opText, "ab\xf4") + part(opContinuation, "\x90"), nil, ws.CloseInvalidPayload},
	{"bytes that prove it are enough: the middle of a frame", frame("1 000 0001 1 1100100", "ab\xf4\x90"), nil, ws.CloseInvalidPayload},

	//                                                                        a length of 2^20+1 in eight bytes, and no payload at all
	{"a declared length past the limit", frame("1 000 0010 1 1111111 00000000 00000000 00000000 00000000 00000000 00010000 00000000 00000001", ""), nil, ws.CloseTooBig},
	{"a declared length of 2^62", frame("1 000 0010 1 1111111 01000000"+strings.Repeat(" 00000000", 7), ""), nil, ws.CloseTooBig},
	{"fragments past the limit together", part(opBinary, strings.Repeat("x", 1<<19)) + part(opContinuation, strings.Repeat("x", 1<<19)) + frame("0 000 0000 1 0000001", ""), nil, ws.CloseTooBig},
	{"a message at the limit", whole(opBinary, strings.Repeat("x", 1<<20)), []string{"binary " + strings.Repeat("x", 1<<20)}, 0},

	{"close without a code", whole(opClose, ""), []string{"close", "end"}, 0},
	{"close 1000 is answered with 1000", closing(1000, ""), nil, ws.CloseNormal},
	{"a close's reason is answered", closing(1001, "bye"), []string{"close 1001 bye", "end"}, 0},
	{"close with an application's code", closing(4999, ""), nil, 4999},
	{"close 3000", closing(3000, ""), nil, 3000},
	{"close 1014", closing(1014, ""), nil, 1014},
	{"close with one byte of payload", whole(opClose, "\x03"), nil, ws.CloseProtocolError},
	{"close with a reason that is not UTF-8", closing(1000, "\xff"), nil, ws.CloseInvalidPayload},
	{"close 0", closing(0, ""), nil, ws.CloseProtocolError},
	{"close 999", closing(999, ""), nil, ws.CloseProtocolError},
	{"close 1004", closing(1004, ""), nil, ws.CloseProtocolError},
	{"close 1005", closing(1005, ""), nil, ws.CloseProtocolError},
	{"close 1006", closing(1006, ""), nil, ws.CloseProtocolError},
	{"close 1015", closing(1015, ""), nil, ws.CloseProtocolError},
	{"close 1016", closing(1016, ""), nil, ws.CloseProtocolError},
	{"close 2999", closing(2999, ""), nil, ws.CloseProtocolError},
	{"close 5000", closing(5000, ""), nil, ws.CloseProtocolError},
	{"close 65535", closing(65535, ""), nil, ws.CloseProtocolError},
	{"what comes after a close is ignored", whole(opText, "a") + closing(1000, "") + whole(opText, "b") + whole(opPing, "c") + "\xff\xff", []string{"text a"}, ws.CloseNormal},
	{"close within a fragmented message", part(opText, "a") + closing(1000, ""), nil, ws.CloseNormal},
	{"what comes after a broken rule is ignored", whole(opText, "a") + frame("1 100 0001 1 0000000", "") + whole(opText, "b"), []string{"text a"}, ws.CloseProtocolError},
}

func TestWire(t *testing.T) {
	for _, way := range []struct {
		name string
		wrap func(net.Listener) net.Listener
	}{
		{"as it comes", nil},
		{"byte by byte", func(l net.Listener) net.Listener { return drip{l} }},
	} {
		t.Run(way.name, func(t *testing.T) {
			_, addr := serveOn(t, ws.Config{}, way.wrap, echoRoute)
			for _, c := range wireCases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					p := dial(t, addr, "/echo")
					p.send(c.sent)
					p.expect(c.want...)
					if c.code != 0 {
						p.expectClose(c.code)
						return
					}
					if len(c.want) > 0 && c.want[len(c.want)-1] == "end" {
						return
					}
					p.send(whole(opText, "still here"))
					p.expect("text still here")
				})
			}
		})
	}
}

// The bytes of a frame may come together with the handshake's.
func TestFramesRightBehindTheHandshake(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("long", 2000)
	p := shake(t, behind{conn, whole(opText, "early") + whole(opText, long)[:5000]}, "/echo")
	p.expect("text early")
	p.send(whole(opText, long)[5000:])
	p.expect("text " + long)
}

// behind sends more with the first write.
type behind struct {
	net.Conn
	more string
}

func (b behind) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "GET ") {
		n, err := b.Conn.Write([]byte(string(p) + b.more))
		return min(n, len(p)), err
	}
	return b.Conn.Write(p)
}
