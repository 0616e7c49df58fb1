package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/natstest"
	"echows/internal/programtest"
)

// said is anything the chat says.
type said struct {
	Type     string
	Seq      uint64
	ID       string
	From     string
	Mark     string
	Text     string
	At       time.Time
	Messages []said
	Complete bool
	More     bool
	Count    int
	People   []struct{ Name, Mark string }
	Code     string
	Message  string
}

// person is somebody with a session.
type person struct {
	t     testing.TB
	url   string
	token string
}

// ask sends a request as this person, and expects a status.
func (p *person) ask(method, path, body string, want int, answer any) *http.Response {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		p.t.Fatalf("%s %s: %s: %s", method, path, res.Status, data)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return res
}

func signIn(t testing.TB, url, name string) *person {
	t.Helper()
	p := &person{t: t, url: url}
	var got struct{ Token, Name string }
	body, _ := json.Marshal(map[string]string{"name": name})
	p.ask("POST", "/session", string(body), http.StatusCreated, &got)
	p.token = got.Token
	return p
}

func (p *person) ticket() string {
	p.t.Helper()
	var got struct {
		Ticket    string
		ExpiresIn int
	}
	p.ask("POST", "/ticket", "", http.StatusCreated, &got)
	if got.ExpiresIn != 30 {
		p.t.Errorf("a ticket lives for %d seconds", got.ExpiresIn)
	}
	return got.Ticket
}

// member is a person's connection to a room.
type member struct {
	t    testing.TB
	conn *websocket.Conn
}

// join connects, and returns the history as well, all of its pages. query is such as "&after=5".
func (p *person) join(room, query string) (*member, said) {
	p.t.Helper()
	conn, err := p.dial(room, p.ticket(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	m := &member{t: p.t, conn: conn}
	return m, m.history()
}

// history reads the pages of what was missed.
func (m *member) history() said {
	m.t.Helper()
	all := said{More: true}
	for pages := 0; all.More; pages++ {
		data, page := []byte(nil), said{}
		if err := websocket.Message.Receive(m.conn, &data); err != nil {
			m.t.Fatal(err)
		}
		if err := json.Unmarshal(data, &page); err != nil || page.Type != "history" {
			m.t.Fatalf("page %d is %.200s", pages, data)
		}
		if len(data) > 256<<10 || len(page.Messages) > 500 {
			m.t.Errorf("page %d has %d messages and %d bytes", pages, len(page.Messages), len(data))
		}
		if pages > 0 && page.Complete != all.Complete {
			m.t.Errorf("page %d says complete %v, those before %v", pages, page.Complete, all.Complete)
		}
		page.Messages = append(all.Messages, page.Messages...)
		all = page
	}
	return all
}

func (p *person) dial(room, ticket, query string) (*websocket.Conn, error) {
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(p.url, "http")+"/ws/chat/"+room+"?ticket="+ticket+query, "", p.url)
	if err == nil {
		conn.SetDeadline(time.Now().Add(programtest.Patience))
	}
	return conn, err
}

func (m *member) next() said {
	m.t.Helper()
	s, err := m.read()
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *member) read() (s said, err error) {
	err = websocket.JSON.Receive(m.conn, &s)
	return s, err
}

// await returns the next thing said that is of the type.
func (m *member) await(kind string) said {
	m.t.Helper()
	for {
		if s := m.next(); s.Type == kind {
			return s
		}
	}
}

func (m *member) send(v any) {
	m.t.Helper()
	if err := websocket.JSON.Send(m.conn, v); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) post(id, text string) {
	m.t.Helper()
	m.send(map[string]string{"type": "post", "id": id, "text": text})
}

// awaitCount waits for a presence of so many.
func (m *member) awaitCount(n int) {
	m.t.Helper()
	for m.await("presence").Count != n {
	}
}

func TestAMessageReachesTheRoom(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "  Bea \t B. ")
	one, history := ana.join("lobby", "")
	if len(history.Messages) != 0 || !history.Complete {
		t.Errorf("a new room's history is %+v", history)
	}
	one.awaitCount(1)
	two, _ := bea.join("lobby", "")
	two.awaitCount(2)
	one.awaitCount(2)
	elsewhere, _ := bea.join("other-room_1", "")
	elsewhere.awaitCount(1)

	before := time.Now().Add(-time.Second)
	two.post("x-1", "hello <b>all</b> \u2028 😀")
	ack := two.await("ack")
	got := one.await("message")
	if got.ID != "x-1" || got.From != "Bea B." || got.Text != "hello <b>all</b> \u2028 😀" || got.Seq != ack.Seq || got.Seq == 0 {
		t.Errorf("got %+v for %+v", got, ack)
	}
	if got.At.Before(before) || got.At.After(time.Now()) || got.At.Location() != time.UTC {
		t.Errorf("posted at %v", got.At)
	}
	elsewhere.post("x-1", "the same id elsewhere")
	if other := elsewhere.await("message"); other.Text != "the same id elsewhere" {
		t.Errorf("got %+v", other)
	}
	two.conn.Close()
	one.awaitCount(1)
	_, history = bea.join("lobby", "")
	if len(history.Messages) != 1 || history.Messages[0].Text != got.Text || history.Messages[0].Seq != got.Seq {
		t.Errorf("history %+v", history)
	}
}

