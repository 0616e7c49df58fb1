package chat

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"
	"golang.org/x/net/websocket"

	"echows/internal/natstest"
	"echows/ws"
)

// guest is a session's connection to a room. It reads all the time.
type guest struct {
	t    testing.TB
	conn *websocket.Conn

	mu   sync.Mutex
	seen []heard
	end  chan struct{}
}

// heard is anything a guest is told.
type heard struct {
	Type, From, Mark string
	Count            int
	People           []Person
}

// enter connects a session to a room.
func (s *site) enter(token, room string) *guest {
	s.t.Helper()
	header := map[string]string{"Authorization": "Bearer " + token, "address": "127.0.0.1"}
	mine := s.field(s.call("POST", "/ticket", "", header), http.StatusCreated, "ticket")
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/ws/chat/"+room+"?ticket="+mine, "", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &guest{t: s.t, conn: conn, end: make(chan struct{})}
	go func() {
		defer close(g.end)
		for {
			var h heard
			if websocket.JSON.Receive(conn, &h) != nil {
				return
			}
			g.mu.Lock()
			g.seen = append(g.seen, h)
			g.mu.Unlock()
		}
	}()
	s.t.Cleanup(g.leave)
	return g
}

func (g *guest) leave() {
	g.conn.Close()
	<-g.end
}

// all are the things of a type that were heard.
func (g *guest) all(kind string) []heard {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []heard
	for _, h := range g.seen {
		if h.Type == kind {
			all = append(all, h)
		}
	}
	return all
}

// sees waits until the last presence says so: names, in order, joined by spaces.
func (g *guest) sees(count int, names string) {
	g.t.Helper()
	var last heard
	defer func() {
		if g.t.Failed() {
			g.t.Logf("last seen %+v", last)
		}
	}()
	eventually(g.t, fmt.Sprint(count, " connections of ", names), func() bool {
		all := g.all("presence")
		if len(all) == 0 {
			return false
		}
		last = all[len(all)-1]
		var got []string
		for _, p := range last.People {
			got = append(got, p.Name)
		}
		return last.Count == count && last.People != nil && strings.Join(got, " ") == names
	})
}

func (g *guest) types() {
	if err := websocket.Message.Send(g.conn, `{"type":"typing"}`); err != nil {
		g.t.Fatal(err)
	}
}

func TestPeopleAreNamed(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	bea, ana := s.signIn("bea"), s.signIn("ana")
	one := s.enter(bea, "lobby")
	one.sees(1, "bea")
	two := s.enter(ana, "lobby")
	one.sees(2, "ana bea")
	again := s.enter(ana, "lobby") // another tab is the same person
	one.sees(3, "ana bea")
	namesake := s.enter(s.signIn("ana"), "lobby")
	one.sees(4, "ana ana bea")
	last := one.all("presence")[len(one.all("presence"))-1]
	if a, b := last.People[0].Mark, last.People[1].Mark; a >= b || len(a) != 4 {
		t.Errorf("the marks are %s and %s", a, b)
	}
	s.enter(bea, "kitchen").sees(1, "bea")
	namesake.leave()
	two.leave()
	one.sees(2, "ana bea")
	again.leave()
	one.sees(1, "bea")
}

// listenToAsks returns a connection to NATS, and what nodes ask each other for over there.
func listenToAsks(t *testing.T, url string) (*nats.Conn, *nats.Subscription) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	asks, err := conn.SubscribeSync("bus.chat.m.ask.>")
	if err != nil || conn.Flush() != nil {
		t.Fatal(err)
	}
	return conn, asks
}

func TestPresenceOfTwoNodes(t *testing.T) {
	url := natstest.Start(t)
	conn, asks := listenToAsks(t, url)
	one, two := openSite(t, t.TempDir(), url, Limits{}), openSite(t, t.TempDir(), url, Limits{})
	ana, bea := one.signIn("ana"), two.signIn("bea")
	here, there := one.enter(ana, "lobby"), two.enter(bea, "lobby")
	here.sees(2, "ana bea")
	there.sees(2, "ana bea")
	tab := two.enter(ana, "lobby") // a session on two nodes is one person
	here.sees(3, "ana bea")
	there.sees(3, "ana bea")
	tab.leave()
	here.sees(2, "ana bea")
	elsewhere := one.enter(ana, "kitchen")
	elsewhere.sees(1, "ana")
	// A node that comes later is told everything.
	three := openSite(t, t.TempDir(), url, Limits{})
	late := three.enter(bea, "kitchen")
	late.sees(2, "ana bea")
	elsewhere.sees(2, "ana bea")
	three.end()
	elsewhere.sees(1, "ana")
	there.leave()
	here.sees(1, "ana")
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := asks.Pending(); n > 0 {
		t.Errorf("%d times a node had to ask, though nothing was lost", n)
	}
}

