package tests

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

func TestPostsByRequest(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	var me struct{ Mark string }
	ana.ask("GET", "/session", "", http.StatusOK, &me)
	m, _ := bea.join("lobby", "")

	first := ana.say("lobby", "a", "hello 😀")
	if first.Status != http.StatusCreated || first.ID != "a" || first.Seq == 0 {
		t.Errorf("answered %+v", first)
	}
	got := m.await("message")
	if got.Seq != first.Seq || got.ID != "a" || got.From != "ana" || got.Mark != me.Mark || got.Text != "hello 😀" || got.At.IsZero() || me.Mark == "" {
		t.Errorf("a member got %+v; the poster's mark is %q", got, me.Mark)
	}
	if again := ana.say("lobby", "a", "hello 😀"); again.Status != http.StatusOK || again.ID != "a" || again.Seq != first.Seq {
		t.Errorf("again: %+v", again)
	}
	// The same id over a socket is the same message, but from another user it is another message.
	own, history := ana.join("lobby", "")
	if len(history.Messages) != 1 || history.Messages[0].Mark != me.Mark {
		t.Errorf("history %+v", history)
	}
	own.post("a", "hello 😀")
	if again := own.await("ack"); again.Seq != first.Seq {
		t.Errorf("by a socket it is acknowledged as %+v", again)
	}
	if other := bea.say("lobby", "a", "hello"); other.Status != http.StatusCreated || other.Seq <= first.Seq {
		t.Errorf("another's: %+v", other)
	}
	var page struct{ Messages []said }
	res := ana.ask("GET", "/chat/lobby/messages", "", http.StatusOK, &page)
	if len(page.Messages) != 2 || page.Messages[0].Mark != me.Mark || page.Messages[1].Mark == me.Mark || page.Messages[1].Mark == "" {
		t.Errorf("the messages are %+v", page.Messages)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("messages may be cached: %q", got)
	}
	// A room without members accepts posts, too.
	if got := ana.say("nobody-here", "a", "hello"); got.Status != http.StatusCreated {
		t.Errorf("where nobody is: %+v", got)
	}
	if _, history := bea.join("nobody-here", ""); len(history.Messages) != 1 {
		t.Errorf("who comes finds %+v", history)
	}
	if _, body := programtest.Get(t, p.URL+"/metrics"); !strings.Contains(body, "echows_chat_rooms 2\n") {
		t.Error("not two rooms are open, as two are used")
	}
}

