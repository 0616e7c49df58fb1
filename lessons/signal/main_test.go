package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"echows/internal/porttest"
)

func TestListener(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]", ""} {
		port := uint16(porttest.Reserve(t, 1)[0]) // nobody else listens on it afterwards
		address := fmt.Sprint(host, ":", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // without IPv6
			continue
		}
		if pid, err := listener(port); err != nil || pid != os.Getpid() {
			t.Errorf("%s: %d, %v", address, pid, err)
		}
		l.Close()
		if pid, err := listener(port); err == nil {
			t.Errorf("%s, closed: %d", address, pid)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	port := porttest.Reserve(t, 1)[0]
	for want, args := range map[string][]string{
		"usage":         {"kill"},
		"there is no":   {"hup", ":3000"},
		"is no port":    {"kill", "localhost"},
		"listens on po": {"kill", fmt.Sprint(":", port)},
	} {
		if err := run(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
