package socketio_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

// clients maps the name of each served script to a text that it must contain.
var clients = map[string]string{
	"socket.io.js":         "Socket.IO v4.8.4",
	"socket.io.min.js":     "Socket.IO v4.8.4",
	"socket.io.esm.min.js": "Socket.IO v4.8.4",
	"small.js":             "export function io(",
	"LICENSE":              "Copyright (c) 2014-present Guillermo Rauch",
}

// fetch requests a script. headers are names and values in turn.
func (s *server) fetch(method, name string, headers ...string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+"/socket.io/"+name, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity") // unless headers sets another; Go would add its own
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, body
}

func TestScripts(t *testing.T) {
	s := start(t, socketio.Config{})
	for name, part := range clients {
		kind := "text/javascript; charset=utf-8"
		if name == "LICENSE" {
			kind = "text/plain; charset=utf-8"
		}
		plain, body := s.fetch("GET", name)
		if plain.StatusCode != 200 || plain.Header.Get("Content-Type") != kind || !bytes.Contains(body, []byte(part)) {
			t.Errorf("%s: %s, %v: %.80s", name, plain.Status, plain.Header, body)
		}
		if plain.Header.Get("Content-Encoding") != "" || plain.ContentLength != int64(len(body)) {
			t.Errorf("%s: %v", name, plain.Header)
		}
		packed, zipped := s.fetch("GET", name, "Accept-Encoding", "gzip")
		if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Content-Type") != kind ||
			packed.ContentLength != int64(len(zipped)) || len(zipped) > len(body)*2/3 {
			t.Errorf("%s: %d bytes of %d, %v", name, len(zipped), len(body), packed.Header)
		}
		unpack, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			t.Fatal(err)
		}
		if same, err := io.ReadAll(unpack); err != nil || !bytes.Equal(same, body) {
			t.Errorf("%s is another one when it is unpacked: %v", name, err)
		}
		for _, res := range []*http.Response{plain, packed} {
			h := res.Header
			if h.Get("Cache-Control") != "public, max-age=0, must-revalidate" || h.Get("Vary") != "Accept-Encoding" || h.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %v", name, h)
			}
			if tag := h.Get("ETag"); len(tag) < 10 || tag[0] != '"' || tag[len(tag)-1] != '"' {
				t.Errorf("%s: no strong ETag: %q", name, tag)
			}
		}
		if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
			t.Errorf("%s: one ETag for two encodings", name)
		}
		for _, encoding := range []string{"identity", "gzip"} {
			res, body := s.fetch("HEAD", name, "Accept-Encoding", encoding)
			want := plain
			if encoding == "gzip" {
				want = packed
			}
			if res.StatusCode != 200 || len(body) != 0 || res.ContentLength != want.ContentLength || res.Header.Get("ETag") != want.Header.Get("ETag") {
				t.Errorf("HEAD of %s: %s, %v", name, res.Status, res.Header)
			}
		}
	}
	if res, _ := s.fetch("GET", "socket.io.msgpack.min.js"); res.StatusCode == 200 {
		t.Error("there is a script that is not embedded")
	}
}

func TestScriptsAreNotSentTwice(t *testing.T) {
	s := start(t, socketio.Config{})
	res, _ := s.fetch("GET", "small.js")
	tag := res.Header.Get("ETag")
	res, _ = s.fetch("GET", "small.js", "Accept-Encoding", "gzip")
	packed := res.Header.Get("ETag")
	for _, c := range []struct {
		encoding, match string
		status          int
	}{
		{"identity", tag, 304},
		{"gzip", packed, 304},
		{"identity", "W/" + tag, 304},
		{"identity", `"other", ` + tag, 304},
		{"gzip", `"a,b",W/"c" , W/` + packed, 304},
		{"identity", "*", 304},
		{"identity", `"other"`, 200},
		{"identity", packed, 200}, // another encoding is another representation
		{"gzip", tag, 200},
		{"identity", strings.Trim(tag, `"`), 200},
		{"identity", "", 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			res, body := s.fetch(method, "small.js", "Accept-Encoding", c.encoding, "If-None-Match", c.match)
			if res.StatusCode != c.status || res.StatusCode == 304 && len(body) > 0 {
				t.Errorf("%s with %s and If-None-Match: %s: %s", method, c.encoding, c.match, res.Status)
			}
			h := res.Header
			if res.StatusCode == 304 && (h.Get("ETag") == "" || h.Get("Vary") == "" || h.Get("Cache-Control") == "" || h.Get("Access-Control-Allow-Origin") == "") {
				t.Errorf("a 304 has to have the headers that a 200 would have: %v", h)
			}
		}
	}
}