// A lost message is noticed by the number of the next one, or of a heartbeat.
func TestALostMessageOfPresence(t *testing.T) {
	nats := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), nats, Limits{}), openSite(t, t.TempDir(), nats, Limits{})
	stays := one.enter(one.signIn("ana"), "lobby")
	bea := two.signIn("bea")
	two.enter(bea, "lobby")
	stays.sees(2, "ana bea")
	lose := func() { // the next message, as if NATS had
		two.presence.mu.Lock()
		defer two.presence.mu.Unlock()
		one.presence.mu.Lock()
		defer one.presence.mu.Unlock()
		for id, n := range one.presence.nodes {
			if id == two.node {
				n.next--
			}
		}
	}
	// One that is followed by another: what is not the next is not taken.
	lose()
	two.enter(bea, "lobby")
	stays.sees(3, "ana bea")
	// The last: only heartbeats follow it.
	one.presence.mu.Lock()
	n := one.presence.nodes[two.node]
	n.next--
	delete(n.rooms, "lobby")
	one.presence.touchLocked(map[string]told{"lobby": {}})
	one.presence.mu.Unlock()
	stays.sees(1, "ana")
	stays.sees(3, "ana bea")
}

// Missing news is asked for as soon as the loss is known, and no news is accepted out of order.
func TestNumbersOfNews(t *testing.T) {
	p := newPresence(nil, slog.New(slog.DiscardHandler), nil)
	n := &node{}
	p.nodes["other"] = n
	room := func(name string, count int) string {
		return fmt.Sprintf(`[{"room":%q,"count":%d,"people":[{"name":"ana","mark":"abcd"}]}]`, name, count)
	}
	for _, c := range []struct{ what, subject, data, rooms string }{
		{"news before everything is known", newsSubject, `{"number":1,"rooms":` + room("early", 1) + `}`, ""},
		{"the last part without those before", wholeSubject, `{"number":1,"part":2,"last":true,"rooms":` + room("a", 1) + `}`, ""},
		{"the first part", wholeSubject, `{"number":2,"part":1,"rooms":` + room("a", 1) + `}`, ""},
		{"the last, without the second", wholeSubject, `{"number":2,"part":3,"last":true,"rooms":` + room("c", 3) + `}`, ""},
		{"the second, too late", wholeSubject, `{"number":2,"part":2,"last":true,"rooms":` + room("c", 3) + `}`, ""},
		{"the first part again", wholeSubject, `{"number":2,"part":1,"rooms":` + room("a", 1) + `}`, ""},
		{"the second and last", wholeSubject, `{"number":2,"part":2,"last":true,"rooms":` + room("b", 2) + `}`, "a1 b2"},
		{"old news", newsSubject, `{"number":2,"rooms":` + room("a", 9) + `}`, "a1 b2"},
		{"the next", newsSubject, `{"number":3,"rooms":` + room("a", 3) + `}`, "a3 b2"},
		{"a room that is empty", newsSubject, `{"number":4,"rooms":` + room("b", 0) + `}`, "a3"},
		{"one too many", newsSubject, `{"number":6,"rooms":` + room("c", 3) + `}`, "a3 asked"},
		{"the next to that", newsSubject, `{"number":7,"rooms":` + room("c", 3) + `}`, "a3 asked"},
		{"everything", wholeSubject, `{"number":7,"part":1,"last":true,"rooms":` + room("c", 4) + `}`, "c4 asked"},
		{"the next again", newsSubject, `{"number":8,"rooms":` + room("c", 5) + `}`, "c5 asked"},
	} {
		p.heard("other", c.subject, []byte(c.data))
		var got []string
		for _, name := range slices.Sorted(maps.Keys(n.rooms)) {
			got = append(got, fmt.Sprint(name, n.rooms[name].Count))
		}
		if p.asks["other"] {
			got = append(got, "asked")
		}
		if strings.Join(got, " ") != c.rooms {
			t.Errorf("%s: %v, want %s", c.what, got, c.rooms)
		}
	}
	p.heard("stranger", newsSubject, []byte(`{"number":1,"rooms":`+room("a", 1)+`}`))
}

