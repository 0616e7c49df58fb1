package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// Arg is one argument of an event or an acknowledgement, still encoded. It can be emitted unchanged.
type Arg struct {
	raw         []byte   // JSON, with placeholders for binary values
	attachments [][]byte // of the whole packet
}

// Decode decodes the argument into v, which must be a pointer, like json.Unmarshal. Binary values, at any depth, are
// decoded into a []byte; if v points to an any, a []any or a map[string]any, the any for a binary value holds a []byte, while in
// fields of a struct it holds a string in base64. The error wraps ErrArguments.
func (a Arg) Decode(v any) error {
	if to, ok := v.(*Arg); ok {
		*to = a
		return nil
	}
	raw := a.raw
	if to, ok := v.(*string); ok {
		if text, ok := plainString(raw); ok {
			*to = string(text)
			return nil
		}
	}
	if len(a.attachments) > 0 && isUntyped(v) {
		return a.decodeUntyped(v)
	}
	if len(a.attachments) > 0 {
		var err error
		raw, err = replacePlaceholders(raw, func(dst []byte, num int) ([]byte, error) {
			if num < 0 || num >= len(a.attachments) {
				return dst, fmt.Errorf("no attachment %d", num)
			}
			dst = append(dst, '"')
			return append(base64.StdEncoding.AppendEncode(dst, a.attachments[num]), '"'), nil
		})
		if err != nil {
			return notExpected(v, err)
		}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return notExpected(v, err)
	}
	return nil
}

// MarshalJSON encodes the argument, with binary values in base64, like a []byte in encoding/json.
func (a Arg) MarshalJSON() ([]byte, error) {
	var v json.RawMessage
	err := a.Decode(&v)
	return v, err
}

// JSON returns the argument as received. A placeholder such as {"_placeholder":true,"num":0} stands for each binary value.
func (a Arg) JSON() []byte { return a.raw }

// IsBinary reports whether the argument itself is a binary value.
func (a Arg) IsBinary() bool {
	_, end, ok := placeholderAt(a.raw, 0)
	return ok && end == len(a.raw)
}

// errArgs means that a packet has more arguments than Limits.Arguments.
var errArgs = &limitError{limitArguments, "a packet has too many arguments"}

// decodeArgs splits an array, which must be valid JSON, into at most most values.
func decodeArgs(array []byte, attachments [][]byte, most int) ([]Arg, error) {
	args := make([]Arg, 0, 1) // most packets have one argument
	for i := skipSpace(array, 0) + 1; ; i++ {
		i = skipSpace(array, i)
		end := valueEnd(array, i)
		if end == i {
			return args, nil // end of the array
		}
		if len(args) == most {
			return nil, errArgs
		}
		args = append(args, Arg{array[i:end:end], attachments})
		i = skipSpace(array, end)
	}
}

// decodeEvent splits an event's array, which must be valid JSON and begin with a name, into the name and at most most
// arguments.
func decodeEvent(array []byte, attachments [][]byte, most int) (name Arg, args []Arg, err error) {
	i := skipSpace(array, skipSpace(array, 0)+1)
	end := valueEnd(array, i)
	name = Arg{raw: array[i:end:end]}
	if i = skipSpace(array, end); array[i] == ']' {
		return name, nil, nil
	}
	args, err = decodeArgs(array[i:], attachments, most) // the comma takes the place of the bracket
	return name, args, err
}

// isSimple reports whether b is an array, without white space, of strings without escapes, integers, true, false and null.
// Most events are, and it is faster than json.Valid.
func isSimple(b []byte) bool {
	if len(b) < 2 || b[0] != '[' {
		return false
	}
	for i := 1; i < len(b); i++ {
		if i = simpleEnd(b, i); i >= len(b) {
			return false
		}
		switch {
		case b[i] == ']':
			return i == len(b)-1
		case b[i] != ',':
			return false
		}
	}
	return false
}

