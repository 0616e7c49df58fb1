package ws_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// dialed is a client of ours whose messages and end a test waits for.
type dialed struct {
	*ws.Socket
	got   chan string
	ended chan ending
}

func dialOurs(t *testing.T, url string, cfg ws.DialConfig) *dialed {
	t.Helper()
	d := &dialed{got: make(chan string, 100), ended: make(chan ending, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	d.Socket, err = ws.Dial(ctx, url, cfg, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { d.got <- m.Opcode.String() + " " + m.Text(); return nil })
		s.OnClose(func(code ws.CloseCode, reason string) { d.ended <- ending{code, reason} })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(ws.CloseNormal, ""); wait(t, d.Done()) })
	return d
}

func TestDial(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WSWithConfig("/echo", func(s *ws.Socket, c echo.Context) error {
			if c.Request().Header.Get("Authorization") != "Bearer x" {
				return errors.New("no header")
			}
			return echoBack(s, c)
		}, ws.RouteConfig{Subprotocols: []string{"v2"}})
	})
	d := dialOurs(t, "ws://"+addr+"/echo?q=1", ws.DialConfig{
		Header:       http.Header{"Authorization": {"Bearer x"}},
		Subprotocols: []string{"v1", "v2"},
	})
	if d.Subprotocol() != "v2" || d.Route() != nil || d.Request().URL.Query().Get("q") != "1" || d.RemoteAddr() != addr {
		t.Errorf("%v speaks %q", d, d.Subprotocol())
	}
	large := strings.Repeat("large ", 50_000)
	for _, send := range []error{d.SendText("Hello"), d.SendBinary([]byte{1}), d.SendText(large), d.SendContext(t.Context(), ws.Message{Opcode: ws.Text}), d.TrySend(ws.Message{Opcode: ws.Text, Data: []byte("tried")})} {
		if send != nil {
			t.Error(send)
		}
	}
	for _, want := range []string{"text Hello", "binary \x01", "text " + large, "text ", "text tried"} {
		if got := wait(t, d.got); got != want {
			t.Errorf("got %.40q, want %.40q", got, want)
		}
	}
	d.Close(4000, "enough")
	if got := wait(t, d.ended); got != (ending{4000, "enough"}) {
		t.Errorf("ended with %v", got)
	}
}

func TestDialIsRefused(t *testing.T) {
	_, addr := serve(t, ws.Config{}, echoRoute)
	_, err := ws.Dial(t.Context(), "ws://"+addr+"/none", ws.DialConfig{}, func(*ws.Socket) error { return nil })
	var refused *ws.HandshakeError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound || !strings.Contains(string(refused.Body), "Not Found") {
		t.Errorf("got %v", err)
	}
	if _, err := ws.Dial(t.Context(), "ws://ana:secret@127.0.0.1:1/x?ticket=secret", ws.DialConfig{}, nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	for _, url := range []string{"ftp://x", "ws:", "ws://127.0.0.1:1", "%"} {
		if _, err := ws.Dial(t.Context(), url, ws.DialConfig{}, nil); err == nil || !strings.HasPrefix(err.Error(), "ws: dial "+url) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// All of compression's ways, from our client to our server and back.
func TestCompression(t *testing.T) {
	texts := []string{"short", strings.Repeat("a long text, ", 100), strings.Repeat("x", 300_000), strings.Repeat(`{"some":"json","n":12345},`, 40), ""}
	for _, mode := range []ws.Compression{ws.CompressionOff, ws.CompressionOn, ws.CompressionContext} {
		_, addr := serve(t, ws.Config{Compression: mode}, func(e *echo.Echo, app *ws.App) {
			echoRoute(e, app)
			app.WS("/all", func(s *ws.Socket, c echo.Context) error { s.OnMessage(s.Broadcast); return nil })
		})
		for _, path := range []string{"/echo", "/all"} {
			for _, ours := range []ws.Compression{ws.CompressionOff, ws.CompressionOn, ws.CompressionContext} {
				d := dialOurs(t, "ws://"+addr+path, ws.DialConfig{Compression: ours})
				if d.IsCompressed() != (mode != ws.CompressionOff && ours != ws.CompressionOff) {
					t.Errorf("%v and %v: compressed is %v", mode, ours, d.IsCompressed())
				}
				for range 3 {
					for _, text := range texts {
						if err := d.SendText(text); err != nil {
							t.Fatal(err)
						}
						if got := wait(t, d.got); got != "text "+text {
							t.Fatalf("%v and %v: got %.40q, want %.40q", mode, ours, got, text)
						}
					}
				}
			}
		}
	}
}
