package socketio

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPacketsOfTheProtocolText(t *testing.T) {
	for _, c := range []struct {
		text string
		want packet
	}{
		{`0`, packet{kind: kindConnect, namespace: "/"}},
		{`0{"token":"123"}`, packet{kind: kindConnect, namespace: "/", data: []byte(`{"token":"123"}`)}},
		{`0/admin,{"token":"123"}`, packet{kind: kindConnect, namespace: "/admin", data: []byte(`{"token":"123"}`)}},
		{`0/admin`, packet{kind: kindConnect, namespace: "/admin"}},
		{`4{"message":"Not authorized"}`, packet{kind: kindConnectError, namespace: "/", data: []byte(`{"message":"Not authorized"}`)}},
		{`1/admin,`, packet{kind: kindDisconnect, namespace: "/admin"}},
		{`1`, packet{kind: kindDisconnect, namespace: "/"}},
		{`2["hello",1]`, packet{kind: kindEvent, namespace: "/", data: []byte(`["hello",1]`)}},
		{`2/admin,456["project:delete",123]`, packet{kind: kindEvent, namespace: "/admin", id: 456, hasID: true, data: []byte(`["project:delete",123]`)}},
		{`20["zero"]`, packet{kind: kindEvent, namespace: "/", hasID: true, data: []byte(`["zero"]`)}},
		{`3/admin,456[]`, packet{kind: kindAck, namespace: "/admin", id: 456, hasID: true, data: []byte(`[]`)}},
		{`51-["hello",{"_placeholder":true,"num":0}]`, packet{kind: kindBinaryEvent, namespace: "/", attachments: 1, data: []byte(`["hello",{"_placeholder":true,"num":0}]`)}},
		{`51-/admin,456["a",{"_placeholder":true,"num":0}]`, packet{kind: kindBinaryEvent, namespace: "/admin", id: 456, hasID: true, attachments: 1, data: []byte(`["a",{"_placeholder":true,"num":0}]`)}},
		{`61-/admin,456[{"_placeholder":true,"num":0}]`, packet{kind: kindBinaryAck, namespace: "/admin", id: 456, hasID: true, attachments: 1, data: []byte(`[{"_placeholder":true,"num":0}]`)}},
	} {
		got, err := decode([]byte(c.text), 10)
		if err != nil || got.kind != c.want.kind || got.namespace != c.want.namespace || got.id != c.want.id || got.hasID != c.want.hasID ||
			got.attachments != c.want.attachments || !bytes.Equal(got.data, c.want.data) {
			t.Errorf("%s is %+v, %v", c.text, got, err)
		}
		again, err := decode(got.encode(), 10)
		if err != nil || !bytes.Equal(again.encode(), got.encode()) {
			t.Errorf("%s is encoded as %s, %v", c.text, got.encode(), err)
		}
	}
}

// Each of these packets closes its connection.
var hostile = []string{
	"", "7", "9[]", "abc", "-1", "\x00", "2", "2{}", "2[]", "2[1]", "2[null]", "2abc", `2"text"`, `2["a"`, `2["a"]x`, `2["a"],`, "21", "2/admin", "2/admin,",
	`2["connect"]`, `2["disconnect"]`, `2["connect_error"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`,
	"3", "3[]", "31", "31{}", `31"a"`, "0[]", `0"a"`, "0null", "05{}", "1[]", "1{}", "4", "4[]", "4null",
	"5", `5["a"]`, `5-["a"]`, `50-["a"]`, `511-["a"]`, `5a-["a"]`, `5-1-["a"]`, `51.5-["a"]`, `51`, `51-`, "51-{}", "61-[]", `599999999999999999999-["a"]`,
	`29007199254740993["a"]`, `299999999999999999999999["a"]`, "2/" + strings.Repeat("n", 300) + `,["a"]`, "2" + strings.Repeat("[", 100_000),
}

