package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// With -metrics-addr the numbers are there and nowhere else, and whether the process lives and is ready on both.
func TestMetricsOnAnAddressOfTheirOwn(t *testing.T) {
	cert, key, _ := certificate(t)
	p := startProgram(t, "-metrics-addr", "127.0.0.1:0", "-tls-cert", cert, "-tls-key", key) // which is plain HTTP all the same
	inner := "http://" + p.log.find(t, `msg="listening for metrics" address=`)
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/": 404, "/chat": 404, "/ws": 404, "/socket.io/?EIO=4&transport=polling": 404} {
		if res, body := get(t, inner+path); res.StatusCode != want || path == "/metrics" && !strings.Contains(body, "\nechows_") {
			t.Errorf("%s there: %s", path, res.Status)
		}
	}
	if res, err := http.Post(inner+"/metrics", "text/plain", nil); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %v %v", res, err)
	} else {
		res.Body.Close()
	}

	q := startProgram(t, "-metrics-addr", "127.0.0.1:0")
	for path, want := range map[string]int{"/metrics": 404, "/healthz": 200, "/readyz": 200} {
		if res, _ := get(t, q.url+path); res.StatusCode != want {
			t.Errorf("%s on -addr: %s", path, res.Status)
		}
	}
	inner = "http://" + q.log.find(t, `msg="listening for metrics" address=`)
	q.end()
	if res, err := http.Get(inner + "/healthz"); err == nil {
		t.Errorf("after the end it answers %s", res.Status)
	}
}

// -healthcheck says with its exit code whether the server of the same settings lives.
func TestHealthcheck(t *testing.T) {
	cert, key, _ := certificate(t)
	ask := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(context.Background(), args, func(string) string { return "" }, &out)
		return code, out.String()
	}
	p := startProgram(t, "-tls-cert", cert, "-tls-key", key)
	addr := strings.TrimPrefix(p.url, "https://")
	for _, check := range []string{"-healthcheck", "-healthcheck=ready"} {
		if code, out := ask(check, "-addr", addr, "-tls-cert", cert, "-tls-key", key); code != 0 || out != "" {
			t.Errorf("%s: %d, %s", check, code, out)
		}
	}
	if code, out := ask("-healthcheck", "-addr", addr); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("without TLS: %d, %s", code, out)
	}
	p.end()
	if code, out := ask("-healthcheck", "-addr", addr, "-tls-cert", cert, "-tls-key", key); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("after its end: %d, %s", code, out)
	}
	if code, _ := ask("-healthcheck=often"); code != 2 {
		t.Errorf("-healthcheck=often: %d", code)
	}
}

// A data folder that is removed is life, and no readiness.
func TestHealthcheckWithoutADataFolder(t *testing.T) {
	dir := t.TempDir() + "/data"
	p := startProgram(t, "-data", dir, "-metrics-addr", "127.0.0.1:0")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(p.url, "http://")
	end := time.Now().Add(patience)
	for ready := 0; ready == 0; { // it is noticed within a moment
		if time.Now().After(end) {
			t.Fatal("the server without its folder is ready")
		}
		var out bytes.Buffer
		ready = run(context.Background(), []string{"-healthcheck=ready", "-addr", addr}, func(string) string { return "" }, &out)
	}
	var out bytes.Buffer
	if code := run(context.Background(), []string{"-healthcheck", "-addr", addr}, func(string) string { return "" }, &out); code != 0 {
		t.Errorf("-healthcheck: %d, %s", code, &out)
	}
}
