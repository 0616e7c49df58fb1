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

// Live returns a handler that always answers 200: the process is alive.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

// Ready returns a handler that answers 200 if ready returns nil, and 503 with the text of its error, which says what is
// missing, otherwise.
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
	json.NewEncoder(w).Encode(body) // an error means that the client has left
}

// askTime is the timeout of Ask.
const askTime = 5 * time.Second

// Ask asks a server on this machine, by the URL of Live or Ready, whether it is alive or ready. It returns nil if the server
// answers 200 within 5 s, and an error with the answer otherwise. It does not check the certificate of an https: URL, since
// it sends no secrets. It asks for the certificate of domain, unless that is "".
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
