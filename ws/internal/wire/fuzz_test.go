package wire_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"echows/ws/internal/wire"
)

// A header takes the bytes it needs and no more, and one in its shortest form is made of the same bytes again.
func FuzzHeader(f *testing.F) {
	for _, c := range slices.Concat(headerCases, longFormCases) {
		f.Add(drawn(c.drawn))
		f.Add(append(drawn(c.drawn), "payload"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n := wire.ParseHeader(b)
		if n == 0 {
			if len(b) >= wire.MaxHeader {
				t.Fatalf("% x: more than any header needs is not enough", b)
			}
			return
		}
		if n < 2 || n > min(len(b), wire.MaxHeader) {
			t.Fatalf("% x: a header of %d bytes", b, n)
		}
		if alone, m := wire.ParseHeader(b[:n]); alone != h || m != n {
			t.Fatalf("% x: %+v of %d bytes, but alone %+v of %d", b, h, n, alone, m)
		}
		if _, m := wire.ParseHeader(b[:n-1]); m != 0 {
			t.Fatalf("% x: %d bytes are enough", b, n-1)
		}
		if h.Length>>63 != 0 {
			return
		}
		again := appendHeader(nil, h)
		if shortest := h.Short < 126 || h.Short == 126 && h.Length > 125 || h.Length > 65535; shortest != bytes.Equal(again, b[:n]) {
			t.Fatalf("% x became % x", b[:n], again)
		}
		if len(again) > n {
			t.Fatalf("% x became longer: % x", b[:n], again)
		}
	})
}

// Whatever a frame's header says, it is fine, or refused with a code that can be sent.
func FuzzCheck(f *testing.F) {
	for _, c := range ruleCases {
		for server, m := range map[bool]string{true: "1", false: "0"} {
			f.Add(drawn(strings.Replace(c.drawn, "M", m, 1)), server, c.deflate, c.joined, c.limit)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, server, deflate bool, joined, limit int) {
		h, n := wire.ParseHeader(b)
		if n == 0 {
			return
		}
		side := wire.Client
		if server {
			side = wire.Server
		}
		err := h.Check(side, deflate, joined, limit)
		if err != nil {
			if !err.Code.MayBeSent() || err.Reason == "" || len(err.Reason) > wire.MaxControl-2 || !utf8.ValidString(err.Reason) {
				t.Fatalf("%+v is refused with %v", h, err)
			}
			return
		}
		if h.Masked != server || h.IsCompressed() && !deflate {
			t.Fatalf("%s takes %+v", sideName(side), h)
		}
		if !h.Opcode.IsControl() && joined >= 0 && limit >= joined && h.Length > uint64(limit-joined) {
			t.Fatalf("%d of %d bytes, and then %+v", joined, limit, h)
		}
		if h.Length>>63 == 0 && !bytes.Equal(appendHeader(nil, h), b[:n]) {
			t.Fatalf("% x is not in its shortest form", b[:n])
		}
	})
}

// A payload that can be read is made of the same bytes again, and whatever is to be said can be read.
func FuzzClose(f *testing.F) {
	for _, c := range closeCases {
		f.Add([]byte(c.payload), uint16(c.code), c.reason)
	}
	f.Add([]byte(nil), uint16(1000), strings.Repeat("a", 122)+"𝄞")
	f.Add([]byte(nil), uint16(1000), strings.Repeat("\xffa", 100))
	f.Fuzz(func(t *testing.T, payload []byte, number uint16, said string) {
		if len(payload) <= wire.MaxControl {
			code, reason, err := wire.ParseClose(payload)
			if err == nil && string(wire.AppendClose(nil, code, reason)) != string(payload) {
				t.Fatalf("%q is %d %q, and is not made of that", payload, code, reason)
			}
			if err != nil && !err.Code.MayBeSent() {
				t.Fatalf("%q is refused with %v", payload, err)
			}
		}

		code := wire.CloseCode(number)
		sent := wire.AppendClose(nil, code, said)
		if len(sent) > wire.MaxControl {
			t.Fatalf("%d %q needs %d bytes", code, said, len(sent))
		}
		if !code.MayBeSent() {
			return
		}
		read, reason, err := wire.ParseClose(sent)
		if read != code || err != nil {
			t.Fatalf("%d %q is read as %d, %v", code, said, read, err)
		}
		if clean := strings.ToValidUTF8(said, "\uFFFD"); !strings.HasPrefix(clean, reason) || len(clean) <= 123 && reason != clean || len(clean) > 123 && len(reason) < 120 {
			t.Fatalf("%q is read as %q", said, reason)
		}
		if again := wire.AppendClose(nil, read, reason); !bytes.Equal(again, sent) {
			t.Fatalf("%q became %q", sent, again)
		}
	})
}

// However a text is cut, it is judged as the whole.
func FuzzUTF8(f *testing.F) {
	for i, text := range trickyTexts {
		f.Add([]byte(text), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		var ends []int
		for end := 0; end < len(text); end += random.IntN(1 + min(len(text)-end, 8)) {
			if len(ends) > 1000 {
				break
			}
			ends = append(ends, end)
		}
		if got, want := judge(t, text, ends), utf8.Valid(text); got != want {
			t.Fatalf("%q cut at %v: got %v, want %v", text, ends, got, want)
		}
	})
}

// Masking twice changes nothing, and pieces are masked as the whole.
func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x37fa213d), uint(2))
	f.Add([]byte(""), uint32(1), uint(0))
	for n := range 70 {
		f.Add(bytes.Repeat([]byte{0xa5}, n), uint32(0x01020304), uint(n/2))
	}
	f.Fuzz(func(t *testing.T, p []byte, number uint32, cut uint) {
		key := [4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}
		at := int(cut % uint(len(p)+1))

		whole := slices.Clone(p)
		next := wire.Mask(key, whole)
		if !bytes.Equal(whole, maskByDefinition(key, p)) || next != turned(key, len(p)) {
			t.Fatalf("% x with % x became % x, and then % x", p, key, whole, next)
		}
		pieces := slices.Clone(p)
		if last := wire.Mask(wire.Mask(key, pieces[:at]), pieces[at:]); !bytes.Equal(pieces, whole) || last != next {
			t.Fatalf("% x with % x, cut at %d, became % x, and then % x", p, key, at, pieces, last)
		}
		if wire.Mask(key, whole); !bytes.Equal(whole, p) {
			t.Fatalf("% x with % x came back as % x", p, key, whole)
		}
	})
}

