package socketio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/socketio"
	"echows/ws"
)

// logged is a log at all levels, as JSON.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

// entry is one line of the log.
type entry map[string]any

func (l *logged) entries(t testing.TB) (all []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.lines.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// of returns the lines with one message.
func of(all []entry, message string) []entry {
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e["msg"] != message })
}

// withLog returns a server and the log that it and its App write.
func withLog(t testing.TB) (*server, *logged) {
	l := &logged{}
	log := slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := &server{t: t, echo: echo.New()}
	s.echo.Logger.SetOutput(io.Discard)
	s.app = ws.New(s.echo, ws.Config{Logger: log})
	s.io = socketio.New(s.app, socketio.Config{Logger: log})
	return s, l
}

// Data that clients send in CONNECT and in events never appears in the log, whatever goes wrong with it.
func TestWhatClientsSayIsNotLogged(t *testing.T) {
	const marker = "s3cret"
	s, l := withLog(t)
	type named struct {
		Name int8   `json:"name"`
		Raw  []byte `json:"raw"`
	}
	s.io.Use(func(one *socketio.Socket) error { return one.Auth(&named{}) })
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "number", func(socketio.Event, named) error { return nil })
		one.On("by hand", func(e socketio.Event) error { return e.Arg(0).Decode(new(int)) })
		one.On("fails", func(e socketio.Event) error { return errors.New("failed") })
		one.On("panics", func(e socketio.Event) error { panic("on purpose") })
		return nil
	})
	sent := []string{
		`40{"name":"` + marker + `"}`, `40{"name":-47110815472342}`, `40{"raw":"` + marker + `"}`, `40{"` + marker, `40/` + `nowhere,{"name":"` + marker + `"}`,
		`42["number",{"name":"` + marker + `"}]`, `42["number",{"name":-47110815472342}]`, `42["number",{"raw":"` + marker + `!"}]`, `42["by hand","` + marker + `"]`,
		`421["unknown","` + marker + `"]`, `42["fails","` + marker + `"]`, `42["panics","` + marker + `"]`, `42["` + marker, `43["` + marker + `"]`,
		`451-["a","` + marker + `"]`, `4` + marker, marker, `b` + marker,
	}
	for _, packet := range sent {
		for _, connect := range []string{"", `40{"name":1}`} {
			sid := s.openCall()
			if connect != "" {
				s.call("POST", sid, connect)
				s.call("GET", sid, "")
			}
			s.call("POST", sid, packet)
			s.call("POST", sid, "1")
		}
	}
	s.close() // so that all lines are there
	l.mu.Lock()
	text := l.lines.String()
	l.mu.Unlock()
	for _, secret := range []string{marker, "47110815472342"} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q is in the log: %s", secret, text[max(i-300, 0):min(i+100, len(text))])
		}
	}
	for _, message := range []string{"session began", "session ended", "socket connected", "socket disconnected", "a connect was refused", "an event was refused", "an event's listener failed", "a callback panicked"} {
		if len(of(l.entries(t), message)) == 0 {
			t.Errorf("nothing is logged as %q: the markers were not tried there", message)
		}
	}
}

// All lines of a connection have one id.
func TestOneIDThroughAllLines(t *testing.T) {
	s, l := withLog(t)
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "number", func(socketio.Event, int) error { return nil })
		one.On("fails", func(e socketio.Event) error { return errors.New("failed") })
		return nil
	})
	s.serve()
	p, sid := s.connect()
	p.send(`42["number","x"]`, `42["fails"]`)
	p.read()
	p.expectClosed()
	s.close()
	ids := map[any]int{}
	for _, e := range l.entries(t) {
		ids[e["id"]]++
		if e["socket"] != nil && (e["socket"] != sid || e["namespace"] != "/") {
			t.Errorf("the socket is %v of %v in %v", e["socket"], e["namespace"], e)
		}
	}
	if len(ids) != 1 || ids[nil] != 0 {
		t.Errorf("the ids are %v in %v", ids, l.entries(t))
	}
	for _, message := range []string{"socket opened", "session began", "socket connected", "an event was refused", "an event's listener failed", "session ended", "socket disconnected", "socket closed"} {
		if n := len(of(l.entries(t), message)); n != 1 {
			t.Errorf("%d lines are %q", n, message)
		}
	}
}

// A polling session has a log id, too, which cannot be used to send requests for it.
func TestTheIDOfAPoller(t *testing.T) {
	s, l := withLog(t)
	defer s.close()
	c, _ := s.caller("")
	c.lose()
	ids := map[any]bool{}
	for _, e := range l.entries(t) {
		ids[e["id"]] = true
		if strings.Contains(fmt.Sprint(e), c.session) {
			t.Errorf("the session's id is in %v", e)
		}
	}
	if len(ids) != 1 || ids[nil] {
		t.Errorf("the ids are %v in %v", ids, l.entries(t))
	}
}

// No error is logged when a client leaves, whatever the application was doing with it.
func TestAClientThatLeftIsNoError(t *testing.T) {
	s, l := withLog(t)
	var leave func()
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("long", func(e socketio.Event) error {
			leave()
			<-one.Context().Done()
			return fmt.Errorf("ask: %w", one.Context().Err())
		})
		return nil
	})
	gone := func(begin func(c *caller)) {
		c, _ := s.caller("")
		leave = func() { s.io.Socket(c.sid).Disconnect(false) }
		begin(c)
	}
	gone(func(c *caller) { c.post("1") })
	gone(func(c *caller) { c.post("41") })
	gone(func(c *caller) { c.post(`42["long"]`) })
	gone(func(c *caller) { c.breakOff() })
	gone(func(c *caller) { // it asks for a session that has ended
		c.post("1")
		c.call("GET", c.session, "")
		c.call("GET", c.session, "")
	})
	s.close() // so that all lines are there
	for _, e := range l.entries(t) {
		if e["level"] == "WARN" || e["level"] == "ERROR" || e["msg"] == "session ended" && e["level"] != "DEBUG" {
			t.Errorf("a client that left is logged as %v", e)
		}
	}
}
