package porttest

import (
	"net"
	"testing"
)

func TestReserve(t *testing.T) {
	seen := map[int]bool{}
	for range 10 {
		all := Reserve(t, Most)
		for i, port := range all {
			if port != all[0]+i || seen[port] {
				t.Errorf("%v are reserved after %v", all, seen)
			}
			seen[port] = true
		}
	}
	for port := range seen {
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}

// A block is passed over if somebody listens on one of its ports.
func TestWhatIsTaken(t *testing.T) {
	all := Reserve(t, 3)
	taken, err := net.Listen("tcp", address(all[2]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if ports, ok := free(all[0], 3); ok {
		t.Errorf("%v are free while somebody listens on %d", ports, all[2])
	}
}

// When a test ends, others get its ports.
func TestEnds(t *testing.T) {
	for range (end-first)/block + 1 {
		t.Run("", func(t *testing.T) { Reserve(t, 1) })
	}
}
