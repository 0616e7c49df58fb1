package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// lines are what was logged.
type lines struct {
	mu     sync.Mutex
	logged bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logged.Write(p)
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logged.String()
}

// find returns the first line that has all parts, and waits for it.
func (l *lines) find(t *testing.T, parts ...string) (line string) {
	t.Helper()
	eventually(t, func() bool {
		for line = range strings.Lines(l.String()) {
			if hasAll(line, parts) {
				return true
			}
		}
		return false
	})
	return line
}

func hasAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// count is how many lines have all parts.
func (l *lines) count(parts ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		if hasAll(line, parts) {
			n++
		}
	}
	return n
}

// A client that leaves is nothing to worry about, however it does it; and each line about a connection has its id.
func TestALeavingClientIsNoError(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, leave := range map[string]func(p *peer){
		"with 1000":           func(p *peer) { p.send(closing(1000, "")) },
		"with 1001":           func(p *peer) { p.send(closing(1001, "")) },
		"with no code":        func(p *peer) { p.send(whole(opClose, "")) },
		"without a frame":     func(p *peer) { p.conn.Close() },
		"within a frame":      func(p *peer) { p.send(whole(opText, "half")[:8]); p.conn.Close() },
		"with a reset":        func(p *peer) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() },
		"while it is sent to": func(p *peer) { p.send(whole(opText, "send")); p.expect("text " + large); p.conn.Close() },
		"without reading":     func(p *peer) { p.send(whole(opText, "send")) },
		"while it waits":      func(p *peer) { p.send(whole(opText, "wait")); p.expect("text waits"); p.conn.Close() },
		"with a broken rule":  func(p *peer) { p.send(whole(3, "")) },
	} {
		t.Run(name, func(t *testing.T) {
			log := new(lines)
			handler, ended := endings(func(s *ws.Socket, _ echo.Context) error {
				s.OnMessage(func(m ws.Message) error {
					switch m.Text() {
					case "send":
						for {
							if err := s.SendText(large); err != nil {
								return fmt.Errorf("it failed: %w", err)
							}
						}
					case "wait":
						s.SendText("waits")
						<-s.Done()
						return fmt.Errorf("it failed: %w", context.Cause(s.Context()))
					}
					return nil
				})
				return nil
			})
			_, addr := serve(t, ws.Config{Logger: log.logger(), WriteTimeout: 200 * time.Millisecond}, func(e *echo.Echo, app *ws.App) { app.WS("/:room", handler) })
			leave(dial(t, addr, "/lobby?ticket=secret", "Authorization: Bearer secret", "Cookie: session=secret"))
			wait(t, ended)
			line := log.find(t, "socket closed", "path=/lobby", "code=")
			id := line[strings.Index(line, "id="):strings.Index(line, " remote=")]
			all := log.String()
			for line := range strings.Lines(all) {
				if !strings.Contains(line, id) {
					t.Errorf("without %s: %s", id, line)
				}
			}
			for _, word := range []string{"level=WARN", "level=ERROR", "secret", "ticket", "xxx"} {
				if strings.Contains(all, word) {
					t.Errorf("%s is in the log:\n%s", word, all)
				}
			}
		})
	}
}

// A failed send means that another client has left; any other failure is an error.
func TestFailuresOfCallbacksInTheLog(t *testing.T) {
	log := new(lines)
	sockets := make(chan *ws.Socket, 2)
	_, addr := serve(t, ws.Config{Logger: log.logger()}, func(e *echo.Echo, app *ws.App) {
		var other atomic.Pointer[ws.Socket]
		app.WS("/other", func(s *ws.Socket, _ echo.Context) error { other.Store(s); sockets <- s; return nil })
		app.WS("/", func(s *ws.Socket, _ echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if m.Text() == "relay" {
					return other.Load().Send(m)
				}
				return errors.New("the disk is full")
			})
			return nil
		})
	})
	p := dial(t, addr, "/other")
	other := wait(t, sockets)
	p.conn.Close()
	<-other.Done()
	q := dial(t, addr, "/")
	q.send(whole(opText, "relay"))
	q.expect("close 1011 internal error")
	log.find(t, "level=INFO", "callback failed", " id=")
	q = dial(t, addr, "/")
	q.send(whole(opText, "x"))
	q.expect("close 1011 internal error")
	log.find(t, "level=ERROR", "callback failed", "the disk is full", " id=")
	if n := log.count("level=ERROR"); n != 1 {
		t.Errorf("%d errors", n)
	}
}

// A callback that fails since its socket is being closed is no error; one that fails for another reason meanwhile is.
func TestFailuresOfCallbacksOfAClosingSocket(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		err   error
		level string
	}{
		"closed":   {fmt.Errorf("it failed: %w", ws.ErrClosed), "DEBUG"},
		"canceled": {fmt.Errorf("it failed: %w", canceled.Err()), "DEBUG"},
		"a fault":  {errors.New("it failed: the disk is full"), "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(lines)
			_, addr := serve(t, ws.Config{Logger: log.logger()}, func(e *echo.Echo, app *ws.App) {
				app.WS("/", func(s *ws.Socket, _ echo.Context) error {
					s.Close(ws.CloseNormal, "enough")
					return c.err
				})
			})
			p := dial(t, addr, "/")
			p.expect("close 1000 enough")
			p.send(closing(1000, ""))
			log.find(t, "socket closed", "code=1000")
			if log.count("level="+c.level, "callback failed", "it failed") != 1 || log.count("level=ERROR") > 0 && c.level != "ERROR" {
				t.Error(log)
			}
		})
	}
	log := new(lines)
	_, addr := serve(t, ws.Config{Logger: log.logger()}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(*ws.Socket, echo.Context) error { return canceled.Err() })
	})
	dial(t, addr, "/").expect("close 1011 internal error")
	log.find(t, "level=ERROR", "callback failed", "context canceled") // whatever was cancelled, the client is there
}

// A message's content is not logged.
func TestMessagesInTheLog(t *testing.T) {
	log := new(lines)
	for m, want := range map[*ws.Message]string{
		{Opcode: ws.Text, Data: []byte("my secret")}: `m="9 bytes of text"`,
		{Opcode: ws.Binary, Data: []byte{1, 2}}:      `m="2 bytes of binary"`,
	} {
		log.logger().Info("got", "m", *m)
		log.find(t, want)
	}
	if strings.Contains(log.String(), "secret") {
		t.Error(log)
	}
}
