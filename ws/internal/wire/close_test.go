package wire_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"echows/ws/internal/wire"
)

// sendable draws which codes may stand in a close frame.
var sendable = []struct {
	first, last wire.CloseCode
	may         bool
}{
	{0, 999, false},
	{1000, 1003, true},
	{1004, 1006, false}, // 1004 means nothing, the others are only reported
	{1007, 1014, true},
	{1015, 1015, false}, // only reported
	{1016, 2999, false}, // mean nothing yet
	{3000, 3999, true},  // libraries'
	{4000, 4999, true},  // applications'
	{5000, 65535, false},
}

func TestEachCloseCode(t *testing.T) {
	next := 0
	for _, codes := range sendable {
		if int(codes.first) != next {
			t.Fatalf("the table leaves out %d", next)
		}
		for ; next <= int(codes.last); next++ {
			code := wire.CloseCode(next)
			if got := code.MayBeSent(); got != codes.may {
				t.Errorf("%d may be sent: %v", next, got)
			}
			payload := []byte{byte(next >> 8), byte(next)}
			switch got, reason, err := wire.ParseClose(payload); {
			case codes.may && (got != code || reason != "" || err != nil):
				t.Errorf("%d is read as %d %q, %v", next, got, reason, err)
			case !codes.may && verdict(err) != "1002 close code that may not be sent":
				t.Errorf("%d is read as %d %q, %v", next, got, reason, err)
			}
		}
	}
	if next != 1<<16 {
		t.Fatalf("the table ends before %d", next)
	}
}

func TestAppendClose(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   wire.CloseCode
		reason string
		want   string
	}{
		{"a code alone", wire.Normal, "", "\x03\xe8"},
		{"the highest byte comes first", wire.TryAgainLater, "", "\x03\xf5"},
		{"an application's code", 4999, "", "\x13\x87"},
		{"a reason follows", wire.Normal, "bye", "\x03\xe8bye"},
		{"a reason of many runes", wire.InternalError, "tschüß €", "\x03\xf3tschüß €"},
		{"no code, no payload", wire.NoStatus, "", ""},
		{"no code, no reason either", wire.NoStatus, "bye", ""},

		{"123 bytes fit", wire.Normal, strings.Repeat("a", 123), "\x03\xe8" + strings.Repeat("a", 123)},
		{"124 bytes are cut", wire.Normal, strings.Repeat("a", 124), "\x03\xe8" + strings.Repeat("a", 123)},
		{"1000 bytes are cut", wire.Normal, strings.Repeat("a", 1000), "\x03\xe8" + strings.Repeat("a", 123)},
		{"runes of two bytes: 61 fit", wire.Normal, strings.Repeat("é", 100), "\x03\xe8" + strings.Repeat("é", 61)},
		{"runes of three bytes: 41 fit", wire.Normal, strings.Repeat("€", 100), "\x03\xe8" + strings.Repeat("€", 41)},
		{"runes of four bytes: 30 fit", wire.Normal, strings.Repeat("𝄞", 100), "\x03\xe8" + strings.Repeat("𝄞", 30)},
		{"a rune that ends at the border stays", wire.Normal, strings.Repeat("a", 120) + "€b", "\x03\xe8" + strings.Repeat("a", 120) + "€"},
		{"a rune across the border goes", wire.Normal, strings.Repeat("a", 121) + "€", "\x03\xe8" + strings.Repeat("a", 121)},
		{"so does one with a byte too many", wire.Normal, strings.Repeat("a", 122) + "é", "\x03\xe8" + strings.Repeat("a", 122)},
		{"one of four bytes with one inside", wire.Normal, strings.Repeat("a", 122) + "𝄞", "\x03\xe8" + strings.Repeat("a", 122)},

		{"a byte that is not UTF-8 is replaced", wire.Normal, "a\xffb", "\x03\xe8a\uFFFDb"},
		{"half a rune is replaced", wire.Normal, "a\xe2\x82", "\x03\xe8a\uFFFD"},
		{"what grows by that is cut", wire.Normal, strings.Repeat("\xffa", 100), "\x03\xe8" + strings.Repeat("\uFFFDa", 30) + "\uFFFD"},
		{"a replacement across the border goes", wire.Normal, strings.Repeat("a", 122) + "\xff", "\x03\xe8" + strings.Repeat("a", 122)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := wire.AppendClose([]byte("before"), c.code, c.reason); string(got) != "before"+c.want {
				t.Errorf("got %q, want %q behind %q", got, c.want, "before")
			}
		})
	}
}

