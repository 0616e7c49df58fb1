package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

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
	s.io.Of("/late").OnConnect(func(s *socketio.Socket) error { s.Emit("seen"); return errors.New("changed my mind") })
	s.io.OfMatch(regexp.MustCompile(`/user-\d+`)).OnConnect(echoAll)
	p, id := s.connect()
	p.send(`40/admin,`)
	p.expect(`44/admin,{"message":"not you","data":"try again"}`)
	p.send(`40/nowhere,{"a":1}`, `40/late`)
	p.expect(`44/nowhere,{"message":"Invalid namespace"}`)
	p.sid("40/late,")
	p.expect(`42/late,["seen"]`, `41/late,`)
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
	if n := s.io.Of("/admin").LocalLen(); n != 1 {
		t.Errorf("/admin has %d", n)
	}
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
		s.call("POST", sid, "40\x1e41") // afterwards it need not connect
		expect(sid, `40{"sid":"`)
		time.Sleep(20 * time.Second)
		s.call("POST", sid, "40")
		expect(sid, `40{"sid":"`)
	})
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

// Clients cannot bypass a pattern's Use functions if the application calls Of for a namespace that the pattern matches.
func TestOfANameThatAPatternMatches(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	tenants := s.io.OfMatch(regexp.MustCompile(`/tenant-\d+`))
	tenants.Use(func(*socketio.Socket) error { return errors.New("not you") })
	s.io.Of("/tenant-1").Emit("news")
	s.io.Of("/tenant").Emit("news")
	c, _ := s.caller("")
	c.post("40/tenant-1", "40/tenant-2", "40/tenant")
	got := c.get()
	if len(got) != 3 || got[0] != `44/tenant-1,{"message":"not you"}` || got[1] != `44/tenant-2,{"message":"not you"}` || !strings.HasPrefix(got[2], `40/tenant,{"sid"`) {
		t.Errorf("got %v", got)
	}
	if s.io.Users("/tenant-1") != 0 || s.io.Users("/tenant-2") != -1 {
		t.Error("refused sockets are counted")
	}
}

func TestPatternsThatAreFunctions(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OfFunc(func(name string, auth json.RawMessage) bool {
		return name == "/secret" && string(auth) == `{"token":"good"}`
	}).OnConnect(echoAll)
	c, _ := s.caller("")
	c.post(`40/secret`, `40/secret,{"token":"bad"}`, `40/secret,{"token":"good"}`, `42/secret,["a"]`)
	got := c.get()
	if len(got) != 4 || got[0] != `44/secret,{"message":"Invalid namespace"}` || got[1] != got[0] || !strings.HasPrefix(got[2], `40/secret,{"sid"`) || got[3] != `42/secret,["a"]` {
		t.Errorf("got %v", got)
	}
}

func TestEmittingToAllNamespacesOfAPattern(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	pattern := s.io.OfMatch(regexp.MustCompile(`/[abc]`))
	s.io.Of("/d")
	c, _ := s.caller("")
	c.post("40/a", "40/b", "40/d")
	c.get()
	pattern.Emit("news")
	got := c.get()
	slices.Sort(got)
	if !slices.Equal(got, []string{`42/a,["news"]`, `42/b,["news"]`}) {
		t.Errorf("got %v", got)
	}
	if err := pattern.Emit("connect"); err == nil {
		t.Error("a reserved name was emitted")
	}
}

// Packets that a client sent before it read the server's DISCONNECT are not errors.
func TestEventsForANamespaceThatTheServerLeft(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(echoAll)
	c, _ := s.caller("")
	c.post("40/nowhere")
	c.get()
	s.io.Socket(c.sid).Disconnect(false)
	c.post(`42["late"]`, `41`, `431["late"]`, twoAttachments, "bAQID", "bAQID")
	if got := c.get(); !slices.Equal(got, []string{"41"}) {
		t.Errorf("got %v", got)
	}
	c.post("40", `42["again"]`)
	if got := c.get(); len(got) != 2 || got[1] != `42["again"]` {
		t.Errorf("got %v", got)
	}
	c.post("41", `42["by mistake"]`) // as the client disconnected itself
	if got := c.get(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got %v", got)
	}
}

// A connection that ends while CONNECT is being handled leaves nothing behind.
func TestNoGhosts(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.Use(func(*socketio.Socket) error { runtime.Gosched(); return nil })
	s.io.OnConnect(func(one *socketio.Socket) error { one.Join("room"); return nil })
	var all sync.WaitGroup
	for worker := range 4 {
		here := *s
		here.address = fmt.Sprintf("10.2.0.%d:1", worker)
		all.Go(func() {
			for range 1000 {
				session := here.openCall()
				var both sync.WaitGroup
				both.Go(func() { here.call("POST", session, "40") })
				both.Go(func() {
					ctx, cancel := context.WithCancel(context.Background())
					cancel() // canceling a GET ends the session
					req := httptest.NewRequestWithContext(ctx, "GET", "/socket.io/?EIO=4&transport=polling&sid="+session, nil)
					req.RemoteAddr = here.address
					here.echo.ServeHTTP(httptest.NewRecorder(), req)
				})
				both.Wait()
				here.call("POST", session, "1") // if it has not ended yet
			}
		})
	}
	all.Wait()
	s.io.Close()
	rooms, _ := s.io.Rooms(t.Context())
	if s.io.LocalLen() != 0 || len(rooms) != 0 || s.io.Users("/") != 0 {
		t.Errorf("%d sockets are left, in %v, and %d count", s.io.LocalLen(), rooms, s.io.Users("/"))
	}
}

// A pattern's namespace lasts while a client can come back to it.
func TestNamespacesOfAPatternWaitForRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Minute})
		defer s.close()
		left := disconnects(s.io.OfMatch(regexp.MustCompile("/a")))
		session := s.openCall()
		s.call("POST", session, "40/a\x1e1")
		<-left
		if time.Sleep(59 * time.Second); s.io.Users("/a") != 0 {
			t.Error("it has ended too soon")
		}
		if time.Sleep(31 * time.Second); s.io.Users("/a") != -1 || s.io.Kept() != 0 {
			t.Error("it has not ended")
		}
	})
}

// What is not UTF-8 text ends the connection that sends it, and leaves nothing behind.
func TestWhatIsNotText(t *testing.T) {
	for _, packet := range []string{"40/room-\xff,", "42[\"say\",\"\xff\"]"} {
		s := newServer(t, socketio.Config{})
		s.io.OfMatch(regexp.MustCompile(`/room-.+`))
		sid := s.openCall()
		s.call("POST", sid, "40")
		s.call("POST", sid, packet)
		s.close()
		if n := s.io.Stats().Sockets; n != 0 {
			t.Errorf("%q: %d sockets are counted", packet, n)
		}
		if got := s.call("GET", sid, ""); strings.HasPrefix(got, "4") {
			t.Errorf("%q: the connection still answers %q", packet, got)
		}
	}
}

// Of has no payload to ask a function of OfFunc with.
func TestOfDoesNotAskFunctions(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OfFunc(func(name string, auth json.RawMessage) bool {
		t.Errorf("called with %s and %s", name, auth)
		return true
	})
	s.io.Of("/a")
}

// A pattern does not make an invalid name valid.
func TestPatternsDoNotMatchInvalidNames(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OfMatch(regexp.MustCompile(`/.*`))
	c, _ := s.caller("")
	c.post("40/a?b,")
	if got := c.get(); got[0] != `44/a?b,{"message":"Invalid namespace"}` {
		t.Errorf("got %v", got)
	}
}
