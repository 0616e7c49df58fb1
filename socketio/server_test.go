package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

// peer is a client that speaks in packets.
type peer struct {
	t    testing.TB
	conn *websocket.Conn
}

// dial begins a connection and reads the handshake.
func (s *server) dial() *peer {
	s.t.Helper()
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?EIO=4&transport=websocket", "", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	p := &peer{s.t, conn}
	if hello := p.read(); hello[0] != '0' {
		s.t.Fatalf("the handshake is %s", hello)
	}
	return p
}

// connect dials, connects to the namespace "/" and returns the socket's id.
func (s *server) connect() (*peer, string) {
	s.t.Helper()
	p := s.dial()
	p.send("40")
	return p, p.sid("40")
}

func (p *peer) send(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := websocket.Message.Send(p.conn, text); err != nil {
			p.t.Fatal(err)
		}
	}
}

// read returns the next packet that is no ping.
func (p *peer) read() string {
	p.t.Helper()
	for {
		var text string
		if err := websocket.Message.Receive(p.conn, &text); err != nil {
			p.t.Fatal(err)
		}
		if text != "2" {
			return text
		}
		p.send("3")
	}
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, text := range want {
		if got := p.read(); got != text {
			p.t.Errorf("got %q, want %q", got, text)
		}
	}
}

// sid reads the answer to CONNECT.
func (p *peer) sid(prefix string) string {
	p.t.Helper()
	text := p.read()
	var answer map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, prefix)), &answer); err != nil || answer["sid"] == "" || len(answer) != 1 {
		p.t.Fatalf("CONNECT is answered with %s", text)
	}
	return answer["sid"]
}

func (p *peer) expectClosed() {
	p.t.Helper()
	for {
		var text string
		if err := websocket.Message.Receive(p.conn, &text); err != nil {
			if !errors.Is(err, io.EOF) {
				p.t.Errorf("it ends with %v", err)
			}
			return
		}
	}
}

func echoAll(s *socketio.Socket) error {
	s.OnAny(func(e socketio.Event) error {
		args := []any{}
		for _, arg := range e.Args {
			args = append(args, arg)
		}
		if e.WantsAck() {
			return e.Ack(args...)
		}
		return s.Emit(e.Name, args...)
	})
	return nil
}

func TestEventsAndAcknowledgements(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, _ := s.connect()
	p.send(`42["hello",1,"2",{"3":[false]}]`, `42456["ask",1e2,null]`, `420["zero"]`)
	p.expect(`42["hello",1,"2",{"3":[false]}]`, `43456[1e2,null]`, `430[]`)
	p.send(`452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	websocket.Message.Send(p.conn, []byte{1, 2, 3})
	websocket.Message.Send(p.conn, []byte{4, 5, 6})
	p.expect(`452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "\x01\x02\x03", "\x04\x05\x06")
	p.send(`4399[]`) // an acknowledgement that nobody waits for
	p.send(`42["still here"]`)
	p.expect(`42["still here"]`)
}

func TestEachMistakeEndsItsConnectionOnly(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	s.io.Of("/admin").OnConnect(echoAll)
	other, _ := s.connect()
	for _, mistake := range []string{
		`4`, `47`, `4abc`, `42`, `42{}`, `42abc`, `42[]`, `42[1]`, `42["connect"]`, `40`, `40[]`, `44{"message":"x"}`, `42/admin,["a"]`, `42/none,["a"]`,
		`41/admin,`, `43/admin,1[]`, `451["a"]`, `450-["a"]`, `4511-["a"]`, `43[]`, `431{}`,
	} {
		p, _ := s.connect()
		p.send(mistake)
		p.expectClosed()
	}
	p, _ := s.connect() // text instead of an attachment
	p.send(`451-["a",{"_placeholder":true,"num":0}]`, `42["b"]`)
	p.expectClosed()
	p, _ = s.connect() // an attachment of nothing
	websocket.Message.Send(p.conn, []byte{1})
	p.expectClosed()
	p, _ = s.connect() // a placeholder without its attachment
	p.send(`451-["a",{"_placeholder":true,"num":1}]`)
	websocket.Message.Send(p.conn, []byte{1})
	p.expectClosed()
	p = s.dial() // an event before CONNECT
	p.send(`42["a"]`)
	p.expectClosed()
	other.send(`42["still here"]`)
	other.expect(`42["still here"]`)
}