func TestFiftyPostAtOnce(t *testing.T) {
	t.Parallel()
	const people, posts = 50, 10
	p := programtest.Start(t)
	var members []*member
	for i := range people {
		m, _ := signIn(t, p.URL, fmt.Sprint("p", i)).join("lobby", "")
		members = append(members, m)
	}
	seen := make([][]said, people)
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			for n := range posts {
				websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(n), "text": fmt.Sprint(n, " of ", i)})
			}
		})
		all.Go(func() {
			for len(seen[i]) < people*posts {
				s, err := m.read()
				if err != nil {
					t.Errorf("member %d after %d: %v", i, len(seen[i]), err)
					return
				}
				if s.Type == "message" {
					seen[i] = append(seen[i], s)
				}
			}
		})
	}
	all.Wait()
	texts := map[string]bool{}
	for i, s := range seen[0] {
		if i > 0 && s.Seq <= seen[0][i-1].Seq {
			t.Fatal("sequences do not rise")
		}
		texts[s.From+s.Text] = true
	}
	if len(texts) != people*posts {
		t.Errorf("%d different messages of %d", len(texts), people*posts)
	}
	for i := range seen {
		if !slices.EqualFunc(seen[i], seen[0], func(a, b said) bool { return a.Seq == b.Seq && a.ID == b.ID && a.From == b.From }) {
			t.Errorf("member %d saw another order", i)
		}
	}
}

func TestTheSameIdTwice(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	m, _ := ana.join("lobby", "")
	m.post("a", "once")
	first := m.await("ack")
	m.post("a", "once")
	if again := m.await("ack"); again.Seq != first.Seq || again.ID != "a" {
		t.Errorf("acknowledged as %+v, then %+v", first, again)
	}
	m.conn.Close()
	m, _ = ana.join("lobby", "")
	m.post("a", "once")
	if again := m.await("ack"); again.Seq != first.Seq {
		t.Errorf("after a reconnect acknowledged as %+v", again)
	}
	other, history := bea.join("lobby", "")
	if len(history.Messages) != 1 {
		t.Errorf("history %+v", history)
	}
	other.post("a", "another's") // is another message
	if ack := other.await("ack"); ack.Seq == first.Seq {
		t.Error("two users' messages are one")
	}
}