func TestAQuietRoomCostsNothing(t *testing.T) {
	url := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), url, Limits{}), openSite(t, t.TempDir(), url, Limits{})
	conn, asks := listenToAsks(t, url)
	eventually(t, "they know each other", func() bool { return one.presence.knows(two.node) != nil && two.presence.knows(one.node) != nil })
	const rooms = 10_000
	before, began := one.presence.knows(two.node), time.Now()
	for i := range rooms { // members without sockets: no room's messages matter here
		m := &member{user: User{ID: fmt.Sprint(i), Name: "ana"}}
		one.presence.enter(fmt.Sprint("room-", i), m)
	}
	eventually(t, "the other knows them", func() bool {
		return two.presence.count("room-0") == 1 && two.presence.count(fmt.Sprint("room-", rooms-1)) == 1 && one.quietly() && two.quietly()
	})
	one.presence.toldAll(t)
	// A part has 200 rooms at most, and nothing is sent twice in each but for who came between two. Those who come while one
	// message leaves are in the next. A node that was too busy to say that it is alive, or to read, is sent everything again.
	published, rounds := one.bus.Stats().Published, time.Since(began)/newsPause
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	asked, _, _ := asks.Pending()
	if most := 3*rooms/partRooms + 20 + uint64(rounds); published > most && asked == 0 && one.presence.knows(two.node) == before {
		t.Errorf("%d messages for %d rooms in %d rounds", published, rooms, rounds)
	}
	all, err := conn.SubscribeSync("bus.chat.>")
	if err != nil {
		t.Fatal(err)
	}
	// Four seconds of two nodes. They begin again if there is other news, since a node may have been too busy before.
	other, deadline := "", time.Now().Add(patience)
	for beats := 0; beats < 8; {
		m, err := all.NextMsg(time.Until(deadline))
		if err != nil {
			t.Fatalf("%v; %s", err, other)
		}
		if beats++; m.Subject != "bus.chat.beat" {
			beats, other = 0, fmt.Sprintf("%s: %.100s", m.Subject, m.Data)
		}
	}
}

// knows returns what is known of another node. It is something else if the node was lost and found again.
func (p *presence) knows(id string) *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes[id]
}

// toldAll waits until run has sent what it took to send: it then takes what wakes it next.
func (p *presence) toldAll(t *testing.T) {
	t.Helper()
	p.stir()
	eventually(t, "everything is sent", func() bool { return len(p.wake) == 0 })
}

// count is the connections of a room over all nodes.
func (p *presence) count(room string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	if c := p.rooms[room]; c != nil {
		n = c.people.count
	}
	for _, one := range p.nodes {
		n += one.rooms[room].Count
	}
	return n
}

// quietly reports whether nothing is to be told.
func (s *site) quietly() bool {
	p := s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.news)+len(p.shows)+len(p.wanted)+len(p.asks) == 0
}

// When hundreds of people come, a few messages with at most fifty of them tell.
func TestACrowdedRoom(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	g := s.enter(s.signIn("zoe"), "lobby")
	g.sees(1, "zoe")
	for i := range 2000 {
		s.presence.enter("lobby", &member{user: User{ID: fmt.Sprint(i), Name: fmt.Sprintf("%04d", i)}})
	}
	eventually(t, "all are counted", func() bool { all := g.all("presence"); return all[len(all)-1].Count == 2001 })
	all := g.all("presence")
	if last := all[len(all)-1].People; len(last) != mostPeople || last[0].Name != "0000" || last[49].Name != "0049" {
		t.Errorf("named are %v", last)
	}
	if len(all) > 20 {
		t.Errorf("told %d times", len(all))
	}
	eventually(t, "nothing is kept for other nodes, where there are none", s.quietly)
}