func TestNamespaces(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	s.io.Of("/admin").Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token != "good" {
			return &socketio.Refusal{Message: "not you", Data: "try again"}
		}
		return nil
	})
	s.io.Of("/admin").OnConnect(func(s *socketio.Socket) error {
		if err := s.Emit("welcome"); err != nil {
			return err
		}
		return echoAll(s)
	})
	s.io.Of("/late").OnConnect(func(s *socketio.Socket) error { s.Emit("never seen"); return errors.New("changed my mind") })
	s.io.OfMatch(regexp.MustCompile(`/user-\d+`)).OnConnect(echoAll)
	p, id := s.connect()
	p.send(`40/admin,`)
	p.expect(`44/admin,{"message":"not you","data":"try again"}`)
	p.send(`40/nowhere,{"a":1}`, `40/late`)
	p.expect(`44/nowhere,{"message":"Invalid namespace"}`, `44/late,{"message":"changed my mind"}`)
	p.send(`40/admin,{"token":"good"}`)
	if admin := p.sid("40/admin,"); admin == id {
		t.Error("two sockets have one id")
	}
	p.expect(`42/admin,["welcome"]`)
	p.send(`42/admin,["a"]`, `42["b"]`, `41/admin`, `42["c"]`)
	p.expect(`42/admin,["a"]`, `42["b"]`, `42["c"]`)
	p.send(`40/admin,{"token":"good"}`) // and again
	p.sid("40/admin,")
	p.expect(`42/admin,["welcome"]`)
	p.send(`40/user-17`, `40/user-x`)
	p.sid("40/user-17,")
	p.expect(`44/user-x,{"message":"Invalid namespace"}`)
	p.send(`42/user-17,["a"]`)
	p.expect(`42/user-17,["a"]`)
	if n := s.io.Of("/admin").Len(); n != 1 {
		t.Errorf("/admin has %d", n)
	}
}

// call is a request of one that polls, without a network, so that it can be made under a fake clock.
func (s *server) call(method, sid, body string) string {
	req := httptest.NewRequestWithContext(s.t.Context(), method, "/socket.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(body))
	res := httptest.NewRecorder()
	s.echo.ServeHTTP(res, req)
	return res.Body.String()
}

// openCall begins a connection and returns its id.
func (s *server) openCall() string {
	s.t.Helper()
	var hello struct{ SID string }
	if got := s.call("GET", "", ""); json.Unmarshal([]byte(got[1:]), &hello) != nil || hello.SID == "" {
		s.t.Fatalf("the handshake is %s", got)
	}
	return hello.SID
}

func TestAConnectionNeedsANamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{ConnectTimeout: 10 * time.Second})
		defer s.app.Shutdown(context.Background())
		defer s.io.Close()
		expect := func(sid, want string) {
			t.Helper()
			if got := s.call("GET", sid, ""); !strings.HasPrefix(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		begin := time.Now()
		sid := s.openCall()
		s.call("POST", sid, `40/nowhere`) // does not count
		expect(sid, `44/nowhere,{"message":"Invalid namespace"}`)
		expect(sid, "1")
		if waited := time.Since(begin); waited != 10*time.Second {
			t.Errorf("it is closed after %v", waited)
		}
		sid = s.openCall()
		s.call("POST", sid, "40\x1e41") // afterwards it needs none
		expect(sid, `40{"sid":"`)
		time.Sleep(20 * time.Second)
		s.call("POST", sid, "40")
		expect(sid, `40{"sid":"`)
	})
}

// disconnects collects reasons.
func disconnects(n *socketio.Namespace) chan string {
	reasons := make(chan string, 100)
	n.OnConnect(func(s *socketio.Socket) error {
		s.OnDisconnect(func(reason string) { reasons <- reason })
		return nil
	})
	return reasons
}

