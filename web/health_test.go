package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	var missing error
	mux := http.NewServeMux()
	mux.Handle("/healthz", Live())
	mux.Handle("/readyz", Ready(func(context.Context) error { return missing }))
	s := serve(t, Config{Handler: mux})
	look := func(path string, status int, body string) {
		t.Helper()
		res, err := http.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, _ := io.ReadAll(res.Body)
		if res.StatusCode != status || strings.TrimSpace(string(got)) != body || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %s %s", path, res.Status, res.Header.Get("Content-Type"), got)
		}
	}
	look("/healthz", 200, `{"status":"ok"}`)
	look("/readyz", 200, `{"status":"ok"}`)
	missing = errors.New("the disk")
	look("/healthz", 200, `{"status":"ok"}`)
	look("/readyz", 503, `{"missing":"the disk","status":"unavailable"}`)
}

func TestAsk(t *testing.T) {
	missing := errors.New("the disk")
	mux := http.NewServeMux()
	mux.Handle("/healthz", Live())
	mux.Handle("/readyz", Ready(func(context.Context) error { return missing }))
	plain := serve(t, Config{Handler: mux})
	secure := serve(t, Config{Handler: mux, TLS: pair(t)})
	for url, want := range map[string]string{
		"http://" + plain.Addr().String() + "/healthz":   "",
		"https://" + secure.Addr().String() + "/healthz": "",
		"http://" + plain.Addr().String() + "/readyz":    "503 Service Unavailable: {\"missing\":\"the disk\"",
		"http://" + secure.Addr().String() + "/healthz":  "400 Bad Request",
		"http://127.0.0.1:1/healthz":                     "refused",
	} {
		err := Ask(t.Context(), url, "")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
