package nodes

import (
	"bytes"
	"testing"

	"echows/ws"
)

func FuzzDecodeSaid(f *testing.F) {
	f.Add([]byte("\x01text"))
	f.Add([]byte("\x02\x00\xff"))
	f.Add([]byte("\x01"))
	f.Add([]byte("\x08close"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, ok := decode(data)
		if ok && (!bytes.Equal(encode(m), data) || m.Opcode != ws.Text && m.Opcode != ws.Binary) {
			t.Errorf("%q is %v", data, m)
		}
		if want := len(data) > 0 && (data[0] == 1 || data[0] == 2); ok != want {
			t.Errorf("%q: %v", data, ok)
		}
	})
}

// A nil *Nodes, for a single node, can be used.
func TestNone(t *testing.T) {
	var none *Nodes
	none.Tell(ws.Message{Opcode: ws.Text, Data: []byte("text")})
	if err := none.Hear(nil); err != nil {
		t.Error(err)
	}
	if none.Chat() != nil || none.Adapter() != nil || none.Journal() != nil {
		t.Error("there are others")
	}
}
