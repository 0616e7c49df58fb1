package conn

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"echows/internal/share"
	"echows/ws/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that should come at once.
const patience = time.Minute

func wait[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

// recorder is a Handler that echoes, and tells how the connection ended.
type recorder struct {
	conn  *Conn
	got   chan string
	ended chan wire.CloseCode
}

func (r *recorder) Message(op wire.Opcode, data []byte) *wire.CloseError {
	r.got <- string(data)
	return nil
}
func (r *recorder) Freed() {}

func (r *recorder) Address() string { return "192.0.2.1" }

func (r *recorder) Pong([]byte) *wire.CloseError         { return nil }
func (r *recorder) Closed(code wire.CloseCode, _ string) { r.ended <- code }

var testConfig = Config{
	MaxMessage: 1 << 20, SendBuffer: 1 << 20, PingInterval: 1000 * time.Hour, WriteTimeout: patience, CloseTimeout: patience, MessageTimeout: time.Hour,
}

func testEngine(t testing.TB) *Engine {
	e := NewEngine(time.Hour)
	e.tick = time.Hour // tests call Step
	t.Cleanup(func() {
		for _, c := range e.Conns() {
			c.Drop(errExit)
		}
		e.Wait()
	})
	return e
}

// tcp is a connection's two ends.
func tcp(t testing.TB) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if there, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if here, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	there.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { there.Close() })
	return here, there
}

// open makes a server's connection on one end.
func open(t testing.TB, e *Engine, nc net.Conn, cfg Config, deflate *wire.Deflate) *recorder {
	t.Helper()
	r := &recorder{new(Conn), make(chan string, 1000), make(chan wire.CloseCode, 1)}
	e.Open(r.conn, nc, nil, wire.Server, deflate, &cfg, r)
	started := make(chan struct{})
	r.conn.Serve(func() *wire.CloseError { close(started); return nil })
	wait(t, started)
	return r
}

// masked is a client's frame.
func masked(first byte, payload string) string {
	var key [4]byte
	rand.Read(key[:])
	b := append(wire.AppendMaskedHeader(nil, first, len(payload), key), payload...)
	wire.Mask(key, b[len(b)-len(payload):])
	return string(b)
}

func text(payload string) string { return masked(wire.Fin|byte(wire.Text), payload) }

// A parked connection has no goroutine, reads on from whatever it had, and ends.
func TestParking(t *testing.T) {
	for _, lot := range []bool{true, false} {
		t.Run(fmt.Sprint("lot ", lot), func(t *testing.T) {
			if lot && runtime.GOOS != "linux" {
				t.Skip("connections park in an epoll set on Linux only")
			}
			e := testEngine(t)
			e.noLot = !lot
			here, there := tcp(t)
			r := open(t, e, here, testConfig, nil)
			eventually(t, r.conn.IsParked)
			message := text("Hello")
			for cut := range len(message) {
				io.WriteString(there, message[:cut])
				e.Step()
				io.WriteString(there, message[cut:]+message)
				for range 2 {
					if got := wait(t, r.got); got != "Hello" {
						t.Fatalf("got %q", got)
					}
				}
				eventually(t, func() bool { e.Step(); return r.conn.IsParked() })
			}
			io.WriteString(there, masked(wire.Fin|byte(wire.Close), "\x03\xe8"))
			if got := wait(t, r.ended); got != wire.Normal {
				t.Errorf("ended with %d", got)
			}
			here, there = tcp(t)
			r = open(t, e, here, testConfig, nil)
			eventually(t, r.conn.IsParked)
			there.Close()
			if got := wait(t, r.ended); got != wire.Abnormal {
				t.Errorf("a peer that went: %d", got)
			}
			here, _ = tcp(t)
			r = open(t, e, here, testConfig, nil)
			eventually(t, r.conn.IsParked)
			r.conn.Drop(&wire.CloseError{Code: 4000})
			if got := wait(t, r.ended); got != 4000 {
				t.Errorf("dropped: %d", got)
			}
		})
	}
}

func TestParkedConnectionsHaveNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("connections park in an epoll set on Linux only")
	}
	e := testEngine(t)
	var all []*recorder
	for range 200 {
		here, _ := tcp(t)
		all = append(all, open(t, e, here, testConfig, nil))
	}
	for _, r := range all {
		eventually(t, r.conn.IsParked)
	}
	eventually(t, func() bool { return runtime.NumGoroutine() < 30 })
	e.Step()
	e.Step()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.watched) != 0 {
		t.Errorf("%d are watched", len(e.watched))
	}
}

