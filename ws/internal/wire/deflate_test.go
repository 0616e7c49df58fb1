package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"echows/ws/internal/wire"
)

// The policies of these tests: alone compresses each message by itself, takeover lets it refer to earlier ones.
var (
	alone    = wire.DeflatePolicy{}
	takeover = wire.DeflatePolicy{Context: true, Bits: 15}
)

// within is takeover with a window for the peer.
func within(bits int) wire.DeflatePolicy { return wire.DeflatePolicy{Context: true, Bits: bits} }

// Agreements where only context takeover is negotiated.
var (
	noContext  = wire.Deflate{ServerNoContext: true, ClientNoContext: true, ServerBits: 15, ClientBits: 15}
	allContext = wire.Deflate{ServerBits: 15, ClientBits: 15}
)

// lines is a header of several lines.
func lines(l ...string) []string { return l }

// offerCases are clients' offers (RFC 7692 section 7.1). An answer of "" says that none was taken.
var offerCases = []struct {
	name   string
	policy wire.DeflatePolicy
	header []string
	answer string
	want   wire.Deflate
}{
	{"no header", takeover, nil, "", wire.Deflate{}},
	{"no parameters", takeover, lines("permessage-deflate"), "permessage-deflate", allContext},
	{"no parameters, and no context wanted", alone, lines("permessage-deflate"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover", noContext},
	{"Bits of 0 are 15", wire.DeflatePolicy{Context: true}, lines("permessage-deflate; client_max_window_bits"), "permessage-deflate", allContext},

	// 7.1.1.1
	{"server_no_context_takeover is kept", takeover, lines("permessage-deflate; server_no_context_takeover"), "permessage-deflate; server_no_context_takeover",
		wire.Deflate{ServerNoContext: true, ServerBits: 15, ClientBits: 15}},
	{"server_no_context_takeover, which the server wants, too", alone, lines("permessage-deflate; server_no_context_takeover"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover", noContext},
	{"server_no_context_takeover with a value", takeover, lines("permessage-deflate; server_no_context_takeover=1"), "", wire.Deflate{}},
	{"server_no_context_takeover=true", takeover, lines(`permessage-deflate; server_no_context_takeover="true"`), "", wire.Deflate{}},
	{"server_no_context_takeover twice", takeover, lines("permessage-deflate; server_no_context_takeover; server_no_context_takeover"), "", wire.Deflate{}},

	// 7.1.1.2
	{"client_no_context_takeover is kept", takeover, lines("permessage-deflate; client_no_context_takeover"), "permessage-deflate; client_no_context_takeover",
		wire.Deflate{ClientNoContext: true, ServerBits: 15, ClientBits: 15}},
	{"client_no_context_takeover, which the server wants, too", alone, lines("permessage-deflate; client_no_context_takeover"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover", noContext},
	{"client_no_context_takeover with a value", takeover, lines("permessage-deflate; client_no_context_takeover=1"), "", wire.Deflate{}},
	{"client_no_context_takeover twice", takeover, lines("permessage-deflate; client_no_context_takeover; client_no_context_takeover"), "", wire.Deflate{}},
	{"both without context", takeover, lines("permessage-deflate; client_no_context_takeover; server_no_context_takeover"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover", noContext},

	// 7.1.2.1
	{"server_max_window_bits=8", takeover, lines("permessage-deflate; server_max_window_bits=8"), "permessage-deflate; server_max_window_bits=8",
		wire.Deflate{ServerBits: 8, ClientBits: 15}},
	{"server_max_window_bits=10", takeover, lines("permessage-deflate; server_max_window_bits=10"), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"server_max_window_bits=15 is answered, too", takeover, lines("permessage-deflate; server_max_window_bits=15"), "permessage-deflate; server_max_window_bits=15", allContext},
	{"empty elements of the list", takeover, lines(", ,mux, ,permessage-deflate; server_max_window_bits=10 ,, "), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"quoted, with what needs no escape escaped", takeover, lines(`permessage-deflate; server_max_window_bits="1\0"`), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{`server_max_window_bits="10", quoted`, takeover, lines(`permessage-deflate; server_max_window_bits="10"`), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"a server's window where each message stands alone", alone, lines("permessage-deflate; server_max_window_bits=9"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
		wire.Deflate{ServerNoContext: true, ClientNoContext: true, ServerBits: 9, ClientBits: 15}},
	{"the policy's Bits are not the server's", within(9), lines("permessage-deflate; server_max_window_bits=12"), "permessage-deflate; server_max_window_bits=12",
		wire.Deflate{ServerBits: 12, ClientBits: 15}},
	{"server_max_window_bits has to have a value", takeover, lines("permessage-deflate; server_max_window_bits"), "", wire.Deflate{}},

	// 7.1.2.2
	{"client_max_window_bits without a value", takeover, lines("permessage-deflate; client_max_window_bits"), "permessage-deflate", allContext},
	{"client_max_window_bits, and a smaller one is wanted", within(10), lines("permessage-deflate; client_max_window_bits"), "permessage-deflate; client_max_window_bits=10",
		wire.Deflate{ServerBits: 15, ClientBits: 10}},
	{"client_max_window_bits=15, and a smaller one is wanted", within(14), lines("permessage-deflate; client_max_window_bits=15"), "permessage-deflate; client_max_window_bits=14",
		wire.Deflate{ServerBits: 15, ClientBits: 14}},
	{"client_max_window_bits=9 is smaller than wanted", within(10), lines("permessage-deflate; client_max_window_bits=9"), "permessage-deflate; client_max_window_bits=9",
		wire.Deflate{ServerBits: 15, ClientBits: 9}},
	{"client_max_window_bits=8, and any is fine", takeover, lines("permessage-deflate; client_max_window_bits=8"), "permessage-deflate; client_max_window_bits=8",
		wire.Deflate{ServerBits: 15, ClientBits: 8}},
	{"client_max_window_bits=15 need not be answered", takeover, lines("permessage-deflate; client_max_window_bits=15"), "permessage-deflate", allContext},
	{`client_max_window_bits="10", quoted`, takeover, lines(`permessage-deflate; client_max_window_bits="10"`), "permessage-deflate; client_max_window_bits=10",
		wire.Deflate{ServerBits: 15, ClientBits: 10}},
	{"client_max_window_bits not offered: it may not be answered", within(10), lines("permessage-deflate"), "permessage-deflate", allContext},
	{"a window does not matter where each message stands alone", wire.DeflatePolicy{Bits: 10}, lines("permessage-deflate; client_max_window_bits"), "permessage-deflate; server_no_context_takeover; client_no_context_takeover", noContext},

	{"all four", within(11), lines("permessage-deflate; client_max_window_bits=12; server_max_window_bits=13; client_no_context_takeover; server_no_context_takeover"),
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=13; client_max_window_bits=11",
		wire.Deflate{ServerNoContext: true, ClientNoContext: true, ServerBits: 13, ClientBits: 11}},
	{"an unknown parameter", takeover, lines("permessage-deflate; level=9"), "", wire.Deflate{}},
	{"an unknown parameter without a value", takeover, lines("permessage-deflate; fast"), "", wire.Deflate{}},
	{"an unknown parameter behind known ones", takeover, lines("permessage-deflate; client_max_window_bits; x"), "", wire.Deflate{}},
	{"a parameter twice, with different values", takeover, lines("permessage-deflate; server_max_window_bits=10; server_max_window_bits=11"), "", wire.Deflate{}},
	{"a parameter twice, once without a value", takeover, lines("permessage-deflate; client_max_window_bits; client_max_window_bits=10"), "", wire.Deflate{}},
	{"a parameter twice, with another between", takeover, lines("permessage-deflate; client_max_window_bits; server_no_context_takeover; client_max_window_bits"), "", wire.Deflate{}},

	// 5.1: in the order of preference
	{"another extension", takeover, lines("permessage-bzip2"), "", wire.Deflate{}},
	{"another extension with deflate's parameters", takeover, lines("x-webkit-deflate-frame; server_no_context_takeover"), "", wire.Deflate{}},
	{"another extension comes first", takeover, lines("mux; max-channels=4; flow-control, permessage-deflate"), "permessage-deflate", allContext},
	{"another extension comes last", takeover, lines("permessage-deflate, mux"), "permessage-deflate", allContext},
	{"the first offer wins", takeover, lines("permessage-deflate; server_max_window_bits=10, permessage-deflate"), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"the first one wins without parameters", takeover, lines("permessage-deflate, permessage-deflate; server_max_window_bits=10"), "permessage-deflate", allContext},
	{"one that cannot be accepted is skipped", takeover, lines("permessage-deflate; server_max_window_bits=7, permessage-deflate; client_no_context_takeover, permessage-deflate"), "permessage-deflate; client_no_context_takeover",
		wire.Deflate{ClientNoContext: true, ServerBits: 15, ClientBits: 15}},
	{"nothing of it is left", takeover, lines("permessage-deflate; server_no_context_takeover; server_max_window_bits=9; x, permessage-deflate"), "permessage-deflate", allContext},
	{"none can be accepted", takeover, lines("permessage-deflate; x, permessage-deflate; y, z"), "", wire.Deflate{}},
	{"each offer counts its own parameters", takeover, lines("permessage-deflate; client_no_context_takeover; x, permessage-deflate; client_no_context_takeover"), "permessage-deflate; client_no_context_takeover",
		wire.Deflate{ClientNoContext: true, ServerBits: 15, ClientBits: 15}},
	{"several lines are one", takeover, lines("mux", "permessage-deflate; x", "permessage-deflate; server_max_window_bits=11, permessage-deflate"), "permessage-deflate; server_max_window_bits=11",
		wire.Deflate{ServerBits: 11, ClientBits: 15}},
	{"white space", takeover, lines("\t permessage-deflate ;server_max_window_bits\t=  10 ; client_no_context_takeover\t,mux "), "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
		wire.Deflate{ClientNoContext: true, ServerBits: 10, ClientBits: 15}},
	{"white space before a quoted value", takeover, lines("permessage-deflate; server_max_window_bits = \t\"10\""), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"no white space", takeover, lines(`mux;a="b",permessage-deflate;server_max_window_bits="10";client_max_window_bits`), "permessage-deflate; server_max_window_bits=10",
		wire.Deflate{ServerBits: 10, ClientBits: 15}},
	{"white space behind a quoted value", takeover, lines(`permessage-deflate; server_max_window_bits="10" ; client_max_window_bits="9" , mux`), "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
		wire.Deflate{ServerBits: 10, ClientBits: 9}},
}

func TestAccept(t *testing.T) {
	for _, c := range offerCases {
		t.Run(c.name, func(t *testing.T) {
			d, answer, err := c.policy.Accept(c.header)
			if d != c.want || answer != c.answer || err != nil {
				t.Errorf("got %+v, %q, %v\nwant %+v, %q", d, answer, err, c.want, c.answer)
			}
		})
	}
}

// wrongBits are values that no window has.
var wrongBits = []string{"0", "1", "7", "16", "80", "-8", "+8", "08", "010", "0x8", "8.0", "1e1", "x", "10x", "99999999999999999999"}

func TestWrongWindows(t *testing.T) {
	for _, parameter := range []string{"server_max_window_bits", "client_max_window_bits"} {
		for _, value := range wrongBits {
			for _, drawn := range []string{value, `"` + value + `"`} {
				offer := "permessage-deflate; " + parameter + "=" + drawn
				if _, answer, err := takeover.Accept(lines(offer)); answer != "" || err != nil {
					t.Errorf("%s is answered with %q, %v", offer, answer, err)
				}
				if _, answer, err := takeover.Accept(lines(offer + ", permessage-deflate")); answer != "permessage-deflate" || err != nil {
					t.Errorf("%s, and a good offer, are answered with %q, %v", offer, answer, err)
				}
				want := "the server's extension: " + parameter + " has an invalid value"
				if _, ok, err := takeover.Agree(lines(offer)); ok || fmt.Sprint(err) != want {
					t.Errorf("%s is an answer: %v, %v", offer, ok, err)
				}
			}
		}
	}
}

func TestEachWindow(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for most := 8; most <= 15; most++ {
			header := lines(fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, bits))
			d, _, err := within(most).Accept(header)
			if want := (wire.Deflate{ServerBits: bits, ClientBits: min(bits, most)}); d != want || err != nil {
				t.Errorf("%s, and at most %d: got %+v, %v", header, most, d, err)
			}
			d, ok, err := within(most).Agree(header)
			if ok != (bits <= most) || ok != (err == nil) {
				t.Errorf("%s is an answer to at most %d: %v, %v", header, most, ok, err)
			}
			if want := (wire.Deflate{ServerBits: bits, ClientBits: bits}); ok && d != want {
				t.Errorf("%s agreed on %+v", header, d)
			}
		}
	}
}

// malformed are lines that RFC 6455 section 9.1 has no reading for.
var malformed = []string{
	";", "; a", ";a=b", "a, ; b", "=", `"a"`, "a b", "a;", "a; ", "a;;b", "a; ;b", "a=b", "a/b", "a, b c", "(a)", "a; =b", "a; b=", "a; b= ", "a; b=;c", "a; b==c",
	"a; b=c d", "a; b c", "a; b, =", `a; b="`, `a; b="c`, `a; b=c"`, `a; b=""`, `a; b="c d"`, `a; b="c;d"`, `a; b="c"d`, `a; b="c" d`, `a; b="c""d"`,
	`a; "b"=c`, "a; b='c d'", "a; b=ü", "ü", "a\x00", "a\r", "a\nb", "a\x7f", "a; b=\x80", "permessage-deflate; server_max_window_bits=", `permessage-deflate; server_max_window_bits=""`,
	`a; b=" c "`, `a; b="c\`, `a; b="c\"`, `a; b="\""`, `a; b="c\ d"`,
}

func TestMalformedExtensions(t *testing.T) {
	const want = "Sec-WebSocket-Extensions is malformed"
	for _, line := range malformed {
		for _, header := range [][]string{lines(line), lines("permessage-deflate, " + line), lines("permessage-deflate", line), lines(line, "permessage-deflate")} {
			d, answer, err := takeover.Accept(header)
			if d != (wire.Deflate{}) || answer != "" || fmt.Sprint(err) != want {
				t.Errorf("the offer %q: got %+v, %q, %v", header, d, answer, err)
			}
			if _, ok, err := takeover.Agree(header); ok || fmt.Sprint(err) != want {
				t.Errorf("the answer %q: got %v, %v", header, ok, err)
			}
		}
	}
}

// A token is made of these bytes and no others (RFC 9110 section 5.6.2).
func TestTokenBytes(t *testing.T) {
	const bytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range 256 {
		b := string([]byte{byte(i)})
		for _, line := range []string{"x" + b + "x", "x; y" + b + "y", "x; y=z" + b + "z", `x; y="z` + b + `z"`} {
			if strings.Contains(",;=", b) || b == `"` || b == `\` {
				continue // means something
			}
			_, answer, err := takeover.Accept(lines(line + ", permessage-deflate"))
			if is := answer != "" && err == nil; is != strings.Contains(bytes, b) {
				t.Errorf("%q in %q: %v", b, line, err)
			}
		}
	}
}

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy wire.DeflatePolicy
		want   string
	}{
		{"each message by itself", alone, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"a window does not matter then", wire.DeflatePolicy{Bits: 10}, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"with context", takeover, "permessage-deflate; client_max_window_bits"},
		{"Bits of 0 are 15", wire.DeflatePolicy{Context: true}, "permessage-deflate; client_max_window_bits"},
		{"a window of 14", within(14), "permessage-deflate; client_max_window_bits; server_max_window_bits=14"},
		{"a window of 8", within(8), "permessage-deflate; client_max_window_bits; server_max_window_bits=8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.policy.Offer(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// answerCases are servers' answers to Offer.
var answerCases = []struct {
	name   string
	policy wire.DeflatePolicy
	header []string
	want   wire.Deflate
	err    string
}{
	{"no parameters", takeover, lines("permessage-deflate"), allContext, ""},
	{"the server goes without context", takeover, lines("permessage-deflate; server_no_context_takeover"), wire.Deflate{ServerNoContext: true, ServerBits: 15, ClientBits: 15}, ""},
	{"the client has to go without context", takeover, lines("permessage-deflate; client_no_context_takeover"), wire.Deflate{ClientNoContext: true, ServerBits: 15, ClientBits: 15}, ""},
	{"the client gets a window", takeover, lines("permessage-deflate; client_max_window_bits=9"), wire.Deflate{ServerBits: 15, ClientBits: 9}, ""},
	{"the client gets a window, quoted", takeover, lines(`permessage-deflate; client_max_window_bits="9"`), wire.Deflate{ServerBits: 15, ClientBits: 9}, ""},
	{"the server has a window that was not asked for", takeover, lines("permessage-deflate; server_max_window_bits=9"), wire.Deflate{ServerBits: 9, ClientBits: 15}, ""},
	{"the server has the window asked for", within(10), lines("permessage-deflate; server_max_window_bits=10"), wire.Deflate{ServerBits: 10, ClientBits: 15}, ""},
	{"the server has a smaller one", within(10), lines("permessage-deflate; server_max_window_bits=8"), wire.Deflate{ServerBits: 8, ClientBits: 15}, ""},
	{"all four", within(13), lines("permessage-deflate; client_max_window_bits=12; server_max_window_bits=13; client_no_context_takeover; server_no_context_takeover"),
		wire.Deflate{ServerNoContext: true, ClientNoContext: true, ServerBits: 13, ClientBits: 12}, ""},
	{"both without context", alone, lines("permessage-deflate; server_no_context_takeover; client_no_context_takeover"), noContext, ""},
	{"the server alone says so: the client does, too", alone, lines("permessage-deflate; server_no_context_takeover"), noContext, ""},
	{"without context, and a server's window", alone, lines("permessage-deflate; server_no_context_takeover; server_max_window_bits=9"), wire.Deflate{ServerNoContext: true, ClientNoContext: true, ServerBits: 9, ClientBits: 15}, ""},

	{"not asked for: client_max_window_bits", alone, lines("permessage-deflate; server_no_context_takeover; client_max_window_bits=10"), wire.Deflate{}, "the server's extension has client_max_window_bits, which was not offered"},
	{"not asked for: client_max_window_bits=15", alone, lines("permessage-deflate; server_no_context_takeover; client_max_window_bits=15"), wire.Deflate{}, "the server's extension has client_max_window_bits, which was not offered"},
	{"client_max_window_bits without a value", takeover, lines("permessage-deflate; client_max_window_bits"), wire.Deflate{}, "the server's extension: client_max_window_bits has an invalid value"},
	{"missing: server_no_context_takeover", alone, lines("permessage-deflate"), wire.Deflate{}, "the server's extension lacks server_no_context_takeover"},
	{"missing: server_no_context_takeover beside the client's", alone, lines("permessage-deflate; client_no_context_takeover"), wire.Deflate{}, "the server's extension lacks server_no_context_takeover"},
	{"missing: server_max_window_bits", within(10), lines("permessage-deflate"), wire.Deflate{}, "the server's extension lacks server_max_window_bits"},
	{"a larger window than asked for", within(10), lines("permessage-deflate; server_max_window_bits=11"), wire.Deflate{}, "the server's extension lacks server_max_window_bits"},
	{"a window of 15 where 14 was asked for", within(14), lines("permessage-deflate; server_max_window_bits=15"), wire.Deflate{}, "the server's extension lacks server_max_window_bits"},

	{"another extension", takeover, lines("permessage-bzip2"), wire.Deflate{}, `the server's extension: unknown extension "permessage-bzip2"`},
	{"two extensions", takeover, lines("permessage-deflate, mux"), wire.Deflate{}, "the server accepted more than one extension"},
	{"two extensions on two lines", takeover, lines("mux", "permessage-deflate"), wire.Deflate{}, "the server accepted more than one extension"},
	{"one extension twice", takeover, lines("permessage-deflate, permessage-deflate"), wire.Deflate{}, "the server accepted more than one extension"},
	{"an unknown parameter", takeover, lines("permessage-deflate; level=9"), wire.Deflate{}, `the server's extension: unknown parameter "level"`},
	{"a parameter twice", takeover, lines("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"), wire.Deflate{}, "the server's extension: server_max_window_bits appears twice"},
	{"a value where there is none", takeover, lines("permessage-deflate; server_no_context_takeover=1"), wire.Deflate{}, "the server's extension: server_no_context_takeover has an invalid value"},
	{"a value where there is none, for the client", takeover, lines("permessage-deflate; client_no_context_takeover=1"), wire.Deflate{}, "the server's extension: client_no_context_takeover has an invalid value"},
	{"server_max_window_bits without a value", takeover, lines("permessage-deflate; server_max_window_bits"), wire.Deflate{}, "the server's extension: server_max_window_bits has an invalid value"},
}

func TestAgree(t *testing.T) {
	for _, c := range answerCases {
		t.Run(c.name, func(t *testing.T) {
			d, ok, err := c.policy.Agree(c.header)
			if c.err != "" {
				if ok || fmt.Sprint(err) != c.err {
					t.Errorf("got %v, %v, want %s", ok, err, c.err)
				}
				return
			}
			if d != c.want || !ok || err != nil {
				t.Errorf("got %+v, %v, %v, want %+v", d, ok, err, c.want)
			}
		})
	}
}

func TestNoAnswerIsNoCompression(t *testing.T) {
	for _, p := range []wire.DeflatePolicy{alone, takeover, within(10)} {
		if _, ok, err := p.Agree(nil); ok || err != nil {
			t.Errorf("%+v: got %v, %v", p, ok, err)
		}
	}
}

// Whatever the two sides want, they agree, and on the same.
func TestEachPolicyWithEachOther(t *testing.T) {
	policies := []wire.DeflatePolicy{alone, {Bits: 10}, {Context: true}}
	for bits := 8; bits <= 15; bits++ {
		policies = append(policies, within(bits))
	}
	for _, server := range policies {
		for _, client := range policies {
			there, answer, err := server.Accept(lines(client.Offer()))
			if answer == "" || err != nil {
				t.Errorf("%+v refuses %q: %v", server, client.Offer(), err)
				continue
			}
			if here, ok, err := client.Agree(lines(answer)); here != there || !ok || err != nil {
				t.Errorf("%q, %q: the client has %+v, %v, %v, the server %+v", client.Offer(), answer, here, ok, err, there)
			}
			if one := !server.Context || !client.Context; there.ServerNoContext != one || there.ClientNoContext != one {
				t.Errorf("%+v and %+v agreed on %+v", server, client, there)
			}
		}
	}
}

func TestExtensionsAreOnlyRead(t *testing.T) {
	header := lines("mux, permessage-deflate; client_max_window_bits", "permessage-deflate")
	kept := slices.Clone(header)
	takeover.Accept(header)
	takeover.Agree(header)
	if !slices.Equal(header, kept) {
		t.Errorf("the header became %q", header)
	}
}
