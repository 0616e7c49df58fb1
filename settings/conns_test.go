package settings

import "testing"

func TestHTTPLimits(t *testing.T) {
	for _, c := range []struct {
		files                   uint64
		sockets, all, ofAddress int
	}{
		{0, 2000, 10_000, 2000},
		{1 << 20, 2000, 10_000, 2000},
		{1 << 63, 2000, 10_000, 2000},
		{3000, 2000, 1000, 250},
		{3000, 20_000, 1000, 1000},
		{1 << 20, 20_000, 10_000, 10_000},
		{1 << 20, 4000, 10_000, 4000},
		{1 << 20, 0, 10_000, 10_000},
		{1 << 20, 1, 10_000, 1000},
		{2, 2000, 1, 1},
	} {
		set := Settings{AddressSockets: c.sockets}
		if all, ofAddress := set.httpLimits(c.files); all != c.all || ofAddress != c.ofAddress {
			t.Errorf("with %d files and %d sockets of an address: %d and %d, want %d and %d", c.files, c.sockets, all, ofAddress, c.all, c.ofAddress)
		}
	}
}