func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	const keep = 600
	dir := t.TempDir()
	p := programtest.Start(t, "-data", dir, "-keep-messages", fmt.Sprint(keep), "-post-rate", "10000", "-sync", "1s")
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	m, _ := ana.join("lobby", "")
	var seqs []uint64
	post := func(n int) {
		for range n {
			id := fmt.Sprint(len(seqs))
			m.post(id, "number "+id)
			seqs = append(seqs, m.await("ack").Seq) // and what is acknowledged is in every history
		}
	}
	back := func(after uint64, wantFirst, wantN int, complete bool) {
		t.Helper()
		m, history := bea.join("lobby", fmt.Sprint("&after=", after))
		defer m.conn.Close()
		if history.Complete != complete || len(history.Messages) != wantN {
			t.Fatalf("after %d came %d messages, complete %v; want %d, %v", after, len(history.Messages), history.Complete, wantN, complete)
		}
		for i, one := range history.Messages {
			if one.Seq != seqs[wantFirst+i] || one.Text != fmt.Sprint("number ", wantFirst+i) {
				t.Fatalf("message %d is %+v", i, one)
			}
		}
	}
	post(100)
	back(0, 0, 100, true)
	back(seqs[99], 100, 0, true)
	back(seqs[94], 95, 5, true)
	post(500)
	back(seqs[99], 100, 500, true)
	back(seqs[594], 595, 5, true)
	post(100) // so that the first 100 are held no more
	back(seqs[50], 100, 600, false)
	back(seqs[100], 101, 599, true)
	back(seqs[300], 301, 399, true)
	back(seqs[699]+1000, 650, 50, false) // a sequence this server never gave
	if _, history := bea.join("lobby", ""); len(history.Messages) != 50 || history.Complete {
		t.Errorf("without after: %d, complete %v", len(history.Messages), history.Complete)
	}
	p.End() // the same from the stream alone
	p = programtest.Start(t, "-data", dir, "-keep-messages", fmt.Sprint(keep))
	bea.url = p.URL
	back(seqs[300], 301, 399, true)
	back(seqs[50], 100, 600, false)
	back(seqs[694], 695, 5, true)
}

func TestAThousandComeBack(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-address-rate", "100000", "-post-rate", "10000", "-sync", "1s")
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	seqs := []uint64{0}
	for i := range 100 {
		m.post(fmt.Sprint(i), strings.Repeat("long ", 100))
		seqs = append(seqs, m.await("ack").Seq)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 50 {
				after := (i*50 + j) % 100
				conn, err := ana.dial("lobby", ana.ticket(), fmt.Sprint("&after=", seqs[after]))
				if err != nil {
					t.Error(err)
					return
				}
				m := &member{t: t, conn: conn}
				s, err := m.read()
				if err != nil || s.Type != "history" || len(s.Messages) != 100-after {
					t.Errorf("after %d: %d messages, %v", after, len(s.Messages), err)
				}
				conn.Close()
			}
		})
	}
	all.Wait()
}