func TestPresenceOfARoomIsToldSeldom(t *testing.T) {
	p := newPresence(nil, nil, nil)
	now := time.Now()
	for i := range 5000 {
		p.enter("lobby", &member{user: User{ID: fmt.Sprint(i), Name: "ana"}})
	}
	p.enter("kitchen", &member{user: User{ID: "id", Name: "ana"}})
	count := func(from, to time.Duration) (lobby, kitchen int) {
		for at := from; at < to; at += 50 * time.Millisecond {
			p.shows["lobby"], p.shows["kitchen"] = true, true
			for _, s := range p.due(now.Add(at)) {
				if s.room == "lobby" {
					lobby++
				} else {
					kitchen++
				}
			}
		}
		return lobby, kitchen
	}
	if lobby, kitchen := count(0, 10*time.Second); lobby > 10 || lobby < 5 || kitchen > 41 || kitchen < 30 {
		t.Errorf("in ten seconds the lobby is told %d times, the kitchen %d", lobby, kitchen)
	}
}

func TestPartsAreBounded(t *testing.T) {
	var rooms []told
	crowd := make([]Person, mostPeople)
	for i := range crowd {
		crowd[i] = Person{strings.Repeat("é", 32), "abcd"}
	}
	for i := range 1000 {
		rooms = append(rooms, told{Room: fmt.Sprint(i), Count: 1, People: crowd[:1]})
	}
	for i := range 100 {
		rooms = append(rooms, told{Room: fmt.Sprint("large", i), Count: 50, People: crowd})
	}
	n := 0
	for _, part := range inParts(rooms) {
		bytes := 0
		for _, one := range part {
			bytes += len(one)
		}
		if len(part) > partRooms || bytes > partBytes {
			t.Errorf("a part of %d rooms and %d bytes", len(part), bytes)
		}
		n += len(part)
	}
	if n != len(rooms) || len(inParts(nil)) != 1 {
		t.Errorf("%d rooms of %d, %d parts of none", n, len(rooms), len(inParts(nil)))
	}
}

