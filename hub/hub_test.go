//go:build unix

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"
	"golang.org/x/net/websocket"

	"echows/hub"
	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = 2 * time.Minute

// server is a real one, whose sockets do what the test does with them.
type server struct {
	t       *testing.T
	hub     *hub.Hub
	app     *ws.App
	url     string
	sockets chan *ws.Socket
	ended   chan ws.CloseCode
}

func serve(t *testing.T, cfg ws.Config) *server {
	s := &server{t, hub.New(), nil, "", make(chan *ws.Socket, 1), make(chan ws.CloseCode, 2000)}
	cfg.Logger = slog.New(slog.DiscardHandler)
	e := echo.New()
	s.app = ws.New(e, cfg)
	s.app.WS("/", func(socket *ws.Socket, c echo.Context) error {
		socket.OnClose(func(code ws.CloseCode, reason string) { s.ended <- code })
		s.sockets <- socket
		return nil
	})
	http := httptest.NewUnstartedServer(e)
	http.Listener = smallBuffers{http.Listener}
	http.Start()
	s.url = "ws" + strings.TrimPrefix(http.URL, "http")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		http.Close()
	})
	return s
}

// smallBuffers is a listener whose connections hold little in the kernel, so that a peer that does
// not read is felt soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		c.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return c, err
}

// connect makes a client and the server's socket for it.
func (s *server) connect() (*websocket.Conn, *ws.Socket) {
	s.t.Helper()
	return s.connectBy(new(net.Dialer))
}

// lazy dials for clients that do not read: the kernel shall not do it for them.
var lazy = &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 16<<10) })
}}