// A connection that is busy does not park between its messages, which would cost more than it saves.
func TestABusyConnectionStaysAwake(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	r := open(t, e, here, testConfig, nil)
	waits := func() bool { return r.conn.seen.Load() != awake }
	for range 3 {
		eventually(t, waits)
		io.WriteString(there, text("x"))
		wait(t, r.got)
	}
	eventually(t, waits)
	if r.conn.IsParked() {
		t.Error("it parked")
	}
	eventually(t, func() bool { e.Step(); return r.conn.IsParked() })
}

// The flusher gives each connection one write at a time, and has no more workers than it may.
func TestTheFlusherIsFair(t *testing.T) {
	var workers []func()
	f := &flusher{spawn: func(work func()) { workers = append(workers, work) }, most: 1}
	e := testEngine(t)
	e.flusher.spawn, e.flusher.most = f.spawn, 0 // nobody works but this test
	here, _ := tcp(t)
	hot := open(t, e, here, testConfig, nil).conn
	here, _ = tcp(t)
	other := open(t, e, here, testConfig, nil).conn
	say := Prepare([]Message{{wire.Text, []byte("x")}})
	for range 3 {
		hot.Offer(say)
	}
	other.Offer(say)
	for n, want := range []*Conn{hot, other, hot, nil} {
		o, _ := e.flusher.next()
		if want == nil {
			if o != nil {
				t.Error("one waits twice")
			}
			break
		}
		if o != &want.out {
			t.Fatalf("turn %d is another's", n)
		}
		o.turn()
		if n == 0 {
			hot.Offer(say) // meanwhile
		}
	}
	for range 10 {
		f.add(&hot.out)
	}
	if len(workers) != 1 {
		t.Errorf("%d workers", len(workers))
	}
	e.flusher.workers = 0
}

// Offered messages are written soon, even while replies gather.
func TestOffersDoNotWaitForTheCork(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	r := open(t, e, here, testConfig, nil)
	r.conn.out.cork(true)
	r.conn.Offer(Prepare([]Message{{wire.Text, []byte("x")}}))
	got := make([]byte, 3)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "\x81\x01x" {
		t.Errorf("got %q %v", got, err)
	}
}

// chunks is a connection that records how much each write has.
type chunks struct {
	net.Conn
	mu    sync.Mutex
	sizes []int
}

func (c *chunks) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.sizes = append(c.sizes, len(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// A peer has WriteTimeout for each chunk, however long the message is.
func TestLongWritesAreChunked(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	w := &chunks{Conn: here}
	r := open(t, e, w, testConfig, nil)
	go io.Copy(io.Discard, there)
	if err := r.conn.Send(wire.Binary, make([]byte, 300<<10)); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.sizes {
		if n > writeChunk {
			t.Errorf("one write has %d bytes", n)
		}
	}
}

// A peer that is given up gets CloseTimeout for all that is left, not for each chunk.
func TestADroppedPeerHasCloseTimeout(t *testing.T) {
	e := testEngine(t)
	e.tick = time.Second
	here, there := tcp(t)
	here.(*net.TCPConn).SetWriteBuffer(4 << 10)
	there.(*net.TCPConn).SetReadBuffer(4 << 10)
	cfg := testConfig
	cfg.WriteTimeout, cfg.CloseTimeout = time.Hour, 100*time.Millisecond
	r := open(t, e, here, cfg, nil)
	large := Prepare([]Message{{wire.Binary, make([]byte, 8<<20)}})
	stop := make(chan struct{})
	var slow sync.WaitGroup
	slow.Go(func() { // it reads, but far too slowly
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				there.Read(make([]byte, 4<<10))
			}
		}
	})
	for e.Slow() == 0 {
		r.conn.Offer(large)
	}
	if got := wait(t, r.ended); got != wire.TryAgainLater {
		t.Errorf("ended with %d", got)
	}
	r.conn.Offer(large)
	if n := e.Slow(); n != 1 {
		t.Errorf("it was counted %d times", n)
	}
	close(stop)
	slow.Wait()
}

