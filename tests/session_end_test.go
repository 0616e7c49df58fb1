package tests

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

// When a session ends, so do its connections.
func TestASessionEndsWithItsConnections(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	p := programtest.Start(t, "-secret", secret)
	end := time.Now().Add(15 * time.Second) // enough for a busy machine to join before
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "echows", "sub": "somebody", "name": "ana", "exp": jwt.NewNumericDate(end),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	ana := &person{t: t, url: p.URL, token: token}
	m, _ := ana.join("lobby", "")
	for err == nil {
		var s said
		err = websocket.JSON.Receive(m.conn, &s)
	}
	if time.Until(end) > 1100*time.Millisecond { // the token's expiry is in whole seconds
		t.Errorf("the connection ends before its session: %v", err)
	}
	ana.ask("GET", "/session", "", http.StatusUnauthorized, nil)
}

// Requests without a session do not use up the posts of their address.
func TestPostsWithoutASessionCostTheAddressNothing(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-address-posts", "2", "-address-rate", "1000")
	ana := signIn(t, p.URL, "ana")
	nobody := &person{t: t, url: p.URL}
	for range 60 {
		nobody.ask("POST", "/chat/lobby/messages", `{"id":"1","text":"text"}`, http.StatusUnauthorized, nil)
	}
	m, _ := ana.join("lobby", "")
	m.post("1", "text")
	m.await("ack")
}
