package tests

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

// The log never has the texts that people write, or their credentials, whether they are accepted or refused.
func TestTheLogHasNoTextsAndNoSecrets(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-log-level", "debug", "-post-rate", "1")
	const marker = "marker-of-a-text"
	ana := signIn(t, p.URL, "ana")
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
		marker,                      // not JSON
		`{"` + marker + `":1}`,      // without a type
		`{"type":"` + marker + `"}`, // of an unknown type
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
	for _, again := range []string{ticket, marker + "." + marker} { // a used ticket, and a ticket of no node
		if conn, err := ana.dial("lobby", again, ""); err == nil {
			conn.Close()
			t.Errorf("%s lets in", again)
		}
	}
	ana.ask("GET", "/chat/lobby/messages", "", http.StatusOK, nil)
	ana.ask("DELETE", "/session", "", http.StatusNoContent, nil)
	ana.ask("GET", "/session", "", http.StatusUnauthorized, nil)
	(&person{t: t, url: p.URL, token: marker}).ask("GET", "/session", "", http.StatusUnauthorized, nil)
	for body, status := range map[string]int{`{"name":"","` + marker + `":1}`: http.StatusBadRequest, marker: http.StatusUnsupportedMediaType} {
		kind := "application/json"
		if status == http.StatusUnsupportedMediaType {
			kind = "text/plain"
		}
		res, err := http.Post(p.URL+"/session?"+marker, kind, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		p.Log.Find(t, fmt.Sprintf("msg=request id=%s remote=127.0.0.1:", res.Header.Get("X-Request-Id")))
		p.Log.Find(t, fmt.Sprintf("method=POST path=/session status=%d took=", status))
	}
	p.Log.Find(t, "method=GET path=/ws/chat/lobby status=101 took=")
	p.Log.Find(t, "method=GET path=/ws/chat/lobby status=401 took=")
	p.Log.Find(t, "code=bad_json")
	p.End()
	for line := range strings.Lines(p.Log.String()) {
		for i, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("secret %d is in the log: %s", i, line)
			}
		}
	}
}

// A log line about a connection has the id of the line that was logged when it opened.
func TestLinesOfAConnectionHaveItsID(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	id := p.Log.Find(t, `msg="socket opened" id=`)
	if err := websocket.Message.Send(m.conn, "no JSON"); err != nil {
		t.Fatal(err)
	}
	m.await("error")
	if got := p.Log.Find(t, "msg=refused id="); got != id {
		t.Errorf("what %s said is logged as of %s", id, got)
	}
	m.conn.Close()
	if got := p.Log.Find(t, `msg="socket closed" id=`); got != id {
		t.Errorf("%s is closed as %s", id, got)
	}
}

// What was logged about the request that a connection began with has the id that the connection's first line names.
func TestAConnectionNamesItsRequest(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-log-level", "debug")
	signIn(t, p.URL, "ana").join("lobby", "")
	p.Log.Find(t, "status=101")
	p.Log.Find(t, `msg="socket opened" id=`)
	opened := regexp.MustCompile(`msg="socket opened" id=\S+ request=(\S+) `).FindStringSubmatch(p.Log.String())
	upgraded := regexp.MustCompile(`msg=request id=(\S+) remote=\S+ method=GET path=/ws/chat/lobby status=101 `).FindStringSubmatch(p.Log.String())
	if opened == nil || upgraded == nil || opened[1] != upgraded[1] {
		t.Errorf("the connection names %v, and the request is %v:\n%s", opened, upgraded, p.Log.String())
	}
}

// A log line about a request has the id in its answer, which clients cannot choose.
func TestLinesOfARequestHaveItsID(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana := signIn(t, p.URL, "ana")
	seen := map[string]bool{}
	for range 2 {
		req, err := http.NewRequest("POST", p.URL+"/chat/lobby/messages", strings.NewReader("no JSON"))
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
		p.Log.Find(t, " id="+id+" ")
	}
	if strings.Contains(p.Log.String(), "chosen") {
		t.Error("a client's own id is in the log")
	}
}
