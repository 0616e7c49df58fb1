package tests

import (
	"io"
	"net/http"
	"testing"

	"echows/internal/programtest"
)

// ask sends a request of a method, with headers, and returns the answer and its body as it came.
func ask(t *testing.T, method, url string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := (&http.Client{Transport: http.DefaultTransport, Timeout: programtest.Patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

// HEAD is answered as GET is, without a body.
func TestHead(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	for path, want := range map[string]int{
		"/": 200, "/chat": 200, "/chat/kitchen": 200, "/rooms": 200, "/style.css": 200, "/local.js": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200,
		"/nowhere": 404, "/chat/Kitchen": 404, "/session": 401, "/chat/lobby/messages": 401, "/ws": 426,
	} {
		res, body := ask(t, "HEAD", p.URL+path, nil)
		if res.StatusCode != want || len(body) != 0 {
			t.Errorf("HEAD %s: %s, %d bytes", path, res.Status, len(body))
		}
		same, _ := ask(t, "GET", p.URL+path, nil)
		for _, name := range []string{"Content-Type", "ETag", "Content-Security-Policy", "Cache-Control"} {
			if res.StatusCode == 200 && res.Header.Get(name) != same.Header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, with GET %q", path, name, res.Header.Get(name), same.Header.Get(name))
			}
		}
	}
}

// Parts of a file are parts of what it is, and fit together.
func TestPartsAreNotCompressed(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	compressed := http.Header{"Accept-Encoding": {"gzip"}}
	res, _ := ask(t, "GET", p.URL+"/style.css", compressed)
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the whole is not compressed: %s", res.Header)
	}
	_, whole := ask(t, "GET", p.URL+"/style.css", http.Header{"Accept-Encoding": {"identity"}})
	var parts []byte
	for _, some := range []string{"bytes=0-1499", "bytes=1500-"} {
		compressed.Set("Range", some)
		res, part := ask(t, "GET", p.URL+"/style.css", compressed)
		if res.StatusCode != http.StatusPartialContent || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s, %s", some, res.Status, res.Header)
		}
		parts = append(parts, part...)
	}
	if string(parts) != string(whole) {
		t.Errorf("parts of %d bytes make %d", len(whole), len(parts))
	}
}
