package settings

import (
	"io"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		":3000": true, "127.0.0.1:0": true, "[::1]:443": true, "localhost:http": true, "example.internal:80": true,
		"nonsense": false, "": false, ":": false, "127.0.0.1:": false, "127.0.0.1": false, ":-1": false, ":65536": false, ":x": false, "::1:80": false,
	} {
		_, err := Read([]string{"-addr", addr}, none, io.Discard)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "as in :3000") {
			t.Errorf("-addr %q: %v", addr, err)
		}
	}
}

// Each refusal names its flag, and what to write instead.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"-keep-time", "3x", "30d"},
		{"-keep-time", "500ms", "the minimum is 1s"},
		{"-ping", "50ms", "the minimum is 100ms"},
		{"-recovery", "61m", "1h"},
		{"-max-message", "1025MiB", "the maximum is 1024MiB"},
		{"-keep-bytes", "1023KiB", "the minimum is 1MiB"},
		{"-keep-messages", "0", "1 to 10000"},
		{"-secret", "fifteen bytes..", "16 bytes"},
		{"-sockets", "-1", "0, for no limit"},
		{"-message-rate", "1000001", "a million"},
		{"-address-posts", "NaN", "a million"},
		{"-address-events", "-1", "a million"},
		{"-post-rate", "0", "more than 0"},
		{"-address-rate", "Inf", "at most a million"},
		{"-log", "xml", "text or json"},
		{"-data", "", "folder"},
		{"-replicas", "3", "add -nats"},
		{"-tls-cert", "c.pem", "go together"},
	} {
		_, err := Read([]string{c.flag, c.value}, none, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.flag) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %q: %v", c.flag, c.value, err)
		}
	}
}
