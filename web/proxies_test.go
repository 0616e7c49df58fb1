package web

import (
	"crypto/tls"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

func TestStaySecure(t *testing.T) {
	e := echo.New()
	e.Use(StaySecure(ws.New(e, ws.Config{})))
	e.GET("/", func(echo.Context) error { return nil })
	for host, want := range map[string]bool{
		"example.com": true, "example.com:443": true, "localhost.example.com": true, "localhost.example.com:8443": true, "[::1]:443": true,
		"localhost": false, "localhost:3000": false, "LOCALHOST:3000": false,
	} {
		for _, secure := range []bool{true, false} {
			r := httptest.NewRequest("GET", "/", nil)
			if r.Host = host; secure {
				r.TLS = new(tls.ConnectionState)
			}
			answer := httptest.NewRecorder()
			e.ServeHTTP(answer, r)
			if got := answer.Header().Get(echo.HeaderStrictTransportSecurity) != ""; got != (want && secure) {
				t.Errorf("%s, by TLS %v: it is to stay so: %v", host, secure, got)
			}
		}
	}
}
