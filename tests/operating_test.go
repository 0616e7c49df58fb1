package tests

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"echows/internal/certtest"
	"echows/internal/programtest"
)

// With -metrics-addr, metrics are served only on that address, and health checks on both.
func TestMetricsOnAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	cert, key, _ := certtest.Files(t)
	p := programtest.Start(t, "-metrics-addr", "127.0.0.1:0", "-tls-cert", cert, "-tls-key", key) // metrics still use plain HTTP
	inner := "http://" + p.Log.Find(t, `msg="listening for metrics" address=`)
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/": 404, "/chat": 404, "/ws": 404, "/socket.io/?EIO=4&transport=polling": 404} {
		if res, body := programtest.Get(t, inner+path); res.StatusCode != want || path == "/metrics" && !strings.Contains(body, "\nechows_") {
			t.Errorf("%s there: %s", path, res.Status)
		}
	}
	if res, err := http.Post(inner+"/metrics", "text/plain", nil); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %v %v", res, err)
	} else {
		res.Body.Close()
	}

	q := programtest.Start(t, "-metrics-addr", "127.0.0.1:0")
	for path, want := range map[string]int{"/metrics": 404, "/healthz": 200, "/readyz": 200} {
		if res, _ := programtest.Get(t, q.URL+path); res.StatusCode != want {
			t.Errorf("%s on -addr: %s", path, res.Status)
		}
	}
	inner = "http://" + q.Log.Find(t, `msg="listening for metrics" address=`)
	q.End()
	if res, err := http.Get(inner + "/healthz"); err == nil {
		t.Errorf("after the end it answers %s", res.Status)
	}
}

// The exit code of -healthcheck says whether the server with the same settings is alive.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	cert, key, _ := certtest.Files(t)
	p := programtest.Start(t, "-tls-cert", cert, "-tls-key", key)
	addr := strings.TrimPrefix(p.URL, "https://")
	for _, check := range []string{"-healthcheck", "-healthcheck=ready"} {
		if code, out := programtest.Run(t, check, "-addr", addr, "-tls-cert", cert, "-tls-key", key); code != 0 || out != "" {
			t.Errorf("%s: %d, %s", check, code, out)
		}
	}
	if code, out := programtest.Run(t, "-healthcheck", "-addr", addr); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("without TLS: %d, %s", code, out)
	}
	p.End()
	if code, out := programtest.Run(t, "-healthcheck", "-addr", addr, "-tls-cert", cert, "-tls-key", key); code != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("after its end: %d, %s", code, out)
	}
	if code, _ := programtest.Run(t, "-healthcheck=often"); code != 2 {
		t.Errorf("-healthcheck=often: %d", code)
	}
}

// A server whose data folder was removed is alive, but not ready.
func TestHealthcheckWithoutADataFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	p := programtest.Start(t, "-data", dir, "-metrics-addr", "127.0.0.1:0")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(p.URL, "http://")
	comesTrue(t, func() (string, bool) { // the server notices it a moment later
		code, _ := programtest.Run(t, "-healthcheck=ready", "-addr", addr)
		return "the server without its folder is ready", code != 0
	})
	if code, out := programtest.Run(t, "-healthcheck", "-addr", addr); code != 0 {
		t.Errorf("-healthcheck: %d, %s", code, out)
	}
}

// -version prints one line on the standard output, regardless of other settings.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-version"}, {"--version"}, {"-data", "nowhere", "-version"}} {
		cmd := programtest.Command(t, args...)
		cmd.Env = append(cmd.Env, "MAX_MESSAGE=lots")
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "echows ") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}
