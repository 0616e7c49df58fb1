package socketio_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio"
	"echows/socketio/engineio"
)

func TestAPlaceholderBomb(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, _ := s.connect()
	p.send(`451-["a",` + strings.Repeat(`{"_placeholder":true,"num":0},`, 1000) + `0]`)
	websocket.Message.Send(p.conn, make([]byte, 900_000))
	p.expectClosed()
}

// twoAttachments begins a packet with two attachments.
const twoAttachments = `452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`

func (p *peer) attach(size int) { websocket.Message.Send(p.conn, make([]byte, size)) }

func TestNoAttachmentsBeforeConnect(t *testing.T) {
	s := start(t, socketio.Config{})
	p := s.dial()
	p.send(twoAttachments) // the server does not wait for them
	p.expectClosed()
	s.io.Of("/admin")
	p, _ = s.connect()
	p.send(`452-/admin,["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	p.expectClosed()
}

func TestAttachmentsOfOnePacket(t *testing.T) {
	s := start(t, socketio.Config{Limits: socketio.Limits{AttachmentBytes: 1000}})
	s.io.OnConnect(echoAll)
	p, _ := s.connect()
	p.send(twoAttachments)
	p.attach(500)
	p.attach(500)
	for range 3 {
		p.read()
	}
	p.send(twoAttachments)
	p.attach(500)
	p.attach(501)
	p.expectClosed()
}

// The incomplete packets of all connections of an address have a common bound. They stop counting when they are complete or
// their connection has ended. Small packets are always accepted.
func TestAttachmentsOfAllConnections(t *testing.T) {
	s := start(t, socketio.Config{Limits: socketio.Limits{PartialBytes: 4 * 60_000}})
	left := disconnects(s.io.Namespace)
	s.io.OnConnect(echoAll)
	a, _ := s.connect()
	b, _ := s.connect()
	a.send(`421["begin"]`, twoAttachments)
	a.attach(60_000)
	for s.io.Stats().Partial < 40_000 {
		runtime.Gosched()
	}
	b.send(`421["begin"]`, twoAttachments)
	b.attach(10_000)
	b.attach(10)
	b.expect(`431[]`)
	for range 3 {
		b.read()
	}
	b.send(twoAttachments)
	b.attach(60_000)
	b.expectClosed()
	<-left
	a.attach(200)
	a.expect(`431[]`)
	for range 3 {
		a.read()
	}
	if waits := s.io.Stats().Partial; waits != 0 {
		t.Errorf("%d bytes wait", waits)
	}
	a.send(twoAttachments)
	a.attach(60_000)
	for s.io.Stats().Partial < 40_000 {
		runtime.Gosched()
	}
	a.conn.Close()
	<-left
	if waits := s.io.Stats().Partial; waits != 0 {
		t.Errorf("%d bytes wait for one who left", waits)
	}
}

func TestAttachmentsThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{})
		defer s.close()
		reasons := disconnects(s.io.Namespace)
		c, _ := s.caller("")
		for range 2 { // each packet has its own timeout
			c.post(twoAttachments)
			time.Sleep(20 * time.Second)
			c.post("bAQID", "bAQID", "3")
		}
		begin := time.Now()
		c.post(twoAttachments)
		if reason := <-reasons; reason != "forced close" || time.Since(begin) != 30*time.Second {
			t.Errorf("ended with %q after %v", reason, time.Since(begin))
		}
		if waits := s.io.Stats().Partial; waits != 0 {
			t.Errorf("%d bytes wait", waits)
		}
	})
}

func TestTooManyConnects(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Namespaces: 3, Connects: 1e-6}})
	defer s.close()
	c, _ := s.caller("")
	for _, want := range []string{`40{"sid":`, `40{"sid":`, `44{"message":"Too many connects`} {
		c.post("41", "40")
		if got := c.get(); !strings.HasPrefix(got[0], want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if refused := s.io.Stats().Refused; refused != 1 {
		t.Errorf("%d are counted", refused)
	}
	s.caller("") // another connection has its own limit
}

func TestTooManyNamespaces(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Namespaces: 3, Connects: 1e6}})
	defer s.close()
	s.io.OfMatch(regexp.MustCompile(`/user-\d+`))
	c, _ := s.caller("")
	expect := func(namespace, want string) {
		t.Helper()
		c.post("40" + namespace)
		if got := c.get(); !strings.HasPrefix(got[0], want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	expect("/user-1", `40/user-1,{"sid"`)
	expect("/user-2", `40/user-2,{"sid"`)
	expect("/user-3", `44/user-3,{"message":"Too many namespaces`)
	if s.io.Users("/user-3") != -1 {
		t.Error("a namespace was made for one that is refused")
	}
	c.post("41/user-1")
	expect("/user-3", `40/user-3,{"sid"`)
}

func TestALongAuth(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Auth: 100}})
	defer s.close()
	for size, want := range map[int]string{90: `40{"sid":`, 91: `44{"message":"The payload of CONNECT is too long"}`} {
		session := s.openCall()
		s.call("POST", session, `40{"pad":"`+strings.Repeat("x", size)+`"}`)
		if got := s.call("GET", session, ""); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTooManyArguments(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Arguments: 3}})
	defer s.close()
	reasons := disconnects(s.io.Namespace)
	s.io.OnConnect(echoAll)
	c, _ := s.caller("")
	c.post(`421["three",1,2,3]`)
	if got := c.get(); got[0] != `431[1,2,3]` {
		t.Errorf("got %s", got)
	}
	c.post(`42["four",1,2,3,4]`)
	if reason := <-reasons; reason != "forced close" {
		t.Errorf("ended with %q", reason)
	}
	c, _ = s.caller("")
	answer := make(chan error)
	go func() {
		_, err := s.io.Socket(c.sid).EmitWithAck(t.Context(), "ask")
		answer <- err
	}()
	c.get()
	c.post(`431[1,2,3,4]`)
	if err := <-answer; !errors.Is(err, socketio.ErrArguments) {
		t.Errorf("answered with %v", err)
	}
	if reason := <-reasons; reason != "forced close" {
		t.Errorf("ended with %q", reason)
	}
}