func TestPostsByRequestThatAreRefused(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-post-rate", "10000")
	ana := signIn(t, p.URL, "ana")
	nobody := &person{t: t, url: p.URL}
	for _, c := range []struct {
		name   string
		who    *person
		room   string
		body   string
		header map[string]string
		status int
		code   string
		id     string
	}{
		{"nothing", ana, "lobby", ``, nil, 400, "bad_json", ""},
		{"no JSON", ana, "lobby", `hello`, nil, 400, "bad_json", ""},
		{"no object", ana, "lobby", `["1","a"]`, nil, 400, "bad_json", ""},
		{"two", ana, "lobby", `{"id":"1","text":"a"} {"id":"2","text":"b"}`, nil, 400, "bad_json", ""},
		{"a field twice", ana, "lobby", `{"id":"1","id":"2","text":"a"}`, nil, 400, "bad_json", ""},
		{"a field too many", ana, "lobby", `{"type":"post","id":"1","text":"a"}`, nil, 400, "bad_json", ""},
		{"another case", ana, "lobby", `{"ID":"1","text":"a"}`, nil, 400, "bad_json", ""},
		{"no UTF-8", ana, "lobby", "{\"id\":\"1\",\"text\":\"\xff\"}", nil, 400, "bad_json", ""},
		{"no id", ana, "lobby", `{"text":"a"}`, nil, 400, "bad_id", ""},
		{"a long id", ana, "lobby", `{"id":"` + strings.Repeat("i", 65) + `","text":"a"}`, nil, 400, "bad_id", ""},
		{"no text", ana, "lobby", `{"id":"1"}`, nil, 400, "bad_text", "1"},
		{"a blank text", ana, "lobby", `{"id":"1","text":" \n"}`, nil, 400, "bad_text", "1"},
		{"a long text", ana, "lobby", `{"id":"1","text":"` + strings.Repeat("é", 2001) + `"}`, nil, 400, "bad_text", "1"},
		{"a very long text", ana, "lobby", `{"id":"1","text":"` + strings.Repeat("a", 16<<10) + `"}`, nil, 413, "bad_json", ""},
		{"no content type", ana, "lobby", `{"id":"1","text":"a"}`, map[string]string{"Content-Type": ""}, 415, "bad_json", ""},
		{"another content type", ana, "lobby", `{"id":"1","text":"a"}`, map[string]string{"Content-Type": "application/jsonp"}, 415, "bad_json", ""},
		{"a form", ana, "lobby", `{"id":"1","text":"a"}`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, "bad_json", ""},
		{"no room", ana, "Lobby", `{"id":"1","text":"a"}`, nil, 404, "", ""},
		{"nobody", nobody, "lobby", `{"id":"1","text":"a"}`, nil, 401, "", ""},
		{"a foreign page", ana, "lobby", `{"id":"1","text":"a"}`, map[string]string{"Origin": "https://foe.example"}, 403, "", ""},
		{"its own page", ana, "lobby", `{"id":"1","text":"a"}`, map[string]string{"Origin": p.URL, "Content-Type": "Application/JSON; charset=utf-8"}, 201, "", "1"},
	} {
		got := c.who.request(c.room, strings.NewReader(c.body), c.header)
		if got.Status != c.status || got.Code != c.code || got.ID != c.id || (got.Message == "") != (got.Status == 201) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	// The request need not have a Content-Length.
	if got := ana.request("lobby", io.MultiReader(strings.NewReader(`{"id":"2","text":"`), strings.NewReader(strings.Repeat("a", 16<<10))), nil); got.Status != 413 {
		t.Errorf("a very long text of no length: %+v", got)
	}
	p.Log.Find(t, "code=bad_text")
	// A request with a large Content-Length is refused before its body is sent.
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(programtest.Patience))
	fmt.Fprintf(conn, "POST /chat/lobby/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{",
		strings.TrimPrefix(p.URL, "http://"), ana.token)
	if answer, _ := io.ReadAll(conn); !bytes.HasPrefix(answer, []byte("HTTP/1.1 413 ")) {
		t.Errorf("a gigabyte is answered with %.100q", answer)
	}
	if _, history := ana.join("lobby", ""); len(history.Messages) != 1 {
		t.Errorf("stored is %+v", history.Messages)
	}
}

// The limit on a session's posts also applies to requests.
func TestASessionPostsTooMuch(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-post-rate", "0.001") // with a burst of one
	ana := signIn(t, p.URL, "ana")
	if got := ana.say("lobby", "1", "hello"); got.Status != http.StatusCreated {
		t.Errorf("the first: %+v", got)
	}
	if got := ana.say("lobby", "2", "hello"); got.Status != http.StatusTooManyRequests || got.Code != "rate_limited" || got.RetryAfter != "1" || got.Message == "" {
		t.Errorf("the second: %+v", got)
	}
	if got := signIn(t, p.URL, "bea").say("lobby", "2", "hello"); got.Status != http.StatusCreated {
		t.Errorf("another's: %+v", got)
	}
}

