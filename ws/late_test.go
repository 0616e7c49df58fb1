package ws_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// A peer that sends on and on behind our close frame is not read as fast as it sends, whether we wait for its answer or
// for it to go.
func TestAPeerThatDoesNotStop(t *testing.T) {
	refuse := func(s *ws.Socket, _ echo.Context) error {
		s.OnMessage(func(ws.Message) error { return &ws.CloseError{Code: ws.ClosePolicyViolation} })
		return nil
	}
	for name, sent := range map[string]struct{ first, then string }{
		"messages":            {whole(opText, "x"), whole(opBinary, strings.Repeat("x", 60<<10))},
		"fragments":           {whole(opText, "x") + part(opBinary, "x"), part(opContinuation, strings.Repeat("x", 60<<10))},
		"pings":               {whole(opText, "x"), strings.Repeat(whole(opPing, strings.Repeat("x", 100)), 600)},
		"after a broken rule": {whole(3, ""), strings.Repeat("x", 60<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, ws.Config{MaxMessage: 1 << 30, MaxBuffered: 1 << 32}, refuse, func(t *testing.T, app *ws.App, l pipes) {
				p := l.dial(t, "/")
				p.send(sent.first)
				go io.Copy(io.Discard, p.conn)
				start, total := time.Now(), 0
				for {
					n, err := io.WriteString(p.conn, sent.then)
					if total += n; err != nil {
						break
					}
					if total > 100<<20 {
						t.Error("it is read as fast as it sends")
						p.conn.Close()
						break
					}
				}
				if took := time.Since(start); took > 5*time.Second || total > 10<<20 {
					t.Errorf("%d bytes were read in %v", total, took)
				}
			})
		})
	}
}