// Whatever the header says: what a server accepts, a client that offered it agrees on, and on the same.
func FuzzExtensions(f *testing.F) {
	for _, c := range offerCases {
		f.Add(strings.Join(c.header, "\n"), c.policy.Context, uint(c.policy.Bits))
	}
	for _, c := range answerCases {
		f.Add(strings.Join(c.header, "\n"), c.policy.Context, uint(c.policy.Bits))
	}
	for _, line := range malformed {
		f.Add(line, true, uint(15))
	}
	f.Fuzz(func(t *testing.T, header string, context bool, bits uint) {
		p := wire.DeflatePolicy{Context: context, Bits: 8 + int(bits%8)}
		all := strings.Split(header, "\n")

		if d, ok, err := p.Agree(all); ok {
			if err != nil || d.ServerBits < 8 || d.ServerBits > 15 || d.ClientBits < 8 || d.ClientBits > 15 {
				t.Fatalf("%q: agreed on %+v, %v", header, d, err)
			}
			if context && d.ServerBits > p.Bits || !context && !(d.ServerNoContext && d.ClientNoContext) {
				t.Fatalf("%q: agreed on %+v, against %+v", header, d, p)
			}
		}

		d, answer, err := p.Accept(all)
		if err != nil || answer == "" {
			if answer != "" || d != (wire.Deflate{}) {
				t.Fatalf("%q: got %+v, %q, %v", header, d, answer, err)
			}
			return
		}
		if !context && !(d.ServerNoContext && d.ClientNoContext) {
			t.Fatalf("%q: accepted %+v, against %+v", header, d, p)
		}
		// The client that made the offer: it asked for the server's window, and let itself be asked for one.
		clients := []wire.DeflatePolicy{{Context: true, Bits: d.ServerBits}}
		if d.ServerNoContext && d.ClientNoContext && !strings.Contains(answer, "client_max_window_bits") {
			clients = append(clients, wire.DeflatePolicy{}) // or not
		}
		for _, client := range clients {
			if agreed, ok, err := client.Agree([]string{answer}); agreed != d || !ok || err != nil {
				t.Fatalf("%q: %+v reads %q as %+v, %v, %v, the server as %+v", header, client, answer, agreed, ok, err, d)
			}
		}
	})
}
