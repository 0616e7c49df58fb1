package wire_test

import (
	"testing"
	"unicode/utf8"

	"echows/ws/internal/wire"
)

var trickyTexts = []string{
	"", "a", "Hello", "é", "€", "𝄞", "aé€𝄞z", "Κόσμε", "日本語", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000",
	"\uFFFD", "\uFFFF", "\U00010000", "\U0010FFFF", "𝄞𝄞", "€€€", "aaaaaaaa€", "€aaaaaaaa",

	"\x80", "\xbf", "a\x80", "\x80\x80\x80\x80\x80", "é\x80", "€\x80", "𝄞\x80", // continuation bytes of nothing
	"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9d", "\xf0\x9d\x84", "a\xf0\x9d\x84", // truncated
	"\xc3a", "\xe2\x82a", "\xe2a\x82", "\xf0\x9d\x84a", "\xf0\x9d\x84\xf0\x9d\x84\x9e", "\xc3\xc3", // truncated, and more
	"\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", // overlong
	"\xe0\xa0\x80", "\xf0\x90\x80\x80", // just not overlong
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\xb4\xed\xb4\x9e", "a\xed\xa0", // surrogates
	"\xed\x9f\xbf", "\xee\x80\x80", // beside them
	"\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "ab\xff", "\xfe\xff", // past U+10FFFF
}

// judge gives text up to each of the ends in turn, and says whether all of it is UTF-8. At each end, it looks
// at what ValidUTF8 promises.
func judge(t testing.TB, text []byte, ends []int) bool {
	t.Helper()
	done := 0
	for _, end := range append(ends, len(text)) {
		good, ok := wire.ValidUTF8(text[:end], done)
		if can := canBecomeValid(text[:end]); ok != can {
			t.Fatalf("%q, of which %d bytes are good: ok is %v, and it can become valid: %v", text[:end], done, ok, can)
		}
		if !ok {
			return false
		}
		if rest := text[good:end]; good < done || !utf8.Valid(text[:good]) || len(rest) > 0 && utf8.FullRune(rest) {
			t.Fatalf("%q, of which %d bytes are good: now %d are", text[:end], done, good)
		}
		done = good
	}
	return done == len(text)
}

// canBecomeValid tries what could follow. These bytes stand for all continuation bytes: between them lie the
// borders that a lead byte may ask for.
func canBecomeValid(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	p = p[wholeRunes(p):]
	if len(p) >= utf8.UTFMax {
		return false
	}
	for _, b := range []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf} {
		if canBecomeValid(append(p[:len(p):len(p)], b)) {
			return true
		}
	}
	return false
}

// wholeRunes is how many bytes p begins with that are valid.
func wholeRunes(p []byte) (n int) {
	for n < len(p) {
		r, size := utf8.DecodeRune(p[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

func TestUTF8InOnePiece(t *testing.T) {
	for _, text := range trickyTexts {
		if got, want := judge(t, []byte(text), nil), utf8.ValidString(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestUTF8InEveryPiecing(t *testing.T) {
	for _, text := range trickyTexts {
		for cuts := range 1 << max(len(text)-1, 0) {
			var ends []int
			for i := range len(text) {
				if cuts>>i&1 != 0 {
					ends = append(ends, i+1)
				}
			}
			if got, want := judge(t, []byte(text), ends), utf8.ValidString(text); got != want {
				t.Errorf("%q cut at %v: got %v, want %v", text, ends, got, want)
			}
		}
	}
}

func TestUTF8BehindAndBeforeEachOther(t *testing.T) {
	for _, a := range trickyTexts {
		for _, b := range trickyTexts {
			text := []byte(a + b)
			for i := range text {
				if got, want := judge(t, text, []int{i}), utf8.Valid(text); got != want {
					t.Errorf("%q cut at %d: got %v, want %v", text, i, got, want)
				}
			}
		}
	}
}

// Every beginning of a rune, whether there is such a rune or not.
func TestUTF8OfEachTwoBytes(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			text := []byte{byte(first), byte(second)}
			if got, want := judge(t, text, []int{1}), utf8.Valid(text); got != want {
				t.Errorf("%q: got %v, want %v", text, got, want)
			}
		}
	}
}

// Bytes that are known to be valid are not checked again.
func TestUTF8TrustsCheckedBytes(t *testing.T) {
	if good, ok := wire.ValidUTF8([]byte("\xff\xffa\xe2\x82"), 2); good != 3 || !ok {
		t.Errorf("got %d, %v", good, ok)
	}
	if good, ok := wire.ValidUTF8([]byte("ab\xe2"), 2); good != 2 || !ok {
		t.Errorf("nothing new is whole: got %d, %v", good, ok)
	}
	if good, ok := wire.ValidUTF8([]byte("\xf0\x9d\x84\x9e"), 4); good != 4 || !ok {
		t.Errorf("nothing is new: got %d, %v", good, ok)
	}
}