// WaitForRoom waits for who reads, and for nobody who has stopped.
func TestWaitForRoom(t *testing.T) {
	e := testEngine(t)
	e.tick = 100 * time.Millisecond
	here, there := tcp(t)
	cfg := testConfig
	cfg.SendBuffer = 32 << 20
	r := open(t, e, here, cfg, nil)
	r.conn.Offer(Prepare([]Message{{wire.Binary, make([]byte, 16<<20)}}))
	eventually(t, func() bool { r.conn.out.mu.Lock(); defer r.conn.out.mu.Unlock(); return r.conn.out.blocked })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.conn.WaitForRoom(ctx, 1); err == nil {
		t.Error("it did not wait for who has just begun to read")
	}
	for range 20 { // two seconds
		e.Step()
	}
	if err := r.conn.WaitForRoom(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if r.conn.Buffered() == 0 {
		t.Error("it was read")
	}
	go io.Copy(io.Discard, there)
	eventually(t, func() bool { return r.conn.Buffered() == 0 })
}

// Consecutive frames in a log are written without copying, and arrive as they were sent.
func TestLogs(t *testing.T) {
	var l Log
	long := strings.Repeat("x", logFrame+1)
	var last []byte
	shared := 0
	for n := range 200 {
		p := l.Place(Prepare([]Message{{wire.Text, []byte(strings.Repeat("y", n*5))}}))
		if follows(last, p.plain) {
			shared++
		}
		last = p.plain
	}
	if shared < 190 {
		t.Errorf("%d of 200 follow the one before", shared)
	}
	if p := Prepare([]Message{{wire.Text, []byte(long)}}); l.Place(p) != p {
		t.Error("a long one was copied")
	}

	e := testEngine(t)
	e.flusher.most = 0
	here, there := tcp(t)
	r := open(t, e, here, testConfig, nil)
	for n := range 1000 {
		r.conn.Offer(l.Place(Prepare([]Message{{wire.Text, fmt.Appendf(nil, "%03d", n)}})))
	}
	r.conn.Flush()
	for n := range 1000 {
		got := make([]byte, 5)
		if _, err := io.ReadFull(there, got); err != nil || string(got) != fmt.Sprintf("\x81\x03%03d", n) {
			t.Fatalf("frame %d is %q %v", n, got, err)
		}
	}
	e.flusher.workers = 0
}

// A peer that is silent is ended, though its connection has parked meanwhile; and so is one whose message stays away.
func TestSilenceWhileParked(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		ping time.Duration // a tick is an hour
		want wire.CloseCode
	}{
		"nothing comes":        {"", 10 * time.Hour, wire.Abnormal},
		"half a message comes": {text("Hello")[:5], 1000 * time.Hour, wire.PolicyViolation},
	} {
		t.Run(name, func(t *testing.T) {
			e := testEngine(t)
			here, there := tcp(t)
			cfg := testConfig
			cfg.PingInterval, cfg.MessageTimeout, cfg.CloseTimeout = c.ping, 7*time.Hour, time.Millisecond
			r := open(t, e, here, cfg, nil)
			io.WriteString(there, c.sent)
			eventually(t, func() bool { return r.conn.IsParked() && (c.sent == "" || r.conn.begun.Load() > 0) })
			for range 25 {
				e.Step()
			}
			if got := wait(t, r.ended); got != c.want {
				t.Errorf("ended with %d", got)
			}
		})
	}
}

// Messages queued while a long message is written without a copy go out after it.
func TestQueueingBehindADirectWrite(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	r := open(t, e, here, testConfig, nil)
	sent := make(chan error, 1)
	go func() { sent <- r.conn.Send(wire.Binary, make([]byte, 16<<20)) }()
	eventually(t, func() bool { return r.conn.Buffered() > 0 }) // the peer does not read yet
	r.conn.Offer(Prepare([]Message{{wire.Text, []byte("behind")}}))
	if _, err := io.CopyN(io.Discard, there, 10+16<<20); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "\x81\x06behind" {
		t.Errorf("got %q %v", got, err)
	}
	if err := wait(t, sent); err != nil {
		t.Error(err)
	}
}