func TestTooManyRooms(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Rooms: 2}})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	if err := one.Join("a", "b", "a", one.ID()); err != nil {
		t.Error(err)
	}
	if err := one.Join("c"); err == nil || one.In("c") {
		t.Error("joined a third")
	}
	if err := s.io.SocketsJoin("c"); err == nil {
		t.Error("joined a third")
	}
	one.Leave("a")
	if err := one.Join("c"); err != nil {
		t.Error(err)
	}
}

func TestTooManyAttachmentsToSend(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Attachments: 2}})
	defer s.close()
	left := disconnects(s.io.Namespace)
	c, _ := s.caller("")
	two, three := []any{[]byte{1}, []byte{2}}, []any{[]byte{1}, []byte{2}, []byte{3}}
	if s.io.Emit("a", two...) != nil || s.io.Socket(c.sid).Emit("a", two...) != nil {
		t.Error("two are too many")
	}
	if s.io.Emit("a", three...) == nil || s.io.Socket(c.sid).Emit("a", three...) == nil {
		t.Error("three are not too many")
	}
	c.post(`453-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`)
	if reason := <-left; reason != "forced close" {
		t.Errorf("ended with %q", reason)
	}
}

// What the limit refused does not count.
func TestPartialBytesAreGivenBack(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{PartialBytes: 64 << 10}})
	defer s.close()
	left := disconnects(s.io.Namespace)
	var callers []*caller
	for i := range 5 {
		here := *s
		here.address = fmt.Sprintf("192.0.2.%d:1", i)
		c, _ := here.caller("")
		callers = append(callers, c)
		c.post(`452-["a"]`, "b"+strings.Repeat("AAAA", 31<<10/3))
	}
	<-left
	for _, c := range callers[:4] {
		c.post("1")
		<-left
	}
	if n := s.io.Stats().Partial; n != 0 {
		t.Errorf("%d bytes wait", n)
	}
}

// A packet that is refused before its attachments come ends its connection.
func TestALongPacketThatWaits(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{PartialBytes: 4}})
	left := disconnects(s.io.Namespace)
	c, _ := s.caller("")
	c.post(`451-["` + strings.Repeat("x", 20<<10) + `",{"_placeholder":true,"num":0}]`)
	if reason := <-left; reason != "forced close" {
		t.Errorf("ended with %q", reason)
	}
	s.close()
}

// One setting is enough for long messages with attachments by polling, as in the reference.
func TestLongAttachments(t *testing.T) {
	s := newServer(t, socketio.Config{Engine: engineio.Config{MaxPayload: 20 << 20}})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "size", func(e socketio.Event, b []byte) error { return e.Ack(len(b)) })
		return nil
	})
	c, _ := s.caller("")
	c.post(`451-1["size",{"_placeholder":true,"num":0}]`, "b"+strings.Repeat("AAAA", 4<<20))
	if got := c.get(); !slices.Equal(got, []string{"431[12582912]"}) {
		t.Errorf("got %v", got)
	}
}