func TestOlderMessages(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-post-rate", "10000")
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	for i := range 120 {
		m.post(fmt.Sprint(i), fmt.Sprint(i))
		m.await("ack")
	}
	var page struct{ Messages []said }
	var got []string
	before := ""
	for {
		ana.ask("GET", "/chat/lobby/messages?limit=50"+before, "", http.StatusOK, &page)
		if len(page.Messages) == 0 {
			break
		}
		var texts []string
		for _, one := range page.Messages {
			texts = append(texts, one.Text)
		}
		got = append(texts, got...)
		before = fmt.Sprint("&before=", page.Messages[0].Seq)
	}
	for i, text := range got {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, text)
		}
	}
	if len(got) != 120 {
		t.Errorf("%d messages", len(got))
	}
	for _, bad := range []string{"?limit=0", "?limit=201", "?limit=x", "?before=-1", "?before=x"} {
		ana.ask("GET", "/chat/lobby/messages"+bad, "", http.StatusBadRequest, nil)
	}
	ana.ask("GET", "/chat/Lobby/messages", "", http.StatusNotFound, nil)
	(&person{t: t, url: p.URL}).ask("GET", "/chat/lobby/messages", "", http.StatusUnauthorized, nil)
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-post-rate", "10000")
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	long := strings.Repeat("é", 2001)
	for _, c := range []struct{ sent, code, id string }{
		{``, "bad_json", ""},
		{`nonsense`, "bad_json", ""},
		{`[]`, "bad_json", ""},
		{`"post"`, "bad_json", ""},
		{`null`, "bad_json", ""},
		{`{"type":"post","id":"1","text":"a"`, "bad_json", ""},
		{`{"type":"post","id":"1","text":"a"} x`, "bad_json", ""},
		{`{"type":"post","id":"1","text":"a","id":"2"}`, "bad_json", ""},
		{`{"type":"post","id":"1","text":"a","more":1}`, "bad_json", ""},
		{`{"Type":"post","id":"1","text":"a"}`, "unknown_type", ""},
		{`{"id":"1","text":"a"}`, "unknown_type", ""},
		{`{"type":"dance"}`, "unknown_type", ""},
		{`{"type":5}`, "unknown_type", ""},
		{`{"type":"post","text":"a"}`, "bad_id", ""},
		{`{"type":"post","id":"","text":"a"}`, "bad_id", ""},
		{`{"type":"post","id":1,"text":"a"}`, "bad_id", ""},
		{`{"type":"post","id":"a\u0000b","text":"a"}`, "bad_id", ""},
		{`{"type":"post","id":"` + strings.Repeat("i", 65) + `","text":"a"}`, "bad_id", ""},
		{`{"type":"post","id":"1"}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":""}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":" \n\t "}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":"\u200b\u2060"}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":["a"]}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":"a\u0000b"}`, "bad_text", "1"},
		{`{"type":"post","id":"1","text":"` + long + `"}`, "bad_text", "1"},
		{strings.Repeat(`{"type":`, 10_000), "bad_json", ""},
	} {
		if err := websocket.Message.Send(m.conn, c.sent); err != nil {
			t.Fatal(err)
		}
		if got := m.await("error"); got.Code != c.code || got.ID != c.id || got.Message == "" {
			t.Errorf("%.80s: got %+v", c.sent, got)
		}
	}
	if err := websocket.Message.Send(m.conn, []byte(`{"type":"post","id":"1","text":"a"}`)); err != nil {
		t.Fatal(err)
	}
	if got := m.await("error"); got.Code != "bad_json" {
		t.Errorf("binary: got %+v", got)
	}
	m.post(strings.Repeat("ü", 64), strings.Repeat("😀", 2000))
	if got := m.await("message"); len([]rune(got.Text)) != 2000 {
		t.Errorf("the longest came as %d characters", len([]rune(got.Text)))
	}
	p.Log.Find(t, "code=bad_text")
}

func TestTextsOfAllScripts(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	m, _ := signIn(t, p.URL, "علی\u200cرضا 👩‍👩‍👧").join("lobby", "")
	texts := []string{"中文 и кириллица", "שלום עולם", "\u202ertl override", "a\u200bb", "👨‍👩‍👧‍👦 ❤️ 🏳️‍🌈", "tab\tand\nline", "e\u0301", "\ufeffbom"}
	for i, text := range texts {
		m.post(fmt.Sprint(i), text)
		if got := m.await("message"); got.Text != text || got.From != "علی\u200cرضا 👩‍👩‍👧" {
			t.Errorf("%q came as %q of %q", text, got.Text, got.From)
		}
	}
}

func TestTooManyMessages(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	go func() {
		for i := range 3000 {
			if websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(i), "text": "again"}) != nil {
				return
			}
		}
	}()
	acks, limited := 0, 0
	for {
		s, err := m.read()
		if err != nil {
			break
		}
		switch {
		case s.Type == "ack":
			acks++
		case s.Code == "rate_limited" && s.ID != "":
			limited++
		}
	}
	if acks < 40 || limited < 100 {
		t.Errorf("%d were taken, %d refused", acks, limited)
	}
	p.Log.Find(t, "code=1008")
	m, history := ana.join("lobby", "")
	if len(history.Messages) == 0 {
		t.Error("what was taken is lost")
	}
	m.post("next", "welcome back")
	m.await("ack")
}

