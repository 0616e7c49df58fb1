package exercise

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// node starts a server whose /readyz has this status.
func node(t *testing.T, status int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// frozen accepts connections, as the operating system does for a process that is stopped, and never answers.
func frozen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// gone is an address where nobody listens.
func gone(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func wants(t *testing.T, nodes []string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if got := Ready(ctx, nodes); !slices.Equal(got, want) {
		t.Errorf("of %v these are said to be ready: %v, want %v", nodes, got, want)
	}
}

func TestAll(t *testing.T) {
	a, b := node(t, http.StatusOK), node(t, http.StatusOK)
	wants(t, []string{a, b}, a, b)
}

func TestUnavailable(t *testing.T) {
	a, b := node(t, http.StatusServiceUnavailable), node(t, http.StatusOK)
	wants(t, []string{a, b}, b)
}

func TestGone(t *testing.T) {
	a, b := gone(t), node(t, http.StatusOK)
	wants(t, []string{a, b}, b)
}

// The frozen ones come first: if the others are asked only afterwards, the time is over.
func TestFrozen(t *testing.T) {
	a, b, c := frozen(t), frozen(t), node(t, http.StatusOK)
	wants(t, []string{a, b, c}, c)
}
