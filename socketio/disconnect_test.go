package socketio_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

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

// OnDisconnect is called for a client that leaves while OnConnect runs.
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
	s.io.LocalSockets()(func(one *socketio.Socket) bool { one.Disconnect(true); return false })
	p.conn.Close()
	close(gone)
	select {
	case <-reasons:
	case <-time.After(patience):
		t.Error("nobody is told")
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

func TestAPanicInOnDisconnect(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	var told sync.WaitGroup
	for _, name := range []string{"/", "/b", "/c"} {
		s.io.Of(name).OnConnect(func(one *socketio.Socket) error {
			told.Add(1)
			one.OnDisconnect(func(string) { panic("bug") })
			one.OnDisconnect(func(string) { told.Done() })
			return nil
		})
	}
	c, _ := s.caller("")
	c.post("40/b", "40/c")
	c.post("1")
	told.Wait() // all of them
	for _, name := range []string{"/", "/b", "/c"} {
		if n := s.io.Of(name).LocalLen(); n != 0 {
			t.Errorf("%s has %d", name, n)
		}
	}
}

// A caller of Disconnect may hold a lock that the OnDisconnect functions need.
func TestOnDisconnectRunsElsewhere(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	var mu sync.Mutex
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	told := make(chan string, 2)
	tell := func(reason string) {
		mu.Lock()
		defer mu.Unlock()
		told <- reason
	}
	one.OnDisconnect(tell)
	mu.Lock()
	one.Disconnect(false)
	one.OnDisconnect(tell) // called immediately, as the socket has ended
	mu.Unlock()
	for range 2 {
		if got := <-told; got != "server namespace disconnect" {
			t.Errorf("ended with %q", got)
		}
	}
}

func TestOnDisconnectIsNotForWhoIsRefused(t *testing.T) {
	s := newServer(t, socketio.Config{})
	refused := make(chan *socketio.Socket, 1)
	s.io.Use(func(one *socketio.Socket) error {
		one.OnDisconnect(func(reason string) { t.Errorf("told %q", reason) })
		refused <- one
		return errors.New("not you")
	})
	session := s.openCall()
	s.call("POST", session, "40")
	s.call("POST", session, "1")
	s.close()
	if one := <-refused; one.Connected() || !errors.Is(one.Emit("a"), socketio.ErrClosed) || !errors.Is(one.Join("a"), socketio.ErrClosed) {
		t.Error("it is connected")
	}
}

func TestContextsEnd(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	contexts := make(chan context.Context, 2)
	s.io.Of("/refused").Use(func(one *socketio.Socket) error { contexts <- one.Context(); return errors.New("no") })
	s.io.Of("/panics").Use(func(one *socketio.Socket) error { contexts <- one.Context(); panic("bug") })
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	if one.Context().Err() != nil {
		t.Error("it has ended")
	}
	one.Disconnect(false)
	if one.Context().Err() == nil {
		t.Error("it has not ended")
	}
	c, _ = s.caller("")
	one = s.io.Socket(c.sid)
	one.Disconnect(false)
	if one.Context().Err() == nil {
		t.Error("one that is asked for late has not ended")
	}
	c.post("40/refused")
	<-(<-contexts).Done()
	c.post("40/panics")
	<-(<-contexts).Done()
}

func TestDisconnectOfTheWholeConnection(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	reasons := disconnects(s.io.Namespace)
	others := disconnects(s.io.Of("/b"))
	c, _ := s.caller("")
	c.post("40/b")
	c.get()
	s.io.Socket(c.sid).Disconnect(true)
	if a, b := <-reasons, <-others; a != "server namespace disconnect" || b != a {
		t.Errorf("ended with %q and %q", a, b)
	}
	for _, want := range [][]string{{"41", "41/b,"}, {"1"}} { // a client that gets both at once handles the end first
		if got := c.get(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if n := s.io.Stats().Disconnected; n != 2 {
		t.Errorf("%d sockets were disconnected", n)
	}
}

// Rooms still returns the rooms of a socket that has ended.
func TestRoomsAtTheEnd(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	one.Join("a")
	one.Disconnect(false)
	want := []string{one.ID(), "a"}
	slices.Sort(want)
	if got := one.Rooms(); !slices.Equal(got, want) {
		t.Errorf("was in %v", got)
	}
	if err := one.Join("b"); !errors.Is(err, socketio.ErrClosed) {
		t.Errorf("joins with %v", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	s := newServer(t, socketio.Config{})
	release := make(chan bool)
	ended := make(chan bool)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.OnDisconnect(func(string) { <-release; close(ended) })
		return nil
	})
	s.caller("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.io.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it returns %v while a function runs", err)
	}
	close(release)
	if err := s.io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("it does not wait")
	}
	s.close()
}

// records collects log records.
type records struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) Handle(_ context.Context, one slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := one.Level.String() + " " + one.Message
	one.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	r.lines = append(r.lines, line)
	return nil
}

