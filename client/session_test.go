package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"echows/chat"
	"echows/ws"
)

func TestSessionsOfAChat(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	old := join(t, s.url(), "lobby", ChatConfig{Token: "of another server", Name: "ana"}) // signs in
	old.post("hello")
	if m := old.expect("hello"); m.From != "ana" {
		t.Errorf("from %q", m.From)
	}
	for _, c := range []struct {
		room   string
		config ChatConfig
		status int
	}{
		{"lobby", ChatConfig{Token: "of another server"}, http.StatusUnauthorized},
		{"lobby", ChatConfig{Name: strings.Repeat("n", 33)}, http.StatusBadRequest},
		{"No Room", ChatConfig{Name: "ana"}, http.StatusNotFound},
		{"a/b", ChatConfig{Name: "ana"}, http.StatusNotFound},
		{"..", ChatConfig{Name: "ana"}, 0},
		{"", ChatConfig{Name: "ana"}, 0},
		{"lobby", ChatConfig{}, 0},
	} {
		g := join(t, s.url(), c.room, c.config)
		if _, err := g.Post(t.Context(), "not to be"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("%s, %+v: posted with %v", c.room, c.config, err)
		}
		wait(t, g.Done())
		var refused *ws.HandshakeError
		if err := g.Err(); err == nil || c.status != 0 && (!errors.As(err, &refused) || refused.StatusCode != c.status) {
			t.Errorf("%s, %+v: ended with %v", c.room, c.config, err)
		}
	}
	bad := join(t, "localhost", "lobby", ChatConfig{Name: "ana"})
	wait(t, bad.Done())
	if bad.Err() == nil {
		t.Error("a server without an address")
	}
}

// Tickets that are good for nothing, as those of a server that lost them, are asked for anew, but not forever.
func TestTicketsThatAreRefused(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	s.spoiled.Store(true)
	g := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	wait(t, g.Done())
	var refused *ws.HandshakeError
	if !errors.As(g.Err(), &refused) || refused.StatusCode != http.StatusUnauthorized || s.tickets.Load() != mostRefused {
		t.Errorf("ended with %v after %d tickets", g.Err(), s.tickets.Load())
	}
}
