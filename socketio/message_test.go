package socketio

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestMessages(t *testing.T) {
	m := message{
		Kind: tellEmit, Namespace: "/a", Rooms: []string{"x", ""}, Except: []string{"y"}, Volatile: true,
		payload: []byte(`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), attachments: [][]byte{{1, 2}, {}},
	}
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodeMessage(data)
	m.Lengths = []int{2, 0}
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("got  %+v, %v\nwant %+v", again, err, m)
	}
}

// Whatever comes from another node, clients receive only valid packets.
func FuzzDecodeMessage(f *testing.F) {
	for _, m := range []message{
		{Kind: tellEmit, Namespace: "/", payload: []byte(`["a",1]`)},
		{Kind: tellEmit, Namespace: "/", payload: []byte(` ["a"] `)},
		{Kind: tellEmit, Namespace: "/a", payload: []byte(`["a",{"_placeholder":true,"num":0}]`), attachments: [][]byte{{1, 2}}},
		{Kind: askAcks, Namespace: "/", Wait: -1, Rooms: []string{"x"}, Except: []string{"y"}, payload: []byte(`["a"]`)},
		{Kind: tellJoin, Namespace: "/", To: []string{"x"}},
	} {
		data, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMessage(data)
		if err != nil || m.Kind != tellEmit && m.Kind != askAcks {
			return
		}
		for _, p := range []packet{m.packet(), m.packet().withOffset("e.", 17)} {
			p.namespace = "/"
			if p.attachments = len(m.attachments); p.attachments > 0 {
				p.kind = p.kind.binary()
			}
			encoded := p.encode()
			again, err := decode(encoded, 255)
			if err != nil && p.attachments < 256 || !json.Valid(p.data) || err == nil && !bytes.Equal(again.data, p.data) {
				t.Errorf("%q is sent as %q: %v", data, encoded, err)
			}
		}
	})
}
