// Package porttest reserves ports for tests whose servers cannot listen on port 0: others must know their ports before they
// start, or they listen on the same ports again after a restart.
package porttest

import (
	"fmt"
	"net"
	"testing"
)

// Ports are reserved in blocks. All are below 32768, where Linux begins to take the ports of outgoing connections: one of those
// could take a port before its server listens on it.
const (
	first = 15_000
	end   = 20_000
	block = 16
)

// Most is the highest number of ports that one call of Reserve returns.
const Most = block - 1

// Reserve returns n consecutive ports, n being at most Most, on which nobody listens. Until the test ends, no other call
// returns them, in this process or another: a test reserves a block by listening on the first port of it.
func Reserve(t testing.TB, n int) []int {
	t.Helper()
	for port := first; port < end && n <= Most; port += block {
		reserved, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		if ports, ok := free(port+1, n); ok {
			t.Cleanup(func() { reserved.Close() })
			return ports
		}
		reserved.Close()
	}
	t.Fatalf("cannot reserve %d ports", n)
	return nil
}

// Address returns an address of 127.0.0.1 whose port is reserved, as by Reserve.
func Address(t testing.TB) string {
	t.Helper()
	return address(Reserve(t, 1)[0])
}

// free returns n ports from the first on, and whether nobody listens on any.
func free(first, n int) (ports []int, ok bool) {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			return nil, false
		}
		l.Close()
		ports = append(ports, port)
	}
	return ports, true
}

func address(port int) string { return fmt.Sprint("127.0.0.1:", port) }