// Who sends a hundred posts at once, as a page may that was away, is told which of them to send again. They are taken then,
// each once, and by the same connection.
func TestPostsPastTheRateCanBeSentAgain(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	waiting := map[string]bool{}
	for i := range 100 {
		waiting[fmt.Sprint(i)] = true
		m.post(fmt.Sprint(i), "written while there was no connection")
	}
	again := time.NewTicker(time.Second) // as a page does, which nothing tells when it may go on
	defer again.Stop()
	for underWay := len(waiting); len(waiting) > 0; {
		switch s := m.next(); {
		case s.Type == "ack":
			delete(waiting, s.ID)
			underWay--
		case s.Type == "error" && s.Code == "rate_limited" && waiting[s.ID]:
			underWay--
		case s.Type == "error":
			t.Fatalf("%+v", s)
		}
		if underWay == 0 {
			<-again.C
			for id := range waiting {
				m.post(id, "written while there was no connection")
				if underWay++; underWay == 20 {
					break
				}
			}
		}
	}
	m.conn.Close()
	if _, history := signIn(t, p.URL, "bea").join("lobby", "&after=0"); len(history.Messages) != 100 {
		t.Errorf("%d messages are stored", len(history.Messages))
	}
}

func TestTheAddressHasLimits(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-address-rate", "1", "-address-sockets", "3")
	ana := signIn(t, p.URL, "ana")
	var first *member
	for range 3 {
		first, _ = ana.join("lobby", "")
	}
	if got := upgradeStatus(t, p, "lobby?ticket="+ana.ticket(), nil); got != http.StatusTooManyRequests {
		t.Errorf("the fourth connection: %d", got)
	}
	first.conn.Close()
	p.Log.Find(t, `msg="socket closed"`)
	if got := upgradeStatus(t, p, "lobby?ticket="+ana.ticket(), nil); got != http.StatusSwitchingProtocols {
		t.Errorf("when one has left: %d", got)
	}
	var status int
	for range 20 {
		if res := postTicket(t, ana); res == http.StatusTooManyRequests {
			status = res
		}
	}
	if status == 0 {
		t.Error("tickets without end")
	}
}

func postTicket(t *testing.T, p *person) int {
	t.Helper()
	req, _ := http.NewRequest("POST", p.url+"/ticket", nil)
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// upgradeStatus asks for an upgrade and returns the status of the answer.
func upgradeStatus(t testing.TB, p *programtest.Program, path string, header map[string]string) int {
	t.Helper()
	req, err := http.NewRequest("GET", p.URL+"/ws/chat/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		req.Header.Set(name, value)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestTickets(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-trusted-proxies", "127.0.0.1")
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	own := p.URL
	for _, c := range []struct {
		name   string
		query  string
		header map[string]string
		want   int
	}{
		{"none", "", nil, 401},
		{"an empty one", "?ticket=", nil, 401},
		{"one that never was", "?ticket=ABCDEFGHIJKLMNOPQRSTUVWXYZ", nil, 401},
		{"nonsense", "?ticket=../../*&ticket=>", nil, 401},
		{"another user's", "?ticket=" + ana.ticket(), map[string]string{"Authorization": "Bearer " + bea.token}, 401},
		{"another address", "?ticket=" + ana.ticket(), map[string]string{"X-Forwarded-For": "203.0.113.9"}, 401},
		{"a foreign origin", "?ticket=" + ana.ticket(), map[string]string{"Origin": "https://foe.example"}, 403},
		{"a room that cannot be", "*?ticket=" + ana.ticket(), nil, 404},
		{"a sequence that is none", "?after=x&ticket=" + ana.ticket(), nil, 400},
		{"its own user's", "?ticket=" + ana.ticket(), map[string]string{"Authorization": "Bearer " + ana.token, "Origin": own}, 101},
		{"a script's", "?ticket=" + ana.ticket(), nil, 101},
	} {
		path := c.query
		if !strings.HasPrefix(path, "*") {
			path = "lobby" + path
		}
		if got := upgradeStatus(t, p, path, c.header); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	used := ana.ticket()
	for _, want := range []int{101, 401} {
		if got := upgradeStatus(t, p, "lobby?ticket="+used, nil); got != want {
			t.Errorf("the same ticket: %d, want %d", got, want)
		}
	}
	careful := ana.ticket() // a request that cannot be upgraded does not take it
	if got := upgradeStatus(t, p, "lobby?ticket="+careful, map[string]string{"Sec-WebSocket-Version": "12"}); got != 426 {
		t.Errorf("version 12: %d", got)
	}
	raced := careful
	var winners, losers int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got := upgradeStatus(t, p, "lobby?ticket="+raced, nil)
			mu.Lock()
			defer mu.Unlock()
			switch got {
			case 101:
				winners++
			case 401:
				losers++
			}
		})
	}
	all.Wait()
	if winners != 1 || losers != 19 {
		t.Errorf("of twenty with one ticket %d won, %d lost", winners, losers)
	}
}