// All posts of an address, by requests and sockets, share one limit. It does not affect other addresses.
func TestAnAddressPostsTooMuch(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-address-posts", "0.6", "-trusted-proxies", "127.0.0.1") // with a burst of six
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	one, _ := ana.join("lobby", "")
	two, _ := bea.join("lobby", "")
	for i, post := range []func(id string){
		func(id string) { one.post(id, "hello"); one.await("ack") },
		func(id string) { two.post(id, "hello"); two.await("ack") },
		func(id string) { ana.say("lobby", id, "hello") },
	} {
		post(fmt.Sprint(2 * i))
		post(fmt.Sprint(2*i + 1))
	}
	long := strings.Repeat("語", 2000)
	two.post("more", long)
	if got := two.await("error"); got.Code != "rate_limited" || got.ID != "more" {
		t.Errorf("by a socket: %+v", got)
	}
	if got := ana.say("lobby", "more", "hello"); got.Status != http.StatusTooManyRequests || got.Code != "rate_limited" || got.RetryAfter != "1" {
		t.Errorf("by a request: %+v", got)
	}
	if got := ana.request("lobby", strings.NewReader(`{"id":"far","text":"away"}`), map[string]string{"X-Forwarded-For": "203.0.113.9"}); got.Status != http.StatusCreated {
		t.Errorf("of another address: %+v", got)
	}
	p.Log.Find(t, "code=rate_limited")
}

func TestNoLimitOfAnAddress(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-address-posts", "0", "-post-rate", "100000", "-sync", "1s")
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	const posts = 2500 // more than the default burst
	go func() {
		for i := range posts {
			websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(i), "text": "hello"})
		}
	}()
	for acks := 0; acks < posts; {
		switch s := m.next(); s.Type {
		case "ack":
			acks++
		case "error":
			t.Fatalf("after %d: %+v", acks, s)
		}
	}
}

// Messages that are too long are refused without being read in full. The connection stays open, until there are too many.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	long := strings.Repeat("a", 17<<10)
	for _, c := range []struct{ sent, code, id string }{
		{`{"type":"post","id":"1","text":"` + long + `"}`, "bad_text", "1"},
		{`{"id":"2","text":"` + long + `","type":"post"}`, "bad_text", "2"},
		{`{"text":"` + long + `","id":"3","type":"post"}`, "bad_text", ""},
		{`{"type":"dance","id":"4","text":"` + long + `"}`, "bad_json", ""},
		{`{"type":"post","id":"` + long + `"}`, "bad_json", ""},
		{`{"type":"post","id":"5"}` + strings.Repeat(" ", 17<<10), "bad_json", "5"},
		{`{"type":"post","id":{"id":"6"},"text":"` + long + `"}`, "bad_json", ""},
		{long, "bad_json", ""},
	} {
		if err := websocket.Message.Send(m.conn, c.sent); err != nil {
			t.Fatal(err)
		}
		if got := m.await("error"); got.Code != c.code || got.ID != c.id || !strings.Contains(got.Message, "16 KiB") {
			t.Errorf("%.40s: %+v", c.sent, got)
		}
	}
	m.post("good", strings.Repeat("<", 2000)) // Go encodes each as six bytes
	m.await("ack")
	longest := strings.Repeat("a", 1<<20)
	refused := 0
	for websocket.Message.Send(m.conn, longest) == nil {
		if _, err := m.read(); err != nil {
			break
		}
		refused++
	}
	if refused < 1 || refused > 10 { // including other messages received in the meantime
		t.Errorf("%d messages of 1 MiB are refused", refused)
	}
	m.conn.Close() // otherwise the server waits for the answer to its close frame
	p.Log.Find(t, "code=1008")
}

// A client that leaves is not a server error, even if its last posts are not stored.
func TestWhoLeavesIsNoFault(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana := signIn(t, p.URL, "ana")
	var all sync.WaitGroup
	for range 40 {
		ticket := ana.ticket()
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			config, err := websocket.NewConfig("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/chat/lobby?ticket="+ticket, p.URL)
			if err != nil {
				t.Error(err)
				return
			}
			m, err := websocket.NewClient(config, conn)
			if err != nil {
				t.Error(err)
				return
			}
			m.SetDeadline(time.Now().Add(programtest.Patience))
			for i := range 30 {
				fmt.Fprintf(m, `{"type":"post","id":"%d","text":"bye"}`, i)
			}
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close() // while answers are on their way
		})
	}
	all.Wait()
	p.End()
	for line := range strings.Lines(p.Log.String()) {
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "did not end in time") { // the shutdown may log this
			t.Fatal(line)
		}
	}
}
