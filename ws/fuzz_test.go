package ws_test

import (
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"unicode/utf8"

	"echows/ws"
)

// Whatever a peer sends after the handshake: the server ends the connection once the peer has, in
// whole frames, with nothing after a close frame.
func FuzzAnyBytes(f *testing.F) {
	for _, c := range wireCases {
		if len(c.sent) < 1<<12 {
			f.Add([]byte(c.sent))
		}
	}
	_, addr := serve(f, ws.Config{MaxMessage: 1 << 16}, echoRoute)
	f.Fuzz(func(t *testing.T, sent []byte) {
		p := dial(t, addr, "/echo")
		go func() { // ends with the connection, which the cleanup closes
			p.conn.Write(sent)
			p.conn.(*net.TCPConn).CloseWrite()
		}()
		closed := false
		for got := p.next(); got != "end"; got = p.next() {
			if closed || got == "silence" || strings.HasPrefix(got, "frame ") {
				t.Fatalf("got %.100q (after a close frame: %v)", got, closed)
			}
			closed = strings.HasPrefix(got, "close")
		}
	})
}

// However a message is cut into fragments and segments, it arrives as it was.
func FuzzSplits(f *testing.F) {
	f.Add([]byte("Hello, wörld €"), uint64(1))
	f.Add([]byte(strings.Repeat("long ", 2000)), uint64(2))
	f.Add([]byte{0xff, 0, 0x80}, uint64(3))
	_, addr := serve(f, ws.Config{}, echoRoute)
	f.Fuzz(func(t *testing.T, message []byte, seed uint64) {
		if len(message) > 1<<20 {
			t.Skip("past the limit")
		}
		random := rand.New(rand.NewPCG(seed, 0))
		opcode, want := byte(opBinary), "binary "
		if utf8.Valid(message) {
			opcode, want = opText, "text "
		}
		var sent strings.Builder
		var pongs int
		for rest := string(message); ; opcode = opContinuation {
			n := random.IntN(len(rest) + 1)
			if random.IntN(4) == 0 {
				sent.WriteString(whole(opcode, rest))
				break
			}
			sent.WriteString(part(opcode, rest[:n]))
			if rest = rest[n:]; random.IntN(3) == 0 {
				sent.WriteString(whole(opPing, ""))
				pongs++
			}
		}
		p := dial(t, addr, "/echo")
		go func() { // ends with the connection
			for rest := sent.String(); rest != ""; {
				n := 1 + random.IntN(len(rest))
				if _, err := p.conn.Write([]byte(rest[:n])); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		for range pongs {
			p.expect("pong")
		}
		if len(message) == 0 {
			want = strings.TrimSuffix(want, " ")
		}
		p.expect(want + string(message))
	})
}
