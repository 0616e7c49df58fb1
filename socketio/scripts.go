package socketio

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// files are the official browser client with its license, and our own small client, which is meant to be read.
//
//go:embed socket.io-client/*.js socket.io-client/LICENSE small.js
var files embed.FS

// served are the names of the files to serve below the server's path.
var served = []string{
	"socket.io-client/socket.io.js",
	"socket.io-client/socket.io.min.js",
	"socket.io-client/socket.io.esm.min.js",
	"socket.io-client/LICENSE",
	"small.js",
}

// serveScripts mounts the browser clients below root: socket.io.js, the other files in its directory, and small.js. Pages of
// any origin may load them; the server checks the origin when a page connects.
func serveScripts(e *echo.Echo, root string) {
	root = strings.TrimSuffix(root, "/") + "/"
	for _, name := range served {
		load := sync.OnceValue(func() script { return loadScript(name) })
		e.Match([]string{http.MethodGet, http.MethodHead}, root+path.Base(name), func(c echo.Context) error {
			load().serve(c.Response(), c.Request())
			return nil
		})
	}
}

// script is a file, plain and compressed.
type script struct {
	kind          string // its Content-Type
	plain, packed []byte
	tag           string // without its quotes
}

// loadScript reads an embedded file and compresses it. It panics on failure, which would be a bug.
func loadScript(name string) script {
	plain, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	kind := "text/javascript; charset=utf-8"
	if path.Ext(name) != ".js" {
		kind = "text/plain; charset=utf-8"
	}
	return script{kind, plain, packed.Bytes(), fmt.Sprintf("%x", sha256.Sum256(plain))[:32]}
}

// serve responds with the script, compressed if the client accepts gzip. A browser caches the script but revalidates it each
// time, so that it uses the script of a new server version immediately.
func (s script) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", s.kind)
	header.Set("Cache-Control", "public, max-age=0, must-revalidate")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Add("Vary", "Accept-Encoding")
	body, tag := s.plain, s.tag
	if takesGzip(r.Header) {
		body, tag = s.packed, s.tag+"-gzip"
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(body))) // ServeContent does not set it if Content-Encoding is set
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body)) // handles If-None-Match, ranges and HEAD
}

// takesGzip reports whether Accept-Encoding allows gzip and does not prefer an uncompressed answer (RFC 9110, 12.5.3).
func takesGzip(header http.Header) bool {
	weights := map[string]float64{}
	for one := range strings.SplitSeq(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		coding, parameter, weighted := strings.Cut(one, ";")
		weight := 1.0
		if weighted {
			name, value, _ := strings.Cut(parameter, "=")
			var err error
			weight, err = strconv.ParseFloat(strings.TrimSpace(value), 64)
			if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil {
				continue // an invalid weight allows nothing
			}
		}
		weights[strings.ToLower(strings.TrimSpace(coding))] = weight
	}
	weight := func(coding string) float64 {
		if w, ok := weights[coding]; ok {
			return w
		}
		return weights["*"]
	}
	return weight("gzip") > 0 && weight("gzip") >= weight("identity")
}
