package ws_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// serveTLS is serve by TLS.
func serveTLS(t *testing.T, cfg ws.Config, setup func(e *echo.Echo, app *ws.App)) (*ws.App, *httptest.Server) {
	t.Helper()
	cfg.PingInterval, cfg.Logger = time.Hour, slog.New(slog.DiscardHandler)
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	app := ws.New(e, cfg)
	setup(e, app)
	server := httptest.NewTLSServer(e)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
	})
	return app, server
}

func dialTLS(t *testing.T, server *httptest.Server, path string, header ...string) *peer {
	t.Helper()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: roots(server), ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return shake(t, conn, path, header...)
}

func roots(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}

func TestWireOverTLS(t *testing.T) {
	_, server := serveTLS(t, ws.Config{}, echoRoute)
	for _, c := range wireCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := dialTLS(t, server, "/echo")
			p.send(c.sent)
			p.expect(c.want...)
			if c.code != 0 {
				p.expectClose(c.code)
			}
		})
	}
}

// A connection of TLS parks, and reads on: from whole records, from parts of frames, and from many frames in one record.
func TestTLSParks(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	handler, ended := endings(func(s *ws.Socket, c echo.Context) error {
		sockets <- s
		return echoBack(s, c)
	})
	_, server := serveTLS(t, ws.Config{}, func(e *echo.Echo, app *ws.App) { app.WS("/", handler) })
	p := dialTLS(t, server, "/")
	s := wait(t, sockets)
	if s.TLS() == nil || s.LocalAddr() == nil {
		t.Error("the socket does not know its TLS")
	}
	message := whole(opText, "Hello")
	for cut := range len(message) {
		eventually(t, func() bool { ws.Tick(s); return s.Rests() })
		p.send(message[:cut])
		p.send(message[cut:] + strings.Repeat(message, 200))
		for range 201 {
			p.expect("text Hello")
		}
	}
	large := strings.Repeat("large ", 20_000)
	go io.WriteString(p.conn, whole(opText, large))
	p.expect("text " + large)
	eventually(t, func() bool { ws.Tick(s); return s.Rests() })
	p.conn.Close()
	if got := wait(t, ended); got.code != ws.CloseAbnormal {
		t.Errorf("got %v", got)
	}
}

// By TLS, pages that came without it are foreign.
func TestOriginsByTLS(t *testing.T) {
	_, server := serveTLS(t, ws.Config{}, echoRoute)
	ask := func(origin string) int {
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: roots(server), ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request("/echo", "Origin: "+origin))
		status := make([]byte, len("HTTP/1.1 101"))
		io.ReadFull(conn, status)
		return int(status[9]-'0')*100 + int(status[10]-'0')*10 + int(status[11]-'0')
	}
	for origin, want := range map[string]int{"https://example.com": 101, "http://example.com": 403, "https://foe.example": 403, "wss://example.com": 101} {
		if got := ask(origin); got != want {
			t.Errorf("%s: %d", origin, got)
		}
	}
}

func TestDialByTLS(t *testing.T) {
	_, server := serveTLS(t, ws.Config{Compression: ws.CompressionOn}, echoRoute)
	url := strings.Replace(server.URL, "https", "wss", 1) + "/echo"
	if _, err := ws.Dial(t.Context(), url, ws.DialConfig{}, func(*ws.Socket) error { return nil }); err == nil {
		t.Error("a certificate that nobody knows was taken")
	}
	d := dialOurs(t, url, ws.DialConfig{TLS: &tls.Config{RootCAs: roots(server), ServerName: "example.com"}, Compression: ws.CompressionOn})
	text := strings.Repeat("by TLS ", 10_000)
	if err := d.SendText(text); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, d.got); got != "text "+text {
		t.Errorf("got %.40q", got)
	}
}