// closeCases are payloads of close frames.
var closeCases = []struct {
	name    string
	payload string
	code    wire.CloseCode
	reason  string
	want    string // code and reason to refuse with, "" for a payload that is fine
}{
	{"nothing", "", wire.NoStatus, "", ""},
	{"one byte", "\x03", 0, "", "1002 close frame with one byte of payload"},
	{"1000", "\x03\xe8", 1000, "", ""},
	{"1000 and a reason", "\x03\xe8bye", 1000, "bye", ""},
	{"a reason of one byte", "\x03\xe9!", 1001, "!", ""},
	{"a reason of many runes", "\x03\xe8tschüß €𝄞", 1000, "tschüß €𝄞", ""},
	{"a reason of 123 bytes", "\x03\xe8" + strings.Repeat("a", 123), 1000, strings.Repeat("a", 123), ""},
	{"a reason with NUL", "\x03\xe8a\x00b", 1000, "a\x00b", ""},
	{"an application's code", "\x13\x87mine", 4999, "mine", ""},
	{"999", "\x03\xe7", 0, "", "1002 close code that may not be sent"},
	{"1005 on the wire", "\x03\xed", 0, "", "1002 close code that may not be sent"},
	{"1006 and a reason", "\x03\xeelost", 0, "", "1002 close code that may not be sent"},
	{"1015", "\x03\xf7", 0, "", "1002 close code that may not be sent"},
	{"0", "\x00\x00", 0, "", "1002 close code that may not be sent"},
	{"65535", "\xff\xff", 0, "", "1002 close code that may not be sent"},
	{"a reason that is not UTF-8", "\x03\xe8a\xff", 0, "", "1007 close reason is not UTF-8"},
	{"a reason that ends within a rune", "\x03\xe8a\xe2\x82", 0, "", "1007 close reason is not UTF-8"},
	{"a reason with a surrogate", "\x03\xe8\xed\xa0\x80", 0, "", "1007 close reason is not UTF-8"},
}

func TestParseClose(t *testing.T) {
	for _, c := range closeCases {
		t.Run(c.name, func(t *testing.T) {
			code, reason, err := wire.ParseClose([]byte(c.payload))
			if code != c.code || reason != c.reason || verdict(err) != c.want {
				t.Errorf("got %d %q, refused with %q; want %d %q, %q", code, reason, verdict(err), c.code, c.reason, c.want)
			}
		})
	}
}

func TestClosesRoundTrip(t *testing.T) {
	for _, code := range []wire.CloseCode{1000, 1001, 1002, 1003, wire.NoStatus, 1007, 1011, 1014, 3000, 3999, 4000, 4999} {
		for n := range 130 {
			for _, runes := range []string{"a", "é", "€", "𝄞"} {
				sent := strings.Repeat(runes, n)
				payload := wire.AppendClose(nil, code, sent)
				if len(payload) > wire.MaxControl {
					t.Fatalf("%d bytes of payload", len(payload))
				}
				got, reason, err := wire.ParseClose(payload)
				if got != code || err != nil {
					t.Fatalf("%d %q came back as %d, %v", code, sent, got, err)
				}
				want := sent[:min(len(sent), 123/len(runes)*len(runes))]
				if code == wire.NoStatus {
					want = ""
				}
				if reason != want || !utf8.ValidString(reason) {
					t.Fatalf("%d %q came back with %q", code, sent, reason)
				}
			}
		}
	}
}

func TestCloseErrorSaysCodeAndReason(t *testing.T) {
	for want, err := range map[string]error{
		"ws: close 1000":      &wire.CloseError{Code: wire.Normal},
		"ws: close 1001: bye": &wire.CloseError{Code: 1001, Reason: "bye"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// IANA's numbers.
func TestCloseCodes(t *testing.T) {
	for want, code := range map[uint16]wire.CloseCode{
		1000: wire.Normal, 1002: wire.ProtocolError, 1005: wire.NoStatus, 1006: wire.Abnormal, 1007: wire.InvalidPayload,
		1008: wire.PolicyViolation, 1009: wire.TooBig, 1011: wire.InternalError, 1013: wire.TryAgainLater,
	} {
		if uint16(code) != want {
			t.Errorf("got %d, want %d", code, want)
		}
	}
}
