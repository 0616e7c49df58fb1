package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/websocket"

	"echows/settings"
)

// What people write, and what lets them in, is not for the log, whatever becomes of it.
func TestTheLogHasNoTextsAndNoSecrets(t *testing.T) {
	p := startProgram(t, "-log-level", "debug", "-post-rate", "1")
	const marker = "marker-of-a-text"
	ana := signIn(t, p.url, "ana")
	secrets := []string{marker, ana.token, ana.token[strings.LastIndexByte(ana.token, '.')+1:]}
	ticket := ana.ticket()
	secrets = append(secrets, ticket, ticket[strings.IndexByte(ticket, '.')+1:])
	conn, err := ana.dial("lobby", ticket, "")
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t, conn}
	m.post("stored", marker)
	m.await("ack")
	for _, said := range []string{
		marker,                      // no JSON
		`{"` + marker + `":1}`,      // of no type
		`{"type":"` + marker + `"}`, // of another
		`{"type":"post","id":"1","text":"a","` + marker + `":1}`,
		`{"type":"post","id":"1","` + marker + `":1,"` + marker + `":1}`,
		`{"type":"post","id":"` + marker + "\u0000" + `","text":"a"}`,
		`{"type":"post","id":"2","text":"` + strings.Repeat(marker, 200) + `"}`,
		`{"type":"post","id":"3","text":"` + strings.Repeat(marker, 2000) + `"}`,
	} {
		if err := websocket.Message.Send(conn, said); err != nil {
			t.Fatal(err)
		}
		m.await("error")
	}
	for _, body := range []string{marker, `{"id":"4","` + marker + `":1}`, `{"id":"5","text":"` + marker + `"}`, `{"id":"6","text":"` + marker + `"}`} {
		ana.request("lobby", strings.NewReader(body), nil)
	}
	for _, again := range []string{ticket, marker + "." + marker} { // one that is used, and one of no node
		if conn, err := ana.dial("lobby", again, ""); err == nil {
			conn.Close()
			t.Errorf("%s lets in", again)
		}
	}
	ana.ask("GET", "/chat/lobby/messages", "", http.StatusOK, nil)
	ana.ask("DELETE", "/session", "", http.StatusNoContent, nil)
	ana.ask("GET", "/session", "", http.StatusUnauthorized, nil)
	(&person{t: t, url: p.url, token: marker}).ask("GET", "/session", "", http.StatusUnauthorized, nil)
	p.log.find(t, "code=bad_json")
	p.end()
	for line := range strings.Lines(p.log.String()) {
		for i, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("secret %d is in the log: %s", i, line)
			}
		}
	}
}

// A line on a connection has its id: the one that it was opened with.
func TestLinesOfAConnectionHaveItsID(t *testing.T) {
	p := startProgram(t)
	m, _ := signIn(t, p.url, "ana").join("lobby", "")
	id := p.log.find(t, `msg="socket opened" id=`)
	if err := websocket.Message.Send(m.conn, "no JSON"); err != nil {
		t.Fatal(err)
	}
	m.await("error")
	if got := p.log.find(t, "msg=refused id="); got != id {
		t.Errorf("what %s said is logged as of %s", id, got)
	}
	m.conn.Close()
	if got := p.log.find(t, `msg="socket closed" id=`); got != id {
		t.Errorf("%s is closed as %s", id, got)
	}
}

// So has a line on a request, by the id that its answer has, which no client chooses.
func TestLinesOfARequestHaveItsID(t *testing.T) {
	p := startProgram(t)
	ana := signIn(t, p.url, "ana")
	seen := map[string]bool{}
	for range 2 {
		req, err := http.NewRequest("POST", p.url+"/chat/lobby/messages", strings.NewReader("no JSON"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + ana.token}, "X-Request-Id": {"chosen"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		id := res.Header.Get("X-Request-Id")
		if len(id) < 10 || seen[id] {
			t.Errorf("an answer has the id %q", id)
		}
		seen[id] = true
		p.log.find(t, " id="+id+" ")
	}
	if strings.Contains(p.log.String(), "chosen") {
		t.Error("a client's own id is in the log")
	}
}

// A page for status 500 says that the log has more, and so it has.
func TestFaultsAreInTheLog(t *testing.T) {
	set, err := settings.Read([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, os.Getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	lines := &log{more: make(chan struct{}, 1)}
	logger, flush := set.Logger(lines)
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(logger)
	defer flush()
	s, err := start(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer s.Close()
	s.app.Echo().GET("/panics", func(echo.Context) error { panic("on purpose") })
	s.app.Echo().GET("/fails", func(echo.Context) error { return errors.New("the disk is full") })
	for path, want := range map[string]string{"/panics": `msg="a handler panicked" id=`, "/fails": `msg="a request failed" id=`} {
		res, err := http.Get(fmt.Sprint("http://", s.Addr(), path))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if id := lines.find(t, want); res.StatusCode != http.StatusInternalServerError || id != res.Header.Get("X-Request-Id") {
			t.Errorf("%s: %s, the id is %s, in the log %s", path, res.Status, res.Header.Get("X-Request-Id"), id)
		}
	}
}
