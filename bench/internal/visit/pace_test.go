package visit

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// A client ahead of the pace waits; a write of any size has its turn in the end.
func TestPaceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := NewPace(100), time.Now()
		for _, n := range []int{100, 100, 1000} { // the first is the burst, the last is taken for one
			if err := p.wait(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun).Round(time.Millisecond); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if p.wait(ended, 1) == nil {
			t.Error("who gave up has a turn")
		}
	})
	if NewPace(0) != nil {
		t.Error("no bound is one")
	}
}

// Connections, writes and their bytes count, also where a whole reader is copied to a connection.
func TestPaceCounts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const many = 1000
	p := &Pace{rate.NewLimiter(0, many)} // which has no more
	conn, err := New(l.Addr().String(), "127.0.0.9", p).Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := float64(many - connection)
	check := func(what string) {
		if got := p.limiter.Tokens(); got != want {
			t.Errorf("after %s: %v are left, not %v", what, got, want)
		}
	}
	check("connecting")
	if address := conn.LocalAddr().(*net.TCPAddr).IP.String(); address != "127.0.0.9" {
		t.Errorf("it comes from %s", address)
	}
	conn.Write(make([]byte, 10))
	want--
	check("a short write")
	conn.Write(make([]byte, 2*writePart))
	want -= 3
	check("a long one")
	io.Copy(conn, struct{ io.Reader }{strings.NewReader("hello")}) // by ReadFrom, since this has no WriteTo
	want--
	check("a copy")
}