func TestReasons(t *testing.T) {
	s := start(t, socketio.Config{})
	reasons := disconnects(s.io.Namespace)
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-reasons:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("no disconnect with %q", want)
		}
	}
	p, _ := s.connect()
	p.send("41")
	expect("client namespace disconnect")
	p, _ = s.connect()
	p.conn.Close()
	expect("transport close")
	p, _ = s.connect()
	p.send("4abc")
	expect("forced close")
	p, id := s.connect()
	s.io.Socket(id).Disconnect(false)
	p.expect("41")
	expect("server namespace disconnect")
	p, id = s.connect()
	s.io.Socket(id).Disconnect(true)
	p.expect("41")
	p.expectClosed()
	expect("server namespace disconnect")
	s.connect()
	s.io.Close()
	expect("server shutting down")
}

func TestOneThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{})
		defer s.app.Shutdown(context.Background())
		defer s.io.Close()
		reasons := disconnects(s.io.Namespace)
		begin := time.Now()
		s.call("POST", s.openCall(), "40")
		if got := <-reasons; got != "ping timeout" {
			t.Errorf("got %q", got)
		}
		if waited := time.Since(begin); waited != 45*time.Second {
			t.Errorf("it is missed after %v", waited)
		}
	})
}

func TestRoomsAndCounts(t *testing.T) {
	s := start(t, socketio.Config{})
	left := disconnects(s.io.Namespace)
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "join", func(e socketio.Event, room string) error { s.Join(room); return e.Ack(s.Rooms()) })
		socketio.On(s, "leave", func(e socketio.Event, room string) error { s.Leave(room); return e.Ack() })
		return nil
	})
	a, aID := s.connect()
	b, bID := s.connect()
	c, _ := s.connect()
	if s.io.Len() != 3 {
		t.Errorf("%d are connected", s.io.Len())
	}
	for _, p := range []*peer{a, b} {
		p.send(`421["join","x"]`)
		if got := p.read(); !strings.Contains(got, `"x"`) {
			t.Errorf("joined: %s", got)
		}
	}
	c.send(`421["join","y"]`)
	c.read()
	s.io.To("x").Emit("1")
	s.io.To("x", "y").Emit("2")
	s.io.To("x", "y").Except("y").Emit("3")
	s.io.Except("x").Emit("4")
	s.io.To(bID).Emit("5")
	s.io.Socket(aID).To("x").Emit("6")
	s.io.Socket(aID).Broadcast().Emit("7")
	s.io.To("nobody").Emit("8")
	s.io.Emit("9", map[string]any{"bytes": []byte{7}})
	a.expect(`42["1"]`, `42["2"]`, `42["3"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	b.expect(`42["1"]`, `42["2"]`, `42["3"]`, `42["5"]`, `42["6"]`, `42["7"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	c.expect(`42["2"]`, `42["4"]`, `42["7"]`, `451-["9",{"bytes":{"_placeholder":true,"num":0}}]`, "\x07")
	if n := s.io.RoomLen("x"); n != 2 {
		t.Errorf("x has %d", n)
	}
	ids := []string{}
	for one := range s.io.In("x") {
		ids = append(ids, one.ID())
	}
	slices.Sort(ids)
	if want := []string{aID, bID}; !slices.Equal(ids, want) && !slices.Equal(ids, []string{bID, aID}) {
		t.Errorf("x has %v, want %v", ids, want)
	}
	a.send(`422["leave","x"]`)
	a.expect(`432[]`)
	b.conn.Close()
	<-left
	if s.io.RoomLen("x") != 0 || s.io.Len() != 2 || s.io.Socket(bID) != nil {
		t.Error("who left is still there")
	}
	if err := s.io.Emit("disconnect"); err == nil {
		t.Error("a reserved name was emitted")
	}
	if err := s.io.Emit("a", func() {}); err == nil {
		t.Error("a function was emitted")
	}
}

func TestTheServerAsks(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(*socketio.Socket) error { return nil })
	p, id := s.connect()
	socket := s.io.Socket(id)
	type result struct {
		args []socketio.Arg
		err  error
	}
	ask := func(ctx context.Context) chan result {
		done := make(chan result, 1)
		go func() {
			args, err := socket.EmitWithAck(ctx, "question", 6)
			done <- result{args, err}
		}()
		return done
	}
	done := ask(t.Context())
	p.expect(`421["question",6]`)
	p.send(`43999[1]`, `431[42,"x"]`, `431["twice"]`)
	var n int
	if r := <-done; r.err != nil || len(r.args) != 2 || r.args[0].Decode(&n) != nil || n != 42 {
		t.Errorf("answered with %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done = ask(ctx)
	p.expect(`422["question",6]`)
	cancel()
	if r := <-done; !errors.Is(r.err, context.Canceled) {
		t.Errorf("given up with %v", r.err)
	}
	done = ask(t.Context())
	p.expect(`423["question",6]`)
	p.conn.Close()
	if r := <-done; !errors.Is(r.err, socketio.ErrClosed) {
		t.Errorf("ended with %v", r.err)
	}
}

func TestHandlersThatFail(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "number", func(e socketio.Event, n int) error { return e.Ack(n) })
		s.On("fail", func(socketio.Event) error { return errors.New("failed") })
		return nil
	})
	p, _ := s.connect()
	p.send(`421["number","five"]`)
	if got := p.read(); !strings.HasPrefix(got, `42["error",{"event":"number","message":"`) {
		t.Errorf("got %s", got)
	}
	p.send(`422["number",5]`, `423["number"]`, `42["unknown"]`)
	p.expect(`432[5]`, `433[0]`)
	p.send(`42["fail"]`)
	p.expectClosed()
}

