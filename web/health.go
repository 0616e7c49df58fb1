package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Live answers that the process lives.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

// Ready answers whether the process has what it needs: what ready returns is what is missing, or nil.
func Ready(ready func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "missing": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // to a client that may be gone
}

// askTime bounds Ask.
const askTime = 5 * time.Second

// Ask asks a server of this machine whether it lives, or is ready: nil says so, an error what it said instead. The
// certificate of an https: URL is not checked, as nothing is said that is secret; domain, where there is one, is whose the
// server is asked for.
func Ask(ctx context.Context, url, domain string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: domain},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, res.Status, bytes.TrimSpace(body))
	}
	return nil
}