// While a long message is written, the peer reads, and so it is not closed for what is offered.
func TestOffersDuringALargeSend(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	cfg := testConfig
	cfg.SendBuffer = 64 << 10
	r := open(t, e, here, cfg, nil)
	go r.conn.Send(wire.Binary, make([]byte, 16<<20))
	eventually(t, func() bool { return r.conn.Buffered() > 0 })
	r.conn.Offer(Prepare([]Message{{wire.Text, []byte("x")}}))
	if n := e.Slow(); n != 0 {
		t.Errorf("%d were dropped", n)
	}
	go io.Copy(io.Discard, there)
	eventually(t, func() bool { return r.conn.Buffered() == 0 })
}

// Discarded bytes are returned to the budget; and past the budget a close frame is still sent.
func TestTheBudget(t *testing.T) {
	e := testEngine(t)
	const limit = 1 << 30
	e.Buffers = share.New(limit)
	here, _ := tcp(t)
	r := open(t, e, here, testConfig, nil)
	go r.conn.Send(wire.Binary, make([]byte, 8<<20))
	eventually(t, func() bool { return r.conn.Buffered() > 0 })
	p := Prepare([]Message{{wire.Binary, make([]byte, 30<<10)}})
	for range 5 {
		r.conn.Offer(p)
	}
	if e.Buffers.Used() < 60<<10 {
		t.Errorf("%d bytes are counted", e.Buffers.Used())
	}
	r.conn.Drop(errExit)
	wait(t, r.ended)
	eventually(t, func() bool { return e.Buffers.Used() == 0 })

	here, there := tcp(t)
	r = open(t, e, here, testConfig, nil)
	e.flusher.most = 0
	r.conn.Offer(p)
	r.conn.Offer(p)
	e.Buffers.Add("another", limit)
	r.conn.Close(4001, "bye")
	r.conn.Flush()
	if _, err := io.CopyN(io.Discard, there, 2*(4+30<<10)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "\x88\x05\x0f\xa1bye" {
		t.Errorf("got %q %v", got, err)
	}
	e.flusher.workers = 0
}

// deadlines is a connection that records when its writes have to be done, and stops before each.
type deadlines struct {
	net.Conn
	pass chan struct{}
	mu   sync.Mutex
	set  []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !t.IsZero() {
		d.set = append(d.set, t)
	}
	return d.Conn.SetWriteDeadline(t)
}

func (d *deadlines) Write(p []byte) (int, error) { <-d.pass; return d.Conn.Write(p) }

// A peer that is given up gets CloseTimeout for all chunks that are left.
func TestOneDeadlineForWhatIsLeft(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	d := &deadlines{Conn: here, pass: make(chan struct{})}
	cfg := testConfig
	cfg.WriteTimeout = time.Hour
	r := open(t, e, d, cfg, nil)
	go io.Copy(io.Discard, there)
	sent := make(chan error, 1)
	go func() { sent <- r.conn.Send(wire.Binary, make([]byte, 4*writeChunk)) }()
	eventually(t, func() bool { return r.conn.Buffered() > 0 })
	r.conn.close(errSlow, true)
	close(d.pass)
	if err := wait(t, sent); err != nil {
		t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.set[1:] {
		if time.Until(at) > patience {
			t.Errorf("a chunk had until %v", at)
		}
	}
}

func TestWaitForNoRoomAtAll(t *testing.T) {
	e := testEngine(t)
	here, _ := tcp(t)
	if err := open(t, e, here, testConfig, nil).conn.WaitForRoom(t.Context(), 0); err != nil {
		t.Error(err)
	}
}

// A connection without pings costs the sweep nothing while it is parked, however long it is silent.
func TestParkedWithoutPings(t *testing.T) {
	e := testEngine(t)
	here, there := tcp(t)
	cfg := testConfig
	cfg.PingInterval, cfg.NoPing = 10*time.Hour, true // a tick is an hour
	r := open(t, e, here, cfg, nil)
	eventually(t, r.conn.IsParked)
	for range 25 {
		e.Step()
	}
	e.mu.Lock()
	watched := len(e.watched)
	e.mu.Unlock()
	if watched > 0 {
		t.Error("it is watched")
	}
	if silent := r.conn.Silence(); silent != 24*time.Hour {
		t.Errorf("it is silent for %v", silent)
	}
	io.WriteString(there, text("Hello"))
	if got := wait(t, r.got); got != "Hello" {
		t.Errorf("got %q", got)
	}
}