func TestAPagesTicketIsBoundToItsOrigin(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-origins", "https://friend.example")
	ana := signIn(t, p.URL, "ana")
	req, _ := http.NewRequest("POST", p.URL+"/ticket", nil)
	req.Header.Set("Authorization", "Bearer "+ana.token)
	req.Header.Set("Origin", "https://friend.example")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct{ Ticket string }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		origin string
		want   int
	}{{p.URL, 401}, {"", 401}, {"https://friend.example", 101}} {
		header := map[string]string{}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		if got := upgradeStatus(t, p, "lobby?ticket="+got.Ticket, header); got != c.want {
			t.Errorf("from %q: %d, want %d", c.origin, got, c.want)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	nobody := &person{t: t, url: p.URL}
	for _, c := range []struct {
		body string
		want int
	}{
		{``, 400}, {`nonsense`, 400}, {`{}`, 400}, {`{"name":""}`, 400}, {`{"name":"  "}`, 400}, {`{"name":5}`, 400},
		{`{"name":"ana","more":1}`, 400}, {`{"name":"ana"} {}`, 400}, {`{"name":"a\u0000b"}`, 400}, {`{"name":"a\u200bb"}`, 400},
		{`{"name":"\u202ename"}`, 400}, {`{"name":"a\u200db"}`, 400}, {`{"name":"\u3164"}`, 400}, {`{"name":"a\u00adb"}`, 400},
		{`{"name":"` + strings.Repeat("n", 33) + `"}`, 400}, {`{"name":"` + strings.Repeat("n", 5000) + `"}`, 400},
		{`{"name":"` + strings.Repeat("é", 32) + `"}`, 201}, {`{"name":"עברית"}`, 201}, {`{"name":"👍🏽"}`, 201},
	} {
		nobody.ask("POST", "/session", c.body, c.want, nil)
	}
	var got struct{ Token, Name, Mark string }
	res := nobody.ask("POST", "/session", `{"name":" e\u0301va  x "}`, 201, &got)
	if got.Name != "éva x" {
		t.Errorf("the name is %q", got.Name)
	}
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.MaxAge != 12*3600 || cookie.Value != got.Token {
		t.Errorf("cookie %+v", cookie)
	}
	req, _ := http.NewRequest("GET", p.URL+"/session", nil)
	req.AddCookie(cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if len(got.Mark) != 4 || strings.TrimSpace(string(body)) != `{"name":"éva x","mark":"`+got.Mark+`"}` {
		t.Errorf("I am %s", body)
	}
	for name, token := range map[string]string{
		"none":             "",
		"nonsense":         "nonsense",
		"a changed one":    got.Token[:len(got.Token)-2] + "xx",
		"an unsigned one":  "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + strings.Split(got.Token, ".")[1] + ".",
		"another server's": signIn(t, programtest.Start(t).URL, "ana").token,
	} {
		somebody := &person{t: t, url: p.URL, token: token}
		if res := postTicket(t, somebody); res != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, res)
		}
	}
	foreign, _ := http.NewRequest("POST", p.URL+"/session", strings.NewReader(`{"name":"ana"}`))
	foreign.Header.Set("Origin", "https://foe.example")
	foreign.Header.Set("Content-Type", "application/json")
	res, err = http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page signs in: %s", res.Status)
	}
	nobody.ask("DELETE", "/session", "", http.StatusNoContent, nil)
}