// simpleEnd returns the end of the simple value that begins at i, or len(b) if there is none.
func simpleEnd(b []byte, i int) int {
	switch c := b[i]; {
	case c == '"':
		for i++; i+8 <= len(b) && !special(binary.LittleEndian.Uint64(b[i:])); i += 8 {
		}
		for ; i < len(b); i++ {
			switch c := b[i]; {
			case c == '"':
				return i + 1
			case c < ' ' || c == '\\':
				return len(b)
			}
		}
	case c == '0':
		return i + 1
	case c >= '1' && c <= '9':
		for i++; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		}
		return i
	default:
		for _, word := range []string{"true", "false", "null"} {
			if len(b)-i > len(word) && string(b[i:i+len(word)]) == word {
				return i + len(word)
			}
		}
	}
	return len(b)
}

// firstOf returns the first value of an array, which must be valid JSON.
func firstOf(array []byte) []byte {
	i := skipSpace(array, skipSpace(array, 0)+1)
	return array[i:valueEnd(array, i)]
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// valueEnd returns the end of the value that begins at i, in valid JSON.
func valueEnd(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
			if depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 { // closes the enclosing value
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// appendArgs appends an array of an event's name, unless it is "", and the arguments. A []byte, as an argument or inside maps,
// slices and pointers, becomes an attachment; an Arg is copied; everything else is encoded as JSON, structs with all their
// fields.
func appendArgs(dst []byte, event string, args []any) (_ []byte, attachments [][]byte, err error) {
	begin := len(dst)
	dst = append(dst, '[')
	if event != "" {
		if dst, _, err = appendArg(dst, event, nil); err != nil {
			return dst, nil, err
		}
	}
	for i, arg := range args {
		if i > 0 || event != "" {
			dst = append(dst, ',')
		}
		if dst, attachments, err = appendArg(dst, arg, attachments); err != nil {
			return dst, nil, err
		}
	}
	if dst = append(dst, ']'); len(attachments) > 0 && checkPlaceholders(dst[begin:], len(attachments)) != nil {
		err = errPlaceholder // in what a client sent, perhaps: every receiver would refuse the packet
	}
	return dst, attachments, err
}

var errPlaceholder = fmt.Errorf("%w: an object in them looks like the placeholder of bytes, and there are bytes, too", ErrArguments)

func appendArg(dst []byte, arg any, attachments [][]byte) ([]byte, [][]byte, error) {
	switch v := arg.(type) {
	case string:
		begin := len(dst)
		dst = append(append(dst, '"'), v...)
		if plain(dst[begin+1:]) {
			return append(dst, '"'), attachments, nil
		}
		dst = dst[:begin]
	case Arg:
		if len(v.attachments) == 0 {
			return append(dst, v.raw...), attachments, nil
		}
		raw, err := replacePlaceholders(v.raw, func(dst []byte, num int) ([]byte, error) {
			if num < 0 || num >= len(v.attachments) {
				return dst, ErrArguments
			}
			attachments = append(attachments, v.attachments[num])
			return appendPlaceholder(dst, len(attachments)-1), nil
		})
		return append(dst, raw...), attachments, err
	case []byte:
		return appendPlaceholder(dst, len(attachments)), append(attachments, v), nil
	case json.RawMessage: // already encoded, such as a constant answer
		if json.Valid(v) {
			return append(dst, v...), attachments, nil
		}
	default:
		if hasBinary(v) {
			arg, attachments = withPlaceholders(v, attachments)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(arg); err != nil {
		return dst, nil, fmt.Errorf("socketio: encode: %w", err)
	}
	return append(dst, b.Bytes()[:b.Len()-1]...), attachments, nil // without the encoder's newline
}

// plain reports whether b is printable ASCII that needs no escapes in JSON.
func plain(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if w := binary.LittleEndian.Uint64(b); special(w) || w&highBits != 0 || hasZero(w^0x7f*lowBits) {
			return false
		}
	}
	for _, c := range b {
		if !plainByte[c] {
			return false
		}
	}
	return true
}

const lowBits, highBits = 0x0101010101010101, 0x8080808080808080 // of each byte of a word

// special reports whether any of eight bytes is a control character, a quote or a backslash (see "Bit Twiddling Hacks":
// "Determine if a word has a byte less than n").
func special(w uint64) bool {
	return (w-' '*lowBits)&^w&highBits != 0 || hasZero(w^'"'*lowBits) || hasZero(w^'\\'*lowBits)
}

func hasZero(w uint64) bool { return (w-lowBits)&^w&highBits != 0 }

// plainByte marks the bytes of printable ASCII that need no escapes.
var plainByte = func() (table [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// plainString returns the text of a JSON string of printable ASCII without escapes, and whether raw is one.
func plainString(raw []byte) ([]byte, bool) {
	if n := len(raw); n >= 2 && raw[0] == '"' && plain(raw[1:n-1]) {
		return raw[1 : n-1], true
	}
	return nil, false
}

// placeholder stands for an attachment.
type placeholder struct {
	Placeholder bool `json:"_placeholder"`
	Num         int  `json:"num"`
}

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	return append(strconv.AppendInt(dst, int64(num), 10), '}')
}

// replacePlaceholders copies valid JSON, and calls write to append the replacement of each placeholder. It does not look
// inside strings.
func replacePlaceholders(raw []byte, write func(dst []byte, num int) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			end := stringEnd(raw, i)
			out = append(out, raw[i:end]...)
			i = end - 1
		case '{':
			num, end, ok := placeholderAt(raw, i)
			if !ok {
				out = append(out, c)
				continue
			}
			var err error
			if out, err = write(out, num); err != nil {
				return nil, err
			}
			i = end - 1
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// stringEnd returns the end of the string that begins at i.
func stringEnd(raw []byte, i int) int {
	if n := bytes.IndexByte(raw[i+1:], '"'); n >= 0 && bytes.IndexByte(raw[i+1:i+1+n], '\\') < 0 {
		return i + n + 2 // most strings have no escapes
	}
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// placeholderAt parses the object that begins at i if it is a placeholder: the two fields in any order, and no others.
func placeholderAt(raw []byte, i int) (num, end int, ok bool) {
	length := bytes.IndexByte(raw[i:min(len(raw), i+128)], '}') + 1
	if length == 0 || !bytes.Contains(raw[i:i+length], []byte(`"_placeholder"`)) {
		return 0, 0, false
	}
	var p struct {
		Placeholder bool `json:"_placeholder"`
		Num         *int `json:"num"`
	}
	d := json.NewDecoder(bytes.NewReader(raw[i : i+length]))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || !p.Placeholder || p.Num == nil {
		return 0, 0, false
	}
	return *p.Num, i + length, true
}

// checkPlaceholders checks that each placeholder of a packet has an attachment, and that there are no more placeholders than
// attachments, because decoding a placeholder copies its attachment. It refuses what only others would take for a placeholder:
// the official client takes any object whose _placeholder is true, and closes its connection if that has no valid num.
func checkPlaceholders(array []byte, attachments int) error {
	n := 0
	_, err := replacePlaceholders(array, func(dst []byte, num int) ([]byte, error) {
		if n++; num < 0 || num >= attachments || n > attachments {
			return nil, errAttachments
		}
		return dst, nil
	})
	if err == nil && n != placeholderFields(array) {
		err = errAttachments
	}
	return err
}

// placeholderFields returns the number of fields "_placeholder": true in valid JSON, in whatever way the name is spelled.
func placeholderFields(raw []byte) (n int) {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := stringEnd(raw, i)
		colon := skipSpace(raw, end)
		if colon < len(raw) && raw[colon] == ':' && bytes.HasPrefix(raw[skipSpace(raw, colon+1):], []byte("true")) && isPlaceholderName(raw[i:end]) {
			n++
		}
		i = end - 1
	}
	return n
}

func isPlaceholderName(raw []byte) bool {
	const name = `"_placeholder"`
	if len(raw) > 2+len(`\u0000`)*(len(name)-2) || bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	var s string
	return json.Unmarshal(raw, &s) == nil && s == name[1:len(name)-1]
}
