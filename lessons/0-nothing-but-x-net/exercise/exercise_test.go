package exercise

import "testing"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second byte
		want          Header
	}{
		{"a text of 5 bytes, by a server", 0x81, 0x05, Header{true, 1, false, 5}},
		{"the same, by a client", 0x81, 0x85, Header{true, 1, true, 5}},
		{"the first part of a text", 0x01, 0x03, Header{false, 1, false, 3}},
		{"the last part", 0x80, 0x02, Header{true, 0, false, 2}},
		{"an empty ping", 0x89, 0x00, Header{true, 9, false, 0}},
		{"a client's close", 0x88, 0x82, Header{true, 8, true, 2}},
		{"the longest of these", 0x82, 0x7d, Header{true, 2, false, 125}},
	} {
		if got := Parse(c.first, c.second); got != c.want {
			t.Errorf("%s, %#02x %#02x: got %+v, want %+v", c.name, c.first, c.second, got, c.want)
		}
	}
}
