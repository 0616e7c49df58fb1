package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/net/websocket"
)

// A session that is over has no connections.
func TestASessionEndsWithItsConnections(t *testing.T) {
	secret := strings.Repeat("s", 32)
	p := startProgram(t, "-secret", secret)
	end := time.Now().Add(2 * time.Second)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "echows", "sub": "somebody", "name": "ana", "exp": jwt.NewNumericDate(end),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	ana := &person{t: t, url: p.url, token: token}
	m, _ := ana.join("lobby", "")
	for err == nil {
		var s said
		err = websocket.JSON.Receive(m.conn, &s)
	}
	if time.Until(end) > 1100*time.Millisecond { // the token's end is in whole seconds
		t.Errorf("the connection ends before its session: %v", err)
	}
	ana.ask("GET", "/session", "", http.StatusUnauthorized, nil)
}

// Who has no session uses up nobody's posts.
func TestPostsWithoutASessionCostTheAddressNothing(t *testing.T) {
	p := startProgram(t, "-address-posts", "2", "-address-rate", "1000")
	ana := signIn(t, p.url, "ana")
	nobody := &person{t: t, url: p.url}
	for range 60 {
		nobody.ask("POST", "/chat/lobby/messages", `{"id":"1","text":"text"}`, http.StatusUnauthorized, nil)
	}
	m, _ := ana.join("lobby", "")
	m.post("1", "text")
	m.await("ack")
}