func TestAForeignPageGetsNoTicket(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana := signIn(t, p.URL, "ana")
	for _, method := range []string{"POST /ticket", "DELETE /session"} {
		verb, path, _ := strings.Cut(method, " ")
		req, _ := http.NewRequest(verb, p.URL+path, nil)
		req.Header.Set("Authorization", "Bearer "+ana.token)
		req.Header.Set("Origin", "https://foe.example")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
}

// Without a proxy that is trusted, what a client says of its address is not believed.
func TestAnAddressIsNotSaid(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ticket := signIn(t, p.URL, "ana").ticket()
	header := map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Real-Ip": "203.0.113.9"}
	if got := upgradeStatus(t, p, "lobby?ticket="+ticket, header); got != http.StatusSwitchingProtocols {
		t.Errorf("%d", got)
	}
}

// A session and a room outlive a restart; a member that comes back misses nothing.
func TestARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := programtest.Start(t, "-data", dir)
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	m.post("1", "before")
	before := m.await("ack").Seq
	m.post("2", "unseen")
	m.await("ack")
	p.End()
	p = programtest.Start(t, "-data", dir)
	ana.url = p.URL
	m, history := ana.join("lobby", fmt.Sprint("&after=", before))
	if len(history.Messages) != 1 || history.Messages[0].Text != "unseen" || !history.Complete {
		t.Errorf("history %+v", history)
	}
	m.post("1", "before")
	if again := m.await("ack"); again.Seq != before {
		t.Errorf("the same id is acknowledged as %d, was %d", again.Seq, before)
	}
	res, body := programtest.Get(t, p.URL+"/readyz")
	if res.StatusCode != http.StatusOK {
		t.Errorf("not ready: %s", body)
	}
}

// Ten times the process is killed in the middle of posts: what was acknowledged is there, once.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := strings.Repeat("s", 32)
	start := func() *programtest.Program {
		return programtest.Start(t, "-data", dir, "-secret", secret, "-post-rate", "100000", "-keep-messages", "10000")
	}
	acked := map[string]uint64{}
	var mu sync.Mutex
	p := start()
	for round := range 10 {
		var all sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for i := range 4 {
			m, _ := signIn(t, p.URL, fmt.Sprint("poster ", i)).join("lobby", "")
			all.Go(func() {
				for n := range 200 { // all together no more than are kept
					id := fmt.Sprintf("%d-%d-%d", round, i, n)
					if websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": id, "text": id}) != nil {
						return
					}
				}
			})
			all.Go(func() {
				for {
					s, err := m.read()
					if err != nil {
						return
					}
					if s.Type == "ack" {
						mu.Lock()
						acked[s.ID] = s.Seq
						if len(acked) > 60*(round+1) {
							once.Do(func() { close(enough) })
						}
						mu.Unlock()
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(programtest.Patience):
			t.Fatal("no posts are acknowledged")
		}
		p.Kill()
		all.Wait()
		p = start()
	}
	m, history := signIn(t, p.URL, "reader").join("lobby", "&after=0")
	m.conn.Close()
	seqs := map[string]uint64{}
	for _, one := range history.Messages {
		if _, twice := seqs[one.ID]; twice {
			t.Errorf("%s is there twice", one.ID)
		}
		seqs[one.ID] = one.Seq
	}
	missing := maps.Clone(acked)
	maps.DeleteFunc(missing, func(id string, seq uint64) bool { return seqs[id] == seq })
	if len(missing) > 0 {
		t.Errorf("%d of %d acknowledged are missing: %v", len(missing), len(acked), missing)
	}
	t.Logf("%d acknowledged, %d stored", len(acked), len(seqs))
}

// Who vanishes without a goodbye is missed when its pings are not answered. Who stays is on another node,
// whose pings have time.
func TestOneThatVanishes(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	secret := strings.Repeat("s", 32)
	here, there := programtest.Start(t, "-nats", nats, "-secret", secret), programtest.Start(t, "-nats", nats, "-secret", secret, "-ping", "1s")
	stays, _ := signIn(t, here.URL, "ana").join("lobby", "")
	signIn(t, there.URL, "bea").join("lobby", "") // and reads nothing more, so that its library answers no ping
	stays.awaitCount(2)
	stays.awaitCount(1)
}

func TestTwoNodesAreOneChat(t *testing.T) {
	t.Parallel()
	cluster := natstest.Start(t)
	secret := strings.Repeat("s", 32)
	one, two := programtest.Start(t, "-nats", cluster, "-secret", secret), programtest.Start(t, "-nats", cluster, "-secret", secret)
	ana := signIn(t, one.URL, "ana")
	bea := &person{t: t, url: two.URL, token: signIn(t, one.URL, "bea").token} // a session is good everywhere
	here, _ := ana.join("lobby", "")
	there, _ := bea.join("lobby", "")
	here.awaitCount(2)
	there.awaitCount(2)
	// So is a ticket.
	ticket := bea.ticket()
	bea.url = one.URL
	conn, err := bea.dial("lobby", ticket, "")
	if err != nil {
		t.Fatal(err)
	}
	here.awaitCount(3)
	conn.Close()
	here.awaitCount(2)
	var seen [2][]string
	var all sync.WaitGroup
	for i, m := range []*member{here, there} {
		all.Go(func() {
			for n := range 20 {
				websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(n), "text": fmt.Sprint(i, n)})
			}
		})
		all.Go(func() {
			for len(seen[i]) < 40 {
				s, err := m.read()
				if err != nil {
					t.Error(err)
					return
				}
				if s.Type == "message" {
					seen[i] = append(seen[i], s.Text)
				}
			}
		})
	}
	all.Wait()
	if !slices.Equal(seen[0], seen[1]) {
		t.Errorf("one node saw %v, the other %v", seen[0], seen[1])
	}
	two.End() // with a goodbye, so that nobody waits for its silence
	here.awaitCount(1)
}

