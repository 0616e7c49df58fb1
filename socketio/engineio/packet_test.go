package engineio

import (
	"bytes"
	"testing"
)

func FuzzDecodePayload(f *testing.F) {
	for _, seed := range []string{"4hello", "4a\x1e4b\x1ebAQID", "", "\x1e", "7", "b", "b!", "2probe", "4\x00\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		packets, err := decodeAll(body)
		if err != nil {
			return
		}
		encoded := encodePayload(packets)
		again, err := decodeAll(encoded)
		if err != nil || !bytes.Equal(encodePayload(again), encoded) {
			t.Errorf("%q is encoded as %q, %v", body, encoded, err)
		}
	})
}

func decodeAll(body []byte) (packets []packet, err error) {
	for p, err := range decodePayload(body, 100) {
		if err != nil {
			return packets, err
		}
		packets = append(packets, p)
	}
	return packets, nil
}

func TestPayloads(t *testing.T) {
	packets, err := decodeAll([]byte("4hello\x1e2\x1e4€\x1ebAQIDBA=="))
	if err != nil || len(packets) != 4 || string(packets[2].data) != "€" || !bytes.Equal(packets[3].data, []byte{1, 2, 3, 4}) {
		t.Errorf("got %v, %v", packets, err)
	}
	if got := string(encodePayload(packets)); got != "4hello\x1e2\x1e4€\x1ebAQIDBA==" {
		t.Errorf("encoded as %q", got)
	}
	for _, bad := range []string{"", "4a\x1e", "\x1e4a", "abc", "7", "b%", "4a\x1eabc"} {
		if _, err := decodeAll([]byte(bad)); err == nil {
			t.Errorf("%q is a payload", bad)
		}
	}
}