// Everybody who stays hears everything, in one order, while others come and go.
func TestManyComeAndGo(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "say", func(e socketio.Event, text string) error { return s.Namespace().Emit("said", text) })
		return nil
	})
	var stay []*peer
	for range 10 {
		p, _ := s.connect()
		stay = append(stay, p)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				p, _ := s.connect()
				p.conn.Close()
			}
		})
	}
	heard := make([][]string, len(stay))
	for i, p := range stay {
		all.Go(func() {
			for n := range 20 {
				websocket.Message.Send(p.conn, fmt.Sprintf(`42["say","%d-%d"]`, i, n))
			}
		})
		all.Go(func() {
			for range 20 * len(stay) {
				var text string
				if err := websocket.Message.Receive(p.conn, &text); err != nil {
					t.Error(err)
					return
				}
				heard[i] = append(heard[i], text)
			}
		})
	}
	all.Wait()
	for i := range heard {
		if !slices.Equal(heard[i], heard[0]) {
			t.Errorf("%d heard another order", i)
		}
	}
}

func TestRecoveryHasLimits(t *testing.T) {
	s := start(t, socketio.Config{Recovery: time.Minute, RecoveryBytes: 500})
	left := disconnects(s.io.Namespace)
	connect := func(auth string) (p *peer, sid, pid string, missed []string) {
		p = s.dial()
		p.send("40" + auth)
		var answer struct{ SID, PID string }
		if err := json.Unmarshal([]byte(p.read()[2:]), &answer); err != nil {
			t.Fatal(err)
		}
		return p, answer.SID, answer.PID, missed
	}
	p, sid, pid, _ := connect("")
	s.io.Emit("one")
	var event []string
	json.Unmarshal([]byte(p.read()[2:]), &event)
	auth := fmt.Sprintf(`{"pid":%q,"offset":%q}`, pid, event[1])
	p.conn.Close()
	<-left
	s.io.Emit("missed")
	p, again, _, _ := connect(auth)
	if got := p.read(); again != sid || !strings.HasPrefix(got, `42["missed",`) {
		t.Errorf("came back as %s, was %s; got %s", again, sid, got)
	}
	_, twice, _, _ := connect(auth) // a session comes back once
	if twice == sid {
		t.Error("one session came back twice")
	}
	for _, bad := range []string{`{"pid":"x","offset":"1"}`, `{"pid":5,"offset":"1"}`, `{"pid":"x","offset":"zzzzzzzzzzzzzzzzzzzzzz"}`, `{"pid":"x"}`} {
		if _, other, _, _ := connect(bad); other == sid {
			t.Errorf("%s came back", bad)
		}
	}
	p.conn.Close()
	<-left
	s.io.Emit(strings.Repeat("x", 600)) // more than is kept
	if _, other, _, _ := connect(auth); other == sid {
		t.Error("came back with a hole")
	}
}

