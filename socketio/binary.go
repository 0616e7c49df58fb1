package socketio

import (
	"encoding"
	"encoding/json"
	"iter"
	"reflect"
)

// hasBinary reports whether there are bytes in v, but not in a struct: there, encoding/json encodes them in base64.
func hasBinary(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int, float64:
		return false
	case []byte:
		return true
	case Arg:
		return len(v.attachments) > 0
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
	default:
		if _, is := asBytes(v); is {
			return true
		}
		for one := range within(reflect.ValueOf(v)) {
			if hasBinary(one) {
				return true
			}
		}
	}
	return false
}

// asBytes returns the bytes of a value whose type is a []byte by another name, and does not encode itself.
func asBytes(v any) ([]byte, bool) {
	if t := reflect.TypeOf(v); t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 || encodesItself(t) {
		return nil, false
	}
	return reflect.ValueOf(v).Bytes(), true
}

// within returns the values in a map with string keys, a slice or a pointer, with their keys or indexes, if they may be or hold
// bytes. A type that encodes itself holds nothing.
func within(v reflect.Value) iter.Seq2[any, any] {
	return func(yield func(value, key any) bool) {
		t := v.Type()
		switch {
		case t.Kind() != reflect.Map && t.Kind() != reflect.Slice && t.Kind() != reflect.Pointer:
			return
		case encodesItself(t) || !mayHoldBytes(t.Elem()) || v.IsNil():
			return
		case t.Kind() == reflect.Pointer:
			yield(v.Elem().Interface(), nil)
		case t.Kind() == reflect.Slice:
			for i := range v.Len() {
				if !yield(v.Index(i).Interface(), i) {
					return
				}
			}
		case t.Key().Kind() == reflect.String:
			for key, value := range v.Seq2() {
				if !yield(value.Interface(), key.String()) {
					return
				}
			}
		}
	}
}

var (
	jsonEncoder = reflect.TypeFor[json.Marshaler]()
	textEncoder = reflect.TypeFor[encoding.TextMarshaler]()
)

func encodesItself(t reflect.Type) bool {
	return t.Implements(jsonEncoder) || t.Implements(textEncoder)
}

func mayHoldBytes(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Map, reflect.Slice, reflect.Pointer:
		return true
	}
	return t == reflect.TypeFor[Arg]()
}

// withPlaceholders copies v with placeholders where bytes were.
func withPlaceholders(v any, attachments [][]byte) (any, [][]byte) {
	switch v := v.(type) {
	case []byte:
		return placeholder{true, len(attachments)}, append(attachments, v)
	case Arg:
		raw, attachments, _ := appendArg(nil, v, attachments) // no error: its placeholders were checked on receipt
		return json.RawMessage(raw), attachments
	case []any:
		if v == nil {
			return v, attachments
		}
		copied := make([]any, len(v))
		for i, one := range v {
			copied[i], attachments = withPlaceholders(one, attachments)
		}
		return copied, attachments
	case map[string]any:
		if v == nil {
			return v, attachments
		}
		copied := make(map[string]any, len(v))
		for name, one := range v {
			copied[name], attachments = withPlaceholders(one, attachments)
		}
		return copied, attachments
	}
	if !hasBinary(v) {
		return v, attachments
	}
	if b, is := asBytes(v); is {
		return placeholder{true, len(attachments)}, append(attachments, b)
	}
	switch reflect.TypeOf(v).Kind() {
	case reflect.Pointer:
		return withPlaceholders(reflect.ValueOf(v).Elem().Interface(), attachments)
	case reflect.Slice:
		var copied []any
		for one := range within(reflect.ValueOf(v)) {
			one, attachments = withPlaceholders(one, attachments)
			copied = append(copied, one)
		}
		return copied, attachments
	}
	copied := map[string]any{}
	for one, key := range within(reflect.ValueOf(v)) {
		copied[key.(string)], attachments = withPlaceholders(one, attachments)
	}
	return copied, attachments
}

// isUntyped reports whether v points to a value without types for what is in it.
func isUntyped(v any) bool {
	switch v.(type) {
	case *any, *[]any, *map[string]any:
		return true
	}
	return false
}

// decodeUntyped decodes into v, and puts the attachments where their placeholders were.
func (a Arg) decodeUntyped(v any) error {
	if err := json.Unmarshal(a.raw, v); err != nil {
		return notExpected(v, err)
	}
	switch v := v.(type) {
	case *any:
		*v = a.attached(*v)
	case *[]any:
		a.attached(*v)
	case *map[string]any:
		if _, is := a.attached(*v).([]byte); is {
			return notExpected(v, &json.UnmarshalTypeError{Value: "bytes", Type: reflect.TypeOf(*v)})
		}
	}
	return nil
}

// attached returns v with the attachments instead of their placeholders. It changes lists and objects in place.
func (a Arg) attached(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = a.attached(v[i])
		}
	case map[string]any:
		num, ok := v["num"].(float64)
		if len(v) == 2 && v["_placeholder"] == true && ok && num >= 0 && num < float64(len(a.attachments)) {
			return a.attachments[int(num)]
		}
		for name := range v {
			v[name] = a.attached(v[name])
		}
	}
	return v
}
