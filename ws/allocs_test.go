//go:build !race

// The race detector's pools forget at random, so this counts without it; .ci/run runs it by itself.

package ws_test

import (
	"io"
	"strings"
	"testing"

	"echows/ws"
)

// Echoing allocates nothing, whether a message comes alone, with others, or in its own large buffer.
func TestAllocsPerEchoedMessage(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	for _, c := range []struct {
		name     string
		payload  string
		messages int
	}{
		{"one of 64 bytes", strings.Repeat("a", 64), 1},
		{"sixteen of 64 bytes", strings.Repeat("b", 64), 16},
		{"one of 64 KiB", strings.Repeat("c", 64<<10), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, addr, "/echo")
			sent := []byte(strings.Repeat(whole(opText, c.payload), c.messages))
			overhead := len(whole(opText, c.payload)) - len(c.payload) - len(key)
			got := make([]byte, (overhead+len(c.payload))*c.messages)
			round := func() {
				if _, err := p.conn.Write(sent); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(p.r, got); err != nil {
					t.Error(err)
				}
			}
			round()
			if allocs := testing.AllocsPerRun(500, round) / float64(c.messages); allocs > 0.5 {
				t.Errorf("%.1f allocations a message", allocs)
			}
		})
	}
}
