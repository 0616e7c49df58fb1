package tests

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
	"echows/views"
)

// HEAD is answered like GET, but without a body.
func TestHead(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	for path, want := range map[string]int{
		"/": 200, "/chat": 200, "/chat/kitchen": 200, "/rooms": 200, "/style.css": 200, "/local.js": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200,
		"/nowhere": 404, "/chat/Kitchen": 404, "/session": 401, "/chat/lobby/messages": 401, "/ws": 426,
	} {
		res, body := programtest.Request(t, "HEAD", p.URL+path, nil)
		if res.StatusCode != want || len(body) != 0 {
			t.Errorf("HEAD %s: %s, %d bytes", path, res.Status, len(body))
		}
		same, _ := programtest.Request(t, "GET", p.URL+path, nil)
		for _, name := range []string{"Content-Type", "ETag", "Content-Security-Policy", "Cache-Control"} {
			if res.StatusCode == 200 && res.Header.Get(name) != same.Header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, with GET %q", path, name, res.Header.Get(name), same.Header.Get(name))
			}
		}
	}
}

// Range requests return parts of the uncompressed file, which fit together.
func TestPartsAreNotCompressed(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	compressed := http.Header{"Accept-Encoding": {"gzip"}}
	res, _ := programtest.Request(t, "GET", p.URL+"/style.css", compressed)
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the whole is not compressed: %s", res.Header)
	}
	_, whole := programtest.Request(t, "GET", p.URL+"/style.css", http.Header{"Accept-Encoding": {"identity"}})
	var parts []byte
	for _, some := range []string{"bytes=0-1499", "bytes=1500-"} {
		compressed.Set("Range", some)
		res, part := programtest.Request(t, "GET", p.URL+"/style.css", compressed)
		if res.StatusCode != http.StatusPartialContent || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s, %s", some, res.Status, res.Header)
		}
		parts = append(parts, part...)
	}
	if string(parts) != string(whole) {
		t.Errorf("parts of %d bytes make %d", len(whole), len(parts))
	}
}

func TestPagesAndRefusals(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	for _, c := range []struct {
		path   string
		status int
		kind   string
		body   string
	}{
		{"/", 200, "text/html; charset=UTF-8", "Click here to start receiving messages."},
		{"/", 200, "text/html; charset=UTF-8", `id="websocket-button"`},
		{"/local.js", 200, "text/javascript; charset=utf-8", "returnText"},
		{"/connection.js", 200, "text/javascript; charset=utf-8", "onclose"},
		{"/style.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"},
		{"/icon.svg", 200, "image/svg+xml", "<svg"},
		{"/healthz", 200, "application/json", `{"status":"ok"}`},
		{"/readyz", 200, "application/json", `{"status":"ok"}`},
		{"/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "echows_topics 0"},
		{"/chat", 200, "text/html; charset=UTF-8", `id="composer"`},
		{"/chat/kitchen-2", 200, "text/html; charset=UTF-8", `id="composer"`},
		{"/chat/Kitchen", 404, "application/json", "1 to 64"},
		{"/chat.js", 200, "text/javascript; charset=utf-8", "pending"},
		{"/rooms", 200, "text/html; charset=UTF-8", `id="namespaces"`},
		{"/socket.io/socket.io.js", 200, "text/javascript; charset=utf-8", "Socket.IO v4"},
		{"/socket.io/small.js", 200, "text/javascript; charset=utf-8", "export function io"},
		{"/socket.io/?EIO=4&transport=polling", 200, "text/plain; charset=UTF-8", `0{"sid":"`},
		{"/ws", 426, "application/json", `{"message":"`},
		{"/ws/echo", 426, "application/json", `{"message":"`},
		{"/nowhere", 404, "application/json", `{"message":"Not Found"}`},
		{"/index.html", 404, "application/json", `{"message":"Not Found"}`},
		{"/views.go", 404, "application/json", `{"message":"Not Found"}`},
	} {
		res, body := programtest.Get(t, p.URL+c.path)
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != c.kind || !strings.Contains(body, c.body) {
			t.Errorf("%s: %s, %s: %.200s", c.path, res.Status, res.Header.Get("Content-Type"), body)
		}
		if got := res.Header.Get("Content-Security-Policy"); got != views.Policy || strings.Contains(got, "unsafe") {
			t.Errorf("%s: policy %q", c.path, got)
		}
	}
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(p.URL, "http")+"/ws", "https://foe.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := websocket.DialConfig(config); err == nil {
		t.Error("a foreign origin was let in")
	}
}

// A browser that has a file or a page cached does not receive it again; another one receives it compressed.
func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	for _, path := range []string{"/chat.js", "/", "/chat", "/chat/kitchen", "/rooms"} {
		file := func(header, value string) (*http.Response, int) {
			res, body := programtest.Request(t, "GET", p.URL+path, http.Header{header: {value}})
			return res, len(body)
		}
		plain, size := file("Accept-Encoding", "identity")
		packed, less := file("Accept-Encoding", "gzip")
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" || less > size/2 {
			t.Errorf("%s: %d bytes, compressed %d", path, size, less)
		}
		tag := plain.Header.Get("ETag")
		if tag == "" || tag != packed.Header.Get("ETag") || plain.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: headers: %v", path, plain.Header)
		}
		if again, n := file("If-None-Match", tag); again.StatusCode != http.StatusNotModified || n != 0 {
			t.Errorf("%s asked again: %d, %d bytes", path, again.StatusCode, n)
		}
		if other, _ := file("If-None-Match", `W/"another"`); other.StatusCode != http.StatusOK {
			t.Errorf("%s asked with another: %d", path, other.StatusCode)
		}
	}
}

// Only a trusted proxy is believed when it says that a request came over TLS.
func TestTLSInFrontOfTheServer(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		args   []string
		secure bool
	}{{nil, false}, {[]string{"-trusted-proxies", "127.0.0.1"}, true}} {
		p := programtest.Start(t, one.args...)
		req, err := http.NewRequest("POST", p.URL+"/session", strings.NewReader(`{"name":"ana"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-Proto", "https")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cookies, stays := res.Cookies(), res.Header.Get("Strict-Transport-Security") != ""
		if len(cookies) != 1 || cookies[0].Secure != one.secure || strings.HasPrefix(cookies[0].Name, "__Host-") != one.secure || stays != one.secure {
			t.Errorf("%v: %v, stays secure: %v", one.args, cookies, stays)
		}
	}
}
