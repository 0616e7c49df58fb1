package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

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
	other.post("a", "another's") // the same id from another user is another message
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
			seqs = append(seqs, m.await("ack").Seq) // acknowledged messages are in every history
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
	post(100) // so that the first 100 are no longer held
	back(seqs[50], 100, 600, false)
	back(seqs[100], 101, 599, true)
	back(seqs[300], 301, 399, true)
	back(seqs[699]+1000, 650, 50, false) // a sequence that this server never issued
	if _, history := bea.join("lobby", ""); len(history.Messages) != 50 || history.Complete {
		t.Errorf("without after: %d, complete %v", len(history.Messages), history.Complete)
	}
	p.End() // after a restart, only from the stream
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
				ticket, err := ana.tryTicket()
				if err != nil {
					t.Error(err)
					return
				}
				conn, err := ana.dial("lobby", ticket, fmt.Sprint("&after=", seqs[after]))
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

// A client that sends a hundred posts in a burst, as a page may after being offline, learns which of them to send again. Sent
// again on the same connection, they are stored, each once.
func TestPostsPastTheRateCanBeSentAgain(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	waiting := map[string]bool{}
	for i := range 100 {
		waiting[fmt.Sprint(i)] = true
		m.post(fmt.Sprint(i), "written while there was no connection")
	}
	again := time.NewTicker(time.Second) // like a page, which is not told when it may continue
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