func TestHostilePackets(t *testing.T) {
	for _, text := range hostile {
		if p, err := decode([]byte(text), 10); err == nil {
			t.Errorf("%.60q is %+v", text, p)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	for _, text := range []string{`0/admin,{"a":1}`, `2/x,12["a",{"b":[]}]`, `52-["a",{"_placeholder":true,"num":1}]`, `2["\ud800\u0000"]`, `51-["a",{"_placeholder":true,"num":0},8e888]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := decode([]byte(text), 10)
		if err != nil {
			return
		}
		encoded := p.encode()
		again, err := decode(encoded, 10)
		if err != nil || !bytes.Equal(again.encode(), encoded) {
			t.Errorf("%q is encoded as %q: %v", text, encoded, err)
		}
		if p.kind == kindEvent || p.kind == kindAck { // must be split as encoding/json splits it
			var want []json.RawMessage
			if err := json.Unmarshal(p.data, &want); err != nil {
				t.Fatal(err)
			}
			got, _ := decodeArgs(p.data, nil, len(p.data))
			if !slices.EqualFunc(got, want, func(a Arg, b json.RawMessage) bool { return bytes.Equal(a.raw, b) }) {
				t.Errorf("%q is split as %q", text, got)
			}
		}
		if p.kind == kindBinaryEvent && checkPlaceholders(p.data, p.attachments) == nil {
			args, err := decodeArgs(p.data, slices.Repeat([][]byte{{1}}, p.attachments), len(p.data))
			if err != nil {
				t.Fatal(err)
			}
			for _, arg := range args {
				var v json.RawMessage // a number may be more than a float64 holds
				if err := arg.Decode(&v); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
		}
	})
}

func TestArguments(t *testing.T) {
	one, two := []byte("one"), []byte("two")
	array, attachments, err := appendArgs(nil, "", []any{"plain", "quo\"te <&> \u2028", one, map[string]any{"deep": []any{two, 1}}, []byte(nil), nil, 1.5, struct{ A int }{1}})
	if err != nil {
		t.Fatal(err)
	}
	want := `["plain","quo\"te <&> \u2028",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1},1]},{"_placeholder":true,"num":2},null,1.5,{"A":1}]`
	if string(array) != want || len(attachments) != 3 || string(attachments[1]) != "two" {
		t.Errorf("got  %s with %q\nwant %s", array, attachments, want)
	}
	args, err := decodeArgs(array, attachments, 10)
	if err != nil {
		t.Fatal(err)
	}
	var bytesBack []byte
	var deep struct{ Deep []json.RawMessage }
	if err := args[2].Decode(&bytesBack); err != nil || string(bytesBack) != "one" {
		t.Errorf("%q %v", bytesBack, err)
	}
	if err := args[3].Decode(&deep); err != nil || string(deep.Deep[0]) != `"dHdv"` {
		t.Errorf("%s %v", deep.Deep, err)
	}
	if err := args[0].Decode(new(int)); err == nil {
		t.Error("a string is an int")
	}
	// Arguments emitted again in another order keep their attachments.
	array, attachments, err = appendArgs(nil, "", []any{args[3], args[2]})
	if want := `[{"deep":[{"_placeholder":true,"num":0},1]},{"_placeholder":true,"num":1}]`; err != nil || string(array) != want || string(attachments[0]) != "two" || string(attachments[1]) != "one" {
		t.Errorf("got %s with %q, %v", array, attachments, err)
	}
	if _, _, err := appendArgs(nil, "", []any{func() {}}); err == nil {
		t.Error("a function was encoded")
	}
	if _, err := decodeArgs([]byte(`["a",1,2]`), nil, 2); err == nil {
		t.Error("too many arguments were decoded")
	}
	// A placeholder inside a string is text.
	text := Arg{raw: []byte(`["{\"_placeholder\":true,\"num\":0}",{"_placeholder":true,"num":0,"more":1},{ "num" : 0 , "_placeholder" : true }]`), attachments: [][]byte{one}}
	var back []any
	if err := text.Decode(&back); err != nil || back[0] != `{"_placeholder":true,"num":0}` || !reflect.DeepEqual(back[2], one) {
		t.Errorf("got %v, %v", back, err)
	}
	if _, ok := back[1].(map[string]any); !ok {
		t.Errorf("got %v", back[1])
	}
}

func TestSimpleArrays(t *testing.T) {
	for _, text := range []string{`["a"]`, `["a","b \u00e9"]`, `["",0,17,true,false,null]`, "[\"é\x7f\"]"} {
		if simple := isSimple([]byte(text)); simple == strings.Contains(text, `\`) || !json.Valid([]byte(text)) {
			t.Errorf("%s: %v", text, simple)
		}
	}
	for _, text := range []string{``, `[`, `[]`, `["a"`, `["a]`, `["a",]`, `[,"a"]`, `["a" ]`, `[01]`, `[-1]`, `[1.5]`, `[tru]`, `[true`, `["a"]]`, `["a"],`, `{"a":1}`, `[{}]`, "[\"\n\"]", `["\"]`, `"a"`, `[null"a"]`, `[1e5]`} {
		if isSimple([]byte(text)) {
			t.Errorf("%s is simple", text)
		}
	}
}

func FuzzSimpleArrays(f *testing.F) {
	for _, text := range []string{`["a",1,true]`, `["\"]`, `[01]`, `[null,]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if isSimple(text) && !json.Valid(text) {
			t.Errorf("%q is simple, and no JSON", text)
		}
	})
}

// Whether a byte needs an escape does not depend on its position.
func TestPlainBytes(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			text := []byte(strings.Repeat("x", 20))
			text[at] = byte(c)
			if plain(text) != plainByte[c] {
				t.Fatalf("%q: %v", text, plain(text))
			}
			array := slices.Concat([]byte(`["`), text, []byte(`"]`))
			if simple := isSimple(array); simple != (c >= ' ' && c != '"' && c != '\\') {
				t.Fatalf("%q: %v", array, simple)
			}
		}
	}
}
