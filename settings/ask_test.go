package settings

import (
	"io"
	"strings"
	"testing"
)

func TestAskURL(t *testing.T) {
	for args, want := range map[string]string{
		"-healthcheck":                                                   "http://127.0.0.1:3000/healthz",
		"-healthcheck=ready -addr 0.0.0.0:80":                            "http://127.0.0.1:80/readyz",
		"-healthcheck -addr :http":                                       "http://127.0.0.1:80/healthz",
		"-healthcheck -addr [::]:80":                                     "http://[::1]:80/healthz",
		"-healthcheck -addr 10.0.0.1:80":                                 "http://10.0.0.1:80/healthz",
		"-healthcheck -addr :443 -tls-domain a.example":                  "https://127.0.0.1:443/healthz",
		"-healthcheck -addr :443 -tls-cert c -tls-key k":                 "https://127.0.0.1:443/healthz",
		"-healthcheck -tls-domain a.example -metrics-addr 10.0.0.1:9100": "http://10.0.0.1:9100/healthz",
	} {
		set, err := Read(strings.Fields(args), none, io.Discard)
		if got := set.AskURL(); err != nil || got != want {
			t.Errorf("%s asks %s, %v; want %s", args, got, err, want)
		}
	}
	if _, err := Read([]string{"-healthcheck=often"}, none, io.Discard); err == nil || !strings.Contains(err.Error(), "=ready") {
		t.Errorf("-healthcheck=often: %v", err)
	}
}
