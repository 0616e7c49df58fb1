package wire

import "unicode/utf8"

// ValidUTF8 checks a text whose end may not have arrived yet (RFC 6455 section 8.1). The first done
// bytes of p are known to be valid; it returns how many are now, without an incomplete rune at the
// end. ok is false as soon as no further byte could make p valid.
func ValidUTF8(p []byte, done int) (good int, ok bool) {
	end := len(p)
	for i := 1; i < utf8.UTFMax && end-i >= done; i++ {
		if utf8.RuneStart(p[end-i]) {
			if !utf8.FullRune(p[end-i:]) { // an invalid rune counts as full
				end -= i
			}
			break
		}
	}
	return end, utf8.Valid(p[done:end])
}