func TestScriptsAreCompressedForWhoWantsIt(t *testing.T) {
	s := start(t, socketio.Config{})
	for accept, want := range map[string]bool{
		"":                                 false,
		"gzip":                             true,
		"GZIP":                             true,
		"gzip, deflate, br, zstd":          true,
		"br;q=1.0, gzip;q=0.8, *;q=0.1":    true,
		"deflate":                          false,
		"gzip;q=0":                         false,
		"gzip; Q=0.000":                    false,
		"gzip ; q=0.001":                   true,
		"gzip;q=0.5, identity":             false,
		"gzip;q=0.5, identity;q=0.5":       true,
		"gzip;q=1, identity;q=0.5, *;q=0":  true,
		"*":                                true,
		"*;q=0":                            false,
		"gzip;q=0, *":                      false,
		"identity;q=0":                     false, // nothing else is left, but gzip was not asked for
		"gzip;q=NaN":                       false,
		"gzip;q=":                          false,
		"gzip;level=9":                     false,
		"deflate;q=0.9,,gzip;q=0.3,   ,br": true,
	} {
		res, _ := s.fetch("GET", "small.js", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding: %s: compressed %v", accept, got)
		}
	}
	res, body := s.fetch("GET", "small.js", "Range", "bytes=0-9")
	if res.StatusCode != 206 || len(body) != 10 {
		t.Errorf("a range is answered with %s and %d bytes", res.Status, len(body))
	}
}

// Path works with and without a slash at its end.
func TestScriptsOfAnotherPath(t *testing.T) {
	for _, path := range []string{"/events", "/events/"} {
		e := echo.New()
		server := socketio.New(ws.New(e, ws.Config{}), socketio.Config{Path: path})
		defer server.Close()
		res := httptest.NewRecorder()
		e.ServeHTTP(res, httptest.NewRequest("GET", "/events/small.js", nil))
		if res.Code != 200 {
			t.Errorf("%s: %d", path, res.Code)
		}
	}
}

// nodeProgram returns the path of Node. If Node or the packages of official are not installed, the test is skipped, or, if
// ECHOWS_NODE is "required", as in CI, fails.
func nodeProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if _, missing := os.Stat("official/node_modules"); err != nil || missing != nil {
		if os.Getenv("ECHOWS_NODE") == "required" {
			t.Fatal("no Node, or no packages, and ECHOWS_NODE requires them: cd socketio/official && npm ci")
		}
		t.Skip("no Node, or no packages: cd socketio/official && npm ci")
	}
	return path
}

// The embedded scripts are identical to the published ones, in the version that is documented beside them.
func TestTheOfficialFilesAreUnchanged(t *testing.T) {
	nodeProgram(t)
	const from, to = "official/node_modules/socket.io-client", "socket.io-client"
	for name := range clients {
		if name == "small.js" {
			continue
		}
		published := filepath.Join(from, "dist", name)
		if name == "LICENSE" {
			published = filepath.Join(from, name)
		}
		if got, want := read(t, filepath.Join(to, name)), read(t, published); !bytes.Equal(got, want) {
			t.Errorf("%s is not the published one", name)
		}
	}
	var about struct{ Version string }
	if err := json.Unmarshal(read(t, filepath.Join(from, "package.json")), &about); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(read(t, filepath.Join(to, "README.md")), []byte("`socket.io-client` "+about.Version)) {
		t.Errorf("%s/README.md names another version than %s", to, about.Version)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The small client runs alone in a simulated page, and with a server.
func TestTheSmallClient(t *testing.T) {
	program := nodeProgram(t)
	s := start(t, socketio.Config{Recovery: 2 * time.Minute})
	serveOfficial(s.io)
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "ask text", func(e socketio.Event, text string) error {
			go func() { // the answer is read by this socket's own goroutine
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				one.EmitWithAck(ctx, "question", text)
				one.Broadcast().Emit("asked")
			}()
			return nil
		})
		one.OnDisconnect(func(string) { s.io.Emit("left") })
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--test-reporter=tap", "small.test.mjs", s.url).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# skipped 0") {
		t.Errorf("%v:\n%s", err, out)
	}
}