func (r *records) WithAttrs([]slog.Attr) slog.Handler { return r }

// having returns the lines that contain a text.
func (r *records) having(text string) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// No error is logged if a client left before it was answered, but one is logged if OnConnect fails.
func TestWhatIsLogged(t *testing.T) {
	log := &records{Handler: slog.DiscardHandler}
	s := newServer(t, socketio.Config{Logger: slog.New(log)})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("late", func(e socketio.Event) error { one.Disconnect(false); return e.Ack("late") })
		one.On("fail", func(e socketio.Event) error { return errors.New("the table is missing") })
		return nil
	})
	s.io.Of("/fails").OnConnect(func(*socketio.Socket) error { return errors.New("the file is missing") })
	s.io.Of("/leaves").OnConnect(func(one *socketio.Socket) error { one.Disconnect(false); return one.Emit("a") })
	c, _ := s.caller("")
	c.post(`421["late"]`)
	if got := c.get(); !slices.Equal(got, []string{"41"}) {
		t.Errorf("got %v", got)
	}
	c.post("40/leaves", "40/fails")
	if lines := log.having("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "the file is missing") {
		t.Errorf("logged %q", lines)
	}
	c.post("40", `42["fail"]`)
	if lines := log.having("the table is missing"); len(lines) == 0 {
		t.Error("a listener's error is not logged")
	}
}

// No error is logged if the connection breaks while an acknowledgement is written.
func TestAResetIsNotLogged(t *testing.T) {
	log := &records{Handler: slog.DiscardHandler}
	s := start(t, socketio.Config{Logger: slog.New(log)})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("ask", func(e socketio.Event) error {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			err := e.Ack("too late")
			for err == nil { // the kernel accepted the data before it saw the reset
				err = one.Emit("more")
			}
			answered <- err
			return err
		})
		return nil
	})
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?EIO=4&transport=websocket", s.url)
	if err != nil {
		t.Fatal(err)
	}
	client, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, client}
	p.read() // the handshake
	p.send("40")
	p.sid("40")
	left := make(chan string, 1)
	for one := range s.io.LocalSockets() {
		one.OnDisconnect(func(reason string) { left <- reason })
	}
	p.send(`421["ask"]`)
	if err := <-answered; !errors.Is(err, socketio.ErrClosed) {
		t.Errorf("the acknowledgement: %v", err)
	}
	<-left
	if lines := log.having("ERROR"); len(lines) > 0 {
		t.Errorf("logged %q", lines)
	}
}

// OnDisconnect functions find the values that OnConnect functions set.
func TestOnDisconnectComesAfterOnConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{})
		defer s.close()
		through, told := false, false
		s.io.OnConnect(func(one *socketio.Socket) error {
			one.OnDisconnect(func(string) {
				if told = true; !through {
					t.Error("it came first")
				}
			})
			one.Disconnect(false)
			synctest.Wait()
			through = true
			return nil
		})
		s.caller("")
		if synctest.Wait(); !told {
			t.Error("it did not come")
		}
	})
}

// A client can come back after any end that it did not ask for.
func TestWhoMayComeBack(t *testing.T) {
	for name, end := range map[string]func(*server, *caller){
		"ping timeout":    func(s *server, c *caller) { <-s.io.Socket(c.sid).Context().Done() },
		"transport error": func(s *server, c *caller) { ctx := s.io.Socket(c.sid).Context(); c.breakOff(); <-ctx.Done() },
		"forced close":    func(s *server, c *caller) { ctx := s.io.Socket(c.sid).Context(); c.post(`42["fail"]`); <-ctx.Done() },
		"transport close": func(s *server, c *caller) { c.lose() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, socketio.Config{Recovery: time.Hour})
				defer s.close()
				reasons := disconnects(s.io.Namespace)
				s.io.OnConnect(func(one *socketio.Socket) error {
					one.On("fail", func(socketio.Event) error { return errors.New("bug") })
					return nil
				})
				c, _ := s.caller("")
				end(s, c)
				if got := <-reasons; got != name {
					t.Errorf("ended with %q", got)
				}
				s.io.Emit("missed")
				if again, missed := c.back(""); again.sid != c.sid || len(missed) != 1 {
					t.Errorf("was %s and is %s; missed %v", c.sid, again.sid, missed)
				}
			})
		})
	}
}
