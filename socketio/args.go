package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// ErrArguments is what decoding returns for arguments that are not as asked: the client's mistake. A
// handler may return it; the client is then told, by an event "error", and stays connected.
var ErrArguments = errors.New("the arguments are not as expected")

// Arg is one argument of an event or an acknowledgement, as it came. It can be sent on as it is.
type Arg struct {
	raw         []byte   // JSON, with placeholders for what is binary
	attachments [][]byte // of the whole packet
}

// Decode decodes the argument into v, a pointer, as encoding/json does. What the client sent as binary
// goes into a []byte, wherever it stands. The error is an ErrArguments.
func (a Arg) Decode(v any) error {
	if to, ok := v.(*Arg); ok {
		*to = a
		return nil
	}
	raw := a.raw
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
			return fmt.Errorf("%w: %w", ErrArguments, err)
		}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrArguments, err)
	}
	return nil
}

// JSON is the argument as it came. What is binary in it stands as {"_placeholder":true,"num":0}.
func (a Arg) JSON() []byte { return a.raw }

// decodeArgs splits an array.
func decodeArgs(array []byte, attachments [][]byte) ([]Arg, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(array, &raws); err != nil {
		return nil, errPayload
	}
	args := make([]Arg, len(raws))
	for i, raw := range raws {
		args[i] = Arg{raw, attachments}
	}
	return args, nil
}

// encodeArgs writes an array of what an application sends: []byte, at the top or inside map[string]any
// and []any, becomes an attachment; an Arg stays what it was; everything else is JSON.
func encodeArgs(args []any) (array []byte, attachments [][]byte, err error) {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, arg := range args {
		if i > 0 {
			b.WriteByte(',')
		}
		if attachments, err = encodeArg(&b, arg, attachments); err != nil {
			return nil, nil, err
		}
	}
	b.WriteByte(']')
	if len(attachments) > maxAttachments {
		return nil, nil, fmt.Errorf("socketio: %d binary values in one packet; %d are the most", len(attachments), maxAttachments)
	}
	return b.Bytes(), attachments, nil
}

func encodeArg(b *bytes.Buffer, arg any, attachments [][]byte) ([][]byte, error) {
	switch v := arg.(type) {
	case string:
		if plain(v) {
			b.WriteByte('"')
			b.WriteString(v)
			b.WriteByte('"')
			return attachments, nil
		}
	case Arg:
		if len(v.attachments) == 0 {
			b.Write(v.raw)
			return attachments, nil
		}
		raw, err := replacePlaceholders(v.raw, func(dst []byte, num int) ([]byte, error) {
			if num < 0 || num >= len(v.attachments) {
				return dst, ErrArguments
			}
			attachments = append(attachments, v.attachments[num])
			return appendPlaceholder(dst, len(attachments)-1), nil
		})
		b.Write(raw)
		return attachments, err
	case []byte:
		b.Write(appendPlaceholder(nil, len(attachments)))
		return append(attachments, v), nil
	case []any, map[string]any:
		if hasBinary(v) {
			arg, attachments = withPlaceholders(v, attachments)
		}
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(arg); err != nil {
		return nil, fmt.Errorf("socketio: encode: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	return attachments, nil
}

// plain reports whether a string is JSON as it stands, between quotes.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
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

func hasBinary(v any) bool {
	switch v := v.(type) {
	case []byte:
		return true
	case []any:
		for _, one := range v {
			if hasBinary(one) {
				return true
			}
		}
	case map[string]any:
		for _, one := range v {
			if hasBinary(one) {
				return true
			}
		}
	}
	return false
}

// withPlaceholders copies v with placeholders where bytes were.
func withPlaceholders(v any, attachments [][]byte) (any, [][]byte) {
	switch v := v.(type) {
	case []byte:
		return placeholder{true, len(attachments)}, append(attachments, v)
	case []any:
		copied := make([]any, len(v))
		for i, one := range v {
			copied[i], attachments = withPlaceholders(one, attachments)
		}
		return copied, attachments
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, one := range v {
			copied[name], attachments = withPlaceholders(one, attachments)
		}
		return copied, attachments
	}
	return v, attachments
}

// replacePlaceholders copies valid JSON, and has write put something in the place of each placeholder.
// Text inside strings is left alone.
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

// stringEnd is where the string that begins at i is over.
func stringEnd(raw []byte, i int) int {
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

// placeholderAt reads the object that begins at i, if it is a placeholder: these two fields, in any order.
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

// checkPlaceholders reports whether all placeholders of a packet have an attachment.
func checkPlaceholders(array []byte, attachments int) error {
	_, err := replacePlaceholders(array, func(dst []byte, num int) ([]byte, error) {
		if num < 0 || num >= attachments {
			return nil, errAttachments
		}
		return dst, nil
	})
	return err
}
