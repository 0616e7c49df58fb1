package socketio

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// ErrArguments means that a client sent arguments of the wrong type. If a listener returns an error that wraps it, the
// client receives an event "error" that says which type was expected, and stays connected. The text is meant for people and
// contains none of the client's values; errors.As finds the error of encoding/json.
var ErrArguments = errors.New("the arguments are not what the server expects")

// argumentError wraps ErrArguments and says in plain words, for clients and the log, which type was expected.
type argumentError struct {
	of     string // such as `argument 1 of "message"`
	field  string // of an object in the argument, or ""
	want   string // such as "text", or "" if unknown
	got    string // such as "a number", or ""
	detail error
}

func (e *argumentError) Error() string {
	text := e.of
	if e.field != "" {
		text = fmt.Sprintf("%q in %s", e.field, e.of)
	}
	switch {
	case e.want == "":
		return text + " is not what the server expects"
	case e.got == "":
		return text + " must be " + e.want
	}
	return text + " must be " + e.want + ", not " + e.got
}

func (e *argumentError) Unwrap() []error { return []error{ErrArguments, e.detail} }

// notExpected returns an argumentError that says why a value cannot be decoded into v. named adds the argument's name.
func notExpected(v any, detail error) error {
	e := &argumentError{of: someArgument, detail: detail}
	var wrong *json.UnmarshalTypeError
	if errors.As(detail, &wrong) {
		e.field, e.want, e.got = wrong.Field, expected(wrong.Type), came(wrong.Value)
	} else if _, ok := v.(*[]byte); ok {
		e.want = aBinary
	}
	if e.got == e.want || e.got == aNumber && strings.HasPrefix(e.want, aWhole) {
		e.got = "" // a number of the right kind but out of range, or with a fraction
	}
	return e
}

// The types of JSON, in words.
const (
	aText    = "text"
	aNumber  = "a number"
	aWhole   = "a whole number"
	aBoolean = "true or false"
	aList    = "a list"
	anObject = "an object"
	aBinary  = "binary data"
)

var (
	bytesType = reflect.TypeFor[[]byte]()
	jsonType  = reflect.TypeFor[json.Unmarshaler]()
	textType  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// expected describes the JSON that decodes into a Go type, or returns "" if that is unknown.
func expected(t reflect.Type) string {
	if t == nil {
		return ""
	}
	to := reflect.PointerTo(t)
	switch {
	case t == bytesType:
		return aBinary
	case to.Implements(jsonType):
		return ""
	case to.Implements(textType):
		return aText
	}
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.String:
		return aText
	case reflect.Bool:
		return aBoolean
	case reflect.Int64, reflect.Int:
		return aWhole
	case reflect.Int8, reflect.Int16, reflect.Int32:
		most := int64(1)<<(t.Bits()-1) - 1
		return fmt.Sprintf("%s from %d to %d", aWhole, -most-1, most)
	case reflect.Uint64, reflect.Uint, reflect.Uintptr:
		return aWhole + " that is not negative"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("%s from 0 to %d", aWhole, uint64(1)<<t.Bits()-1)
	case reflect.Float32, reflect.Float64:
		return aNumber
	case reflect.Slice, reflect.Array:
		return aList
	case reflect.Map, reflect.Struct:
		return anObject
	}
	return ""
}

// came describes the JSON type in an UnmarshalTypeError.Value, without the value.
func came(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return map[string]string{"string": aText, "number": aNumber, "bool": aBoolean, "array": aList, "object": anObject}[kind]
}

// someArgument stands for an argument whose event is unknown.
const someArgument = "an argument"

// named returns an argumentError for err that names its subject, unless err already does.
func named(err error, of string) error {
	var a *argumentError
	if !errors.As(err, &a) {
		return &argumentError{of: of, detail: err}
	}
	if a.of == someArgument {
		a = new(*a)
		a.of = of
	}
	return a
}

// longestName is how many bytes of an event's name appear in errors and in the log. The client chooses the name.
const longestName = 64

func quoted(event string) string { return fmt.Sprintf("%q", shortened(event)) }

func shortened(event string) string {
	if len(event) <= longestName {
		return event
	}
	n := longestName
	for n > 0 && !utf8.RuneStart(event[n]) {
		n--
	}
	return event[:n] + "…"
}
