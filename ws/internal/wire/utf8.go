package wire

import "unicode/utf8"

// ValidUTF8 judges a text whose end may still be on its way (RFC 6455 section 8.1). The first done
// bytes of p are known to be good; it returns how many are now, leaving out a rune that is not whole
// yet. ok is false as soon as no further byte could make p valid.
func ValidUTF8(p []byte, done int) (good int, ok bool) {
	end := len(p)
	for i := 1; i < utf8.UTFMax && end-i >= done; i++ {
		if utf8.RuneStart(p[end-i]) {
			if !utf8.FullRune(p[end-i:]) { // full, too, where it is already wrong
				end -= i
			}
			break
		}
	}
	return end, utf8.Valid(p[done:end])
}
