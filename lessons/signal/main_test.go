package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestListener(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // without IPv6
			continue
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
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