func (s *server) connectBy(d *net.Dialer) (*websocket.Conn, *ws.Socket) {
	s.t.Helper()
	config, err := websocket.NewConfig(s.url, s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	config.Dialer = d
	conn, err := websocket.DialConfig(config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn, wait(s.t, s.sockets)
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func (s *server) join(socket *ws.Socket, topic string) {
	s.t.Helper()
	if err := s.hub.Join(topic, socket); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) say(topic, text string, except ...hub.Member) {
	s.t.Helper()
	if err := s.hub.Broadcast(topic, ws.Message{Opcode: ws.Text, Data: []byte(text)}, except...); err != nil {
		s.t.Fatal(err)
	}
}

func expect(t *testing.T, conn *websocket.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		var got string
		if err := websocket.Message.Receive(conn, &got); err != nil || got != w {
			t.Fatalf("got %q %v, want %q", got, err, w)
		}
	}
}

func TestTopics(t *testing.T) {
	s := serve(t, ws.Config{})
	a, sa := s.connect()
	b, sb := s.connect()
	s.join(sa, "x")
	s.join(sb, "x")
	s.join(sb, "x") // once is enough
	s.join(sb, "y")
	s.say("x", "to both")
	s.say("y", "to b")
	s.say("x", "to a", sb)
	s.say("none", "to nobody")
	s.hub.Leave("x", sb)
	s.hub.Leave("never", sb)
	s.say("x", "to a again")
	s.say("y", "to b again")
	expect(t, a, "to both", "to a", "to a again")
	expect(t, b, "to both", "to b", "to b again")

	if x, y, none, topics := s.hub.Len("x"), s.hub.Len("y"), s.hub.Len("none"), s.hub.Topics(); x != 1 || y != 1 || none != 0 || topics != 2 {
		t.Errorf("x has %d, y %d, none %d; %d topics", x, y, none, topics)
	}
	if got := slices.Collect(s.hub.Members("y")); !slices.Equal(got, []hub.Member{sb}) {
		t.Errorf("y's members are %v", got)
	}
	if err := s.hub.Broadcast("x", ws.Message{Opcode: ws.Text, Data: []byte("\xff")}); err == nil {
		t.Error("text that is not UTF-8 was broadcast")
	}
	s.hub.Leave("x", sa)
	if s.hub.Topics() != 1 {
		t.Error("a topic outlived its last member")
	}
}

func TestMembershipEndsWithTheSocket(t *testing.T) {
	s := serve(t, ws.Config{})
	a, sa := s.connect()
	_, sb := s.connect()
	for i := range 100 {
		s.join(sa, fmt.Sprint("topic ", i))
	}
	s.join(sb, "topic 0")
	a.Close()
	wait(t, s.ended)
	eventually(t, "one topic is left", func() bool { return s.hub.Topics() == 1 })
	eventually(t, "Join says that the socket is closed", func() bool { return errors.Is(s.hub.Join("late", sa), ws.ErrClosed) })
	eventually(t, "the closed socket is no member", func() bool { return s.hub.Len("late") == 0 && s.hub.Len("topic 0") == 1 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// All callbacks of a member, including OnClose, may use the hub.
func TestCallbacksMayUseTheHub(t *testing.T) {
	s := serve(t, ws.Config{})
	a, sa := s.connect()
	b, sb := s.connect()
	s.join(sa, "x")
	s.join(sb, "x")
	sa.OnClose(func(ws.CloseCode, string) {
		s.say("x", fmt.Sprint("one left, now ", s.hub.Len("x")))
		s.hub.Leave("x", sb)
		s.join(sb, "y")
		s.say("y", "moved")
	})
	a.Close()
	expect(t, b, "one left, now 1", "moved")
}

func TestTenThousandTopics(t *testing.T) {
	s := serve(t, ws.Config{})
	a, sa := s.connect()
	for i := range 10_000 {
		s.join(sa, fmt.Sprint("topic ", i))
	}
	s.say("topic 9999", "found")
	expect(t, a, "found")
	if s.hub.Topics() != 10_000 {
		t.Errorf("%d topics", s.hub.Topics())
	}
	a.Close()
	wait(t, s.ended)
}

func TestSocketsComeAndGoDuringBroadcasts(t *testing.T) {
	s := serve(t, ws.Config{})
	stay, ss := s.connect()
	s.join(ss, "x")
	done := make(chan struct{})
	var talking sync.WaitGroup
	var said int
	talking.Go(func() {
		for ; ; said++ {
			select {
			case <-done:
				return
			default:
				want, got := fmt.Sprint(said), ""
				s.hub.Broadcast("x", ws.Message{Opcode: ws.Text, Data: []byte(want)})
				if err := websocket.Message.Receive(stay, &got); err != nil || got != want { // the one that stays misses nothing
					t.Errorf("got %q %v, want %q", got, err, want)
					return
				}
			}
		}
	})
	for i := range 200 {
		conn, socket := s.connect()
		s.join(socket, "x")
		switch i % 3 {
		case 0:
			conn.Close()
		case 1:
			socket.Close(ws.CloseNormal, "")
		case 2:
			s.hub.Leave("x", socket)
		}
	}
	close(done)
	talking.Wait()
}

// Of a thousand members, ten never read, and one reads a byte a second: the others get every message
// in order; those eleven are closed with 1013; and their memory is freed.
func TestAThousandMembersAndElevenThatDoNotRead(t *testing.T) {
	const members, deaf, messages = 1000, 10, 100
	s := serve(t, ws.Config{SendBuffer: 32 << 10, WriteTimeout: time.Minute, CloseTimeout: time.Second})
	for range deaf {
		_, socket := s.connectBy(lazy)
		s.join(socket, "x")
	}
	slow, socket := s.connectBy(lazy)
	s.join(socket, "x")
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for {
			slow.Read(make([]byte, 1))
			select {
			case <-second.C:
			case <-stop:
				return
			}
		}
	})
	got := make(chan struct{}, members)
	for range members - deaf - 1 {
		conn, socket := s.connect()
		s.join(socket, "x")
		all.Go(func() {
			for n := range messages {
				var text string
				if err := websocket.Message.Receive(conn, &text); err != nil || !strings.HasPrefix(text, fmt.Sprint(n, " ")) {
					t.Errorf("got %.20q %v, want message %d", text, err, n)
					return
				}
				got <- struct{}{}
			}
		})
	}
	if s.hub.Len("x") != members {
		t.Fatalf("%d members", s.hub.Len("x"))
	}
	heap := heapInUse()
	filler := strings.Repeat("x", 4<<10)
	for n := range messages {
		s.say("x", fmt.Sprint(n, " ", filler))
		for range members - deaf - 1 { // nobody is waited for but those who read
			wait(t, got)
		}
	}
	for range deaf + 1 {
		if code := wait(t, s.ended); code != ws.CloseTryAgainLater {
			t.Errorf("a member that does not read was closed with %d", code)
		}
	}
	close(stop)
	all.Wait()
	if s.app.Stats().Dropped != deaf+1 {
		t.Errorf("%d were counted as dropped", s.app.Stats().Dropped)
	}
	if after := heapInUse(); after > heap+8<<20 {
		t.Errorf("the heap was %d MiB before and is %d MiB after", heap>>20, after>>20)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // the second one empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Two broadcast to a topic at once: all members see one order.
func TestOneOrderForAll(t *testing.T) {
	const members, messages = 4, 200
	s := serve(t, ws.Config{})
	var conns []*websocket.Conn
	for range members {
		conn, socket := s.connect()
		s.join(socket, "x")
		conns = append(conns, conn)
	}
	var all sync.WaitGroup
	for from := range 2 {
		all.Go(func() {
			for n := range messages {
				if err := s.hub.Broadcast("x", ws.Message{Opcode: ws.Text, Data: fmt.Appendf(nil, "%d from %d", n, from)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	got := make([][]string, members)
	for i, conn := range conns {
		all.Go(func() {
			for range 2 * messages {
				var text string
				if err := websocket.Message.Receive(conn, &text); err != nil {
					t.Error(err)
					return
				}
				got[i] = append(got[i], text)
			}
		})
	}
	all.Wait()
	for _, other := range got[1:] {
		if !slices.Equal(other, got[0]) {
			t.Fatal("two members saw different orders")
		}
	}
}

func TestSeveralAreExcepted(t *testing.T) {
	s := serve(t, ws.Config{})
	a, sa := s.connect()
	b, sb := s.connect()
	c, sc := s.connect()
	for _, socket := range []*ws.Socket{sa, sb, sc} {
		s.join(socket, "x")
	}
	s.say("x", "to c", sa, sb)
	s.say("x", "to all")
	expect(t, a, "to all")
	expect(t, b, "to all")
	expect(t, c, "to c", "to all")
}

// The hub keeps nothing of a member that is gone.
func TestNothingIsKept(t *testing.T) {
	s := serve(t, ws.Config{})
	for range 10 {
		conn, socket := s.connect()
		s.join(socket, "x")
		s.hub.Leave("x", socket)
		s.join(socket, "y")
		conn.Close()
		wait(t, s.ended)
	}
	deadline := time.After(patience)
	for s.hub.Kept() != 0 {
		select {
		case <-deadline:
			t.Fatalf("%d memberships and topics are kept", s.hub.Kept())
		default:
			runtime.Gosched()
		}
	}
}