// A node is killed, and says no goodbye: who was there is missed when it has been silent for some seconds, and its tickets are
// refused at once. Where a ticket's node does not answer in time, it would be 503.
func TestANodeThatIsKilled(t *testing.T) {
	t.Parallel()
	cluster := natstest.Start(t)
	args := []string{"-nats", cluster, "-secret", strings.Repeat("s", 32), "-data", t.TempDir()}
	one, two := programtest.Start(t, args...), programtest.Start(t, args...)
	ana := signIn(t, one.URL, "ana")
	bea := &person{t: t, url: two.URL, token: signIn(t, one.URL, "bea").token}
	here, _ := ana.join("lobby", "")
	bea.join("lobby", "")
	here.awaitCount(2)
	good, lost := bea.ticket(), bea.ticket()
	if got := upgradeStatus(t, one, "lobby?ticket="+good, nil); got != http.StatusSwitchingProtocols {
		t.Errorf("while it is there: %d", got)
	}
	two.Kill()
	if got := upgradeStatus(t, one, "lobby?ticket="+lost, nil); got != http.StatusUnauthorized {
		t.Errorf("a ticket of one that is gone: %d", got)
	}
	var last said
	for last.Count != 1 {
		last = here.await("presence")
	}
	if len(last.People) != 1 || last.People[0].Name != "ana" {
		t.Errorf("in the end here are %v", last.People)
	}
}

func TestSigningOutOfTwoNodes(t *testing.T) {
	t.Parallel()
	cluster := natstest.Start(t)
	secret := strings.Repeat("s", 32)
	one, two := programtest.Start(t, "-nats", cluster, "-secret", secret), programtest.Start(t, "-nats", cluster, "-secret", secret)
	ana := signIn(t, one.URL, "ana")
	here, _ := ana.join("lobby", "")
	there, _ := (&person{t: t, url: two.URL, token: ana.token}).join("lobby", "")
	res := ana.ask("DELETE", "/session", "", http.StatusNoContent, nil)
	if cookies := res.Cookies(); len(cookies) != 1 || cookies[0].MaxAge >= 0 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("cookies %v, %v", cookies, res.Header)
	}
	for _, m := range []*member{here, there} {
		for {
			if _, err := m.read(); err != nil {
				break
			}
		}
	}
	for _, p := range []*programtest.Program{one, two} {
		p.Log.Find(t, `reason="signed out"`)
		(&person{t: t, url: p.URL, token: ana.token}).ask("POST", "/ticket", "", http.StatusUnauthorized, nil)
	}
}