// Messages from another program on the bus do no harm.
func TestNonsenseOfANode(t *testing.T) {
	nats := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), nats, Limits{}), openSite(t, t.TempDir(), nats, Limits{})
	g := one.enter(one.signIn("ana"), "lobby")
	eventually(t, "they know each other", func() bool { return one.quietly() && len(one.bus.Nodes()) == 1 && two.quietly() })
	for _, data := range []string{`nonsense`, `{"number":1,"rooms":[5]}`, `{"number":1,"rooms":[{"room":"*","count":1}]}`,
		`{"number":1,"rooms":[{"room":"lobby","count":-5}]}`, `{"part":7,"last":true,"rooms":[{"room":"lobby","count":5}]}`, ``} {
		for _, subject := range []string{newsSubject, wholeSubject, typingSubject} {
			if subject != newsSubject {
				subject += "." + one.node
			}
			if err := two.bus.Publish(subject, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	two.enter(two.signIn("bea"), "lobby")
	g.sees(2, "ana bea")
	if typing := g.all("typing"); len(typing) > 0 {
		t.Errorf("heard %v", typing)
	}
}

func TestTyping(t *testing.T) {
	url := natstest.Start(t)
	one, two, three := openSite(t, t.TempDir(), url, Limits{}), openSite(t, t.TempDir(), url, Limits{}), openSite(t, t.TempDir(), url, Limits{})
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent, err := conn.SubscribeSync("bus.chat.m.typing." + three.node)
	if err != nil || conn.Flush() != nil {
		t.Fatal(err)
	}
	ana, bea, cem := one.signIn("ana"), one.signIn("bea"), one.signIn("cem")
	types, sameTab, near, far := one.enter(ana, "lobby"), two.enter(ana, "lobby"), one.enter(bea, "lobby"), two.enter(cem, "lobby")
	elsewhere := two.enter(cem, "kitchen")
	near.sees(4, "ana bea cem")
	far.sees(4, "ana bea cem")
	types.types()
	types.types() // too soon
	for name, g := range map[string]*guest{"near": near, "far": far} {
		eventually(t, name, func() bool { return len(g.all("typing")) == 1 })
		if got := g.all("typing")[0]; got.From != "ana" || len(got.Mark) != 4 {
			t.Errorf("%s hears %+v", name, got)
		}
	}
	near.types() // arrives behind all of the above
	eventually(t, "the next", func() bool {
		return len(far.all("typing")) == 2 && len(types.all("typing")) == 1 && len(sameTab.all("typing")) == 1
	})
	if got := types.all("typing")[0]; got.From != "bea" {
		t.Errorf("ana hears %+v", got)
	}
	if got := sameTab.all("typing")[0]; got.From != "bea" {
		t.Errorf("ana's other tab hears %+v", got)
	}
	if len(elsewhere.all("typing")) > 0 || len(near.all("typing")) != 1 {
		t.Errorf("elsewhere %v, near %v", elsewhere.all("typing"), near.all("typing"))
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := sent.Pending(); n > 0 {
		t.Errorf("a node without a member is told %d times", n)
	}
}

func TestARoomHearsFiveTypeASecond(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	g := s.enter(s.signIn("ana"), "lobby")
	g.sees(1, "ana")
	now := time.Now()
	shown := 0
	for i := range 30 { // in 2.9 seconds
		if s.presence.showTyping("lobby", User{ID: fmt.Sprint(i), Name: "bea"}, now.Add(time.Duration(i)*100*time.Millisecond)) {
			shown++
		}
	}
	if shown != 15 {
		t.Errorf("shown %d", shown)
	}
	if s.presence.showTyping("nowhere", User{ID: "x", Name: "bea"}, now) {
		t.Error("shown to nobody")
	}
}

func TestTypingMessages(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"typing"}`: true, ` { "type" : "typing" } `: true, `{"type":"post"}`: false, `{"Type":"typing"}`: false,
		`{"type":"typing","x":1}`: false, `{"type":"typing","type":"typing"}`: false, `typing`: false, ``: false,
		`{"type":"typing"}` + strings.Repeat(" ", 100): false,
	} {
		if isTyping([]byte(text)) != want {
			t.Errorf("%q is typing: %v", text, !want)
		}
	}
}

func TestSigningOut(t *testing.T) {
	nats := natstest.Start(t)
	one, two := openSite(t, t.TempDir(), nats, Limits{}), openSite(t, t.TempDir(), nats, Limits{})
	ana, bea := one.signIn("ana"), one.signIn("bea")
	here, there, stays := one.enter(ana, "lobby"), two.enter(ana, "lobby"), two.enter(bea, "lobby")
	stays.sees(3, "ana bea")
	mine := one.ticket(ana, "")
	auth := map[string]string{"Authorization": "Bearer " + ana}
	if got := one.call("DELETE", "/session", "", auth); got.Code != http.StatusNoContent || got.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	<-here.end
	<-there.end
	stays.sees(1, "bea")
	for name, s := range map[string]*site{"here": one, "there": two} {
		if got := s.call("GET", "/session", "", auth).Code; got != http.StatusUnauthorized {
			t.Errorf("the token %s: %d", name, got)
		}
		if got := s.knock("lobby", mine, nil); got != http.StatusUnauthorized {
			t.Errorf("the ticket %s: %d", name, got)
		}
	}
	if got := one.call("DELETE", "/session", "", auth).Code; got != http.StatusNoContent {
		t.Errorf("once more: %d", got)
	}
	if n := len(one.online.sockets); n != 0 {
		t.Errorf("%d sessions are online", n)
	}
	// A node that starts later knows of it.
	three := openSite(t, t.TempDir(), nats, Limits{})
	if got := three.call("GET", "/session", "", auth).Code; got != http.StatusUnauthorized {
		t.Errorf("at a new node: %d", got)
	}
	if got := three.call("GET", "/session", "", map[string]string{"Authorization": "Bearer " + bea}).Code; got != http.StatusOK {
		t.Errorf("another's session: %d", got)
	}
}

// The close frame says why, even if the session ends between the ticket and the socket, or if the socket is
// closing and its peer goes on.
func TestTheCloseOfASession(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	dial := func(path string) (*ws.Socket, chan *ws.CloseError) {
		closed := make(chan *ws.CloseError, 1)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		conn, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+path, ws.DialConfig{}, func(conn *ws.Socket) error {
			conn.OnClose(func(code ws.CloseCode, reason string) { closed <- &ws.CloseError{Code: code, Reason: reason} })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return conn, closed
	}
	user := User{ID: "late", Name: "ana"}
	s.app.WS("/late/:room", s.Join, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(ctx echo.Context) error { ctx.Set(userKey, user); return next(ctx) }
	})
	header := map[string]string{"Authorization": "Bearer " + s.signIn("ana"), "address": "127.0.0.1"}
	mine := s.field(s.call("POST", "/ticket", "", header), http.StatusCreated, "ticket")
	_, told := dial("/ws/chat/lobby?ticket=" + mine)
	goesOn, late := dial("/late/lobby")
	eventually(t, "it is online", func() bool { return len(s.online.of(user.ID)) == 1 })
	s.call("DELETE", "/session", "", header)
	s.online.remove(user.ID, s.online.of(user.ID)[0])
	if err := s.ended.Add(context.Background(), user.ID); err != nil {
		t.Fatal(err)
	}
	if err := goesOn.SendText(`{"type":"post","id":"1","text":"still here"}`); err != nil {
		t.Fatal(err)
	}
	_, between := dial("/late/lobby")
	for name, closed := range map[string]chan *ws.CloseError{"one that is told": told, "one that goes on": late, "one that comes late": between} {
		if got := <-closed; got.Code != ws.ClosePolicyViolation || got.Reason != "signed out" {
			t.Errorf("%s: closed with %v", name, got)
		}
	}
}

func TestASignOutOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := openSite(t, dir, "", Limits{})
	ana, bea := s.signIn("ana"), s.signIn("bea")
	if got := s.call("DELETE", "/session", "", map[string]string{"Authorization": "Bearer " + ana}).Code; got != http.StatusNoContent {
		t.Fatal(got)
	}
	s.end()
	s = openSite(t, dir, "", Limits{})
	for token, want := range map[string]int{ana: http.StatusUnauthorized, bea: http.StatusOK} {
		if got := s.call("GET", "/session", "", map[string]string{"Authorization": "Bearer " + token}).Code; got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}

func TestASignOutThatCannotBeKept(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	auth := map[string]string{"Authorization": "Bearer " + s.signIn("ana")}
	s.broker.Close()
	got := s.call("DELETE", "/session", "", auth)
	if got.Code != http.StatusServiceUnavailable || len(got.Result().Cookies()) > 0 {
		t.Errorf("%d %v", got.Code, got.Result().Cookies())
	}
}

func TestBodiesOfSession(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	for _, c := range []struct {
		kind, body string
		want       int
	}{
		{"application/json", `{"name":"ana"}`, 201},
		{"APPLICATION/Json; Charset=utf-8", `{"name":"ana"}`, 201},
		{"application/jsonp", `{"name":"ana"}`, 415},
		{"application/json+x", `{"name":"ana"}`, 415},
		{"text/plain", `{"name":"ana"}`, 415},
		{"", `{"name":"ana"}`, 415},
		{"application/json", `{"Name":"ana"}`, 400},
		{"application/json", `{"name":"ana","name":"bea"}`, 400},
		{"application/json", `{"name":"ana","Name":"bea"}`, 400},
		{"application/json", `null`, 400},
	} {
		got := s.call("POST", "/session", c.body, map[string]string{"Content-Type": c.kind})
		if got.Code != c.want || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d, %v", c.kind, c.body, got.Code, got.Header())
		}
	}
}

func TestQuietRoomsAreClosed(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{})
	token := s.signIn("ana")
	stays, first, second := s.enter(token, "stays"), s.enter(token, "first"), s.enter(token, "second")
	first.leave()
	second.leave()
	eventually(t, "two are quiet", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.quiet.Len() == 2 })
	back := s.enter(token, "first") // is used again
	back.sees(1, "ana")
	s.closeQuiet(time.Now().Add(quietTime + time.Second))
	s.mu.Lock()
	open := make([]string, 0, len(s.rooms))
	for name := range s.rooms {
		open = append(open, name)
	}
	s.mu.Unlock()
	if slices.Sort(open); !slices.Equal(open, []string{"first", "stays"}) || s.quiet.Len() != 0 {
		t.Errorf("open are %v, %d quiet", open, s.quiet.Len())
	}
	back.leave()
	s.enter(token, "second")
	stays.sees(1, "ana")
}