func TestAPlaceholderBomb(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, _ := s.connect()
	p.send(`451-["a",` + strings.Repeat(`{"_placeholder":true,"num":0},`, 1000) + `0]`)
	websocket.Message.Send(p.conn, make([]byte, 900_000))
	p.expectClosed()
}

func TestDisconnectInOnConnect(t *testing.T) {
	s := start(t, socketio.Config{})
	reasons := make(chan string, 2)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.OnDisconnect(func(reason string) { reasons <- reason })
		one.Emit("goodbye")
		one.Disconnect(false)
		return nil
	})
	p, _ := s.connect()
	p.expect(`42["goodbye"]`, `41`)
	if got := <-reasons; got != "server namespace disconnect" {
		t.Errorf("ended with %q", got)
	}
	p.send("40") // the connection is still there
	p.sid("40")
}

// Who leaves while OnConnect runs has been there, and is said to have left.
func TestTheConnectionEndsInOnConnect(t *testing.T) {
	s := start(t, socketio.Config{})
	entered, gone, reasons := make(chan bool), make(chan bool), make(chan string, 1)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.OnDisconnect(func(reason string) { reasons <- reason })
		close(entered)
		<-gone
		return nil
	})
	p := s.dial()
	p.send("40")
	<-entered
	s.io.Sockets()(func(one *socketio.Socket) bool { one.Disconnect(true); return false })
	p.conn.Close()
	close(gone)
	select {
	case <-reasons:
	case <-time.After(patience):
		t.Error("nobody is told")
	}
}

func TestTheRoomWithoutAName(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, id := s.connect()
	s.io.Socket(id).Leave("")
	if s.io.Len() != 1 {
		t.Error("leaving a room left the namespace")
	}
	s.io.To("").Emit("to nobody")
	s.io.Emit("to all")
	p.expect(`42["to all"]`)
}

func TestNamespacesOfAPatternEnd(t *testing.T) {
	s := start(t, socketio.Config{})
	made := make(chan *socketio.Namespace, 10)
	s.io.OfMatch(regexp.MustCompile(`/a|/ab`)).OnConnect(func(one *socketio.Socket) error { made <- one.Namespace(); return nil })
	p := s.dial()
	var first [2]*socketio.Namespace
	for i := range 2 {
		p.send("40/ab")
		p.sid("40/ab,")
		first[i] = <-made
		p.send("41/ab", "40/nowhere")
		p.expect(`44/nowhere,{"message":"Invalid namespace"}`)
	}
	if first[0] == first[1] {
		t.Error("a namespace outlives its last socket")
	}
}

func TestAPanicEndsItsConnectionOnly(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("panic", func(socketio.Event) error { panic("bug") })
		one.OnDisconnect(func(string) { panic("another") })
		return nil
	})
	other, _ := s.connect()
	p, _ := s.connect()
	p.send(`42["panic"]`)
	p.expectClosed()
	s.io.Emit("still here")
	other.expect(`42["still here"]`)
}

// With recovery, too, a handler that emits much waits for its client to read.
func TestEmitWaitsWhereRecoveryIsOn(t *testing.T) {
	s := start(t, socketio.Config{Recovery: time.Minute})
	row := strings.Repeat("x", 1000)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("rows", func(socketio.Event) error {
			for range 3000 {
				if err := one.Emit("row", row); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	})
	p := s.dial()
	p.send("40", `42["rows"]`)
	p.read()
	for i := range 3000 {
		if got := p.read(); !strings.HasPrefix(got, `42["row",`) {
			t.Fatalf("row %d is %.50s", i, got)
		}
	}
}
