package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"echows/internal/natstest"
	"echows/internal/timetest"
)

// fakeStream answers what a stream is asked as a test wants it, where no JetStream is.
type fakeStream struct {
	conn *nats.Conn
	log  lockedBuffer // the Broker's

	mu    sync.Mutex
	asked int // how often for the state
	state func() (last uint64, cluster *jetstream.ClusterInfo)
	tail  func() uint64 // of each topic
	held  []uint64      // what a direct get finds
}

// newFake is a Log without compareTails on a fakeStream.
func newFake(t *testing.T) (*fakeStream, *Log) {
	t.Helper()
	s := natstest.Run(t, &server.Options{})
	f := &fakeStream{tail: func() uint64 { return 0 }}
	var err error
	if f.conn, err = nats.Connect(s.ClientURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.conn.Close)
	f.serve(t, "$JS.API.INFO", func([]byte) any { return jetstream.AccountInfo{} })
	f.serve(t, "$JS.API.STREAM.INFO.CHAT", func([]byte) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked++
		last, cluster := f.state()
		return jetstream.StreamInfo{State: jetstream.StreamState{LastSeq: last}, Cluster: cluster}
	})
	f.serve(t, "$JS.API.STREAM.MSG.GET.CHAT", func([]byte) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		tail := f.tail()
		if tail == 0 {
			return map[string]any{"error": map[string]any{"code": 404, "err_code": 10037}}
		}
		return map[string]any{"message": map[string]any{"subject": "chat.lobby", "seq": tail}}
	})
	if _, err := f.conn.Subscribe("$JS.API.DIRECT.GET.CHAT", f.get); err != nil {
		t.Fatal(err)
	}
	if err := f.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	b := openBroker(t, Config{URL: s.ClientURL(), Logger: testLogger(&f.log)})
	l := &Log{broker: b, config: chatLog, stream: "CHAT", soon: make(chan struct{}, 1), ctx: b.ctx, running: &b.running, followers: map[string]*Follower{}}
	l.live = b.listen(l.handOut)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logs = append(b.logs, l)
	return f, l
}

func (f *fakeStream) serve(t *testing.T, subject string, answer func([]byte) any) {
	t.Helper()
	_, err := f.conn.Subscribe(subject, func(m *nats.Msg) {
		data, err := json.Marshal(answer(m.Data))
		if err != nil {
			t.Error(err)
		}
		m.Respond(data)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// get answers a direct get.
func (f *fakeStream) get(m *nats.Msg) {
	var asked get
	json.Unmarshal(m.Data, &asked)
	f.mu.Lock()
	defer f.mu.Unlock()
	var before uint64
	for _, seq := range f.held {
		if seq < asked.Seq {
			continue
		}
		answer := nats.NewMsg(m.Reply)
		answer.Header.Set(jetstream.SubjectHeader, "chat.lobby")
		answer.Header.Set(jetstream.SequenceHeader, fmt.Sprint(seq))
		answer.Header.Set(jetstream.LastSequenceHeader, fmt.Sprint(before))
		answer.Data = []byte(fmt.Sprint(seq))
		f.conn.PublishMsg(answer)
		before = seq
	}
	end := nats.NewMsg(m.Reply)
	end.Header.Set("Status", "204")
	if before == 0 {
		end.Header.Set("Status", "404")
	}
	f.conn.PublishMsg(end)
}

func (f *fakeStream) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// led is a cluster of three with a leader, whose other servers were heard so long ago; 0 is never.
func led(ago ...time.Duration) *jetstream.ClusterInfo {
	c := &jetstream.ClusterInfo{Leader: "s0"}
	for i, a := range ago {
		c.Replicas = append(c.Replicas, &jetstream.PeerInfo{Name: fmt.Sprint("s", i+1), Current: a > 0 && a < 10*time.Second, Active: a})
	}
	return c
}

const heard = time.Second / 2

// An answer of a server that may be behind is none.
func TestAStreamWithoutALeaderIsUnavailable(t *testing.T) {
	f, l := newFake(t)
	gone, back := led(2*time.Second, 2*time.Second), led(heard, heard)
	for i := range 2 {
		gone.Replicas[i].Offline, back.Replicas[i].Offline = true, true
	}
	follower := led(heard, heard)
	follower.Leader = "s1"
	for name, c := range map[string]struct {
		cluster *jetstream.ClusterInfo
		want    string // "" for ready
	}{
		"a server alone":           {nil, ""},
		"one copy":                 {led(), ""},
		"all there":                {led(heard, heard), ""},
		"one silent":               {led(heard, time.Minute), ""},
		"one not heard yet":        {led(heard, 0), ""},
		"no leader":                {&jetstream.ClusterInfo{Replicas: led(heard, heard).Replicas}, "the stream CHAT has no leader"},
		"a follower answers":       {follower, "a server other than the leader answered for the stream CHAT"},
		"the quorum is lost":       {led(4*time.Second, 4*time.Second), "the stream CHAT has lost its quorum: 1 of its 3 servers answer"},
		"none was ever heard":      {led(0, 0), "lost its quorum: 1 of its 3"},
		"slow, and there":          {led(2*time.Second, 2*time.Second), ""},
		"both were seen to go":     {gone, "lost its quorum: 1 of its 3"},
		"both are back":            {back, ""},
		"three of five are silent": {led(heard, time.Minute, time.Minute, time.Minute), "lost its quorum: 2 of its 5"},
	} {
		t.Run(name, func(t *testing.T) {
			f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 7, c.cluster } })
			timetest.Soon(t, 3*time.Second, func() {
				l.asking.Lock()
				l.asked = asked{} // or an answer before would count
				l.asking.Unlock()
				err := l.broker.Ready(testContext(t))
				_, last, stateErr := l.State(testContext(t))
				if c.want == "" {
					if err != nil || stateErr != nil || last != 7 {
						t.Errorf("ready: %v, state: %d, %v", err, last, stateErr)
					}
					return
				}
				for _, err := range []error{err, stateErr} {
					if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

// A leader is found within a moment, which is not worth a no. And who asks often asks the stream rarely.
func TestReadinessAsksAgain(t *testing.T) {
	f, l := newFake(t)
	f.set(func() {
		f.state = func() (uint64, *jetstream.ClusterInfo) {
			if f.asked < 3 {
				return 0, &jetstream.ClusterInfo{}
			}
			return 0, led(heard, heard)
		}
	})
	start := time.Now()
	for range 1000 {
		if err := l.broker.Ready(testContext(t)); err != nil {
			t.Fatalf("not ready: %v", err)
		}
	}
	took := time.Since(start)
	f.set(func() {
		if most := 3 + int(took/askedTime); f.asked > most {
			t.Errorf("the stream was asked %d times in %v", f.asked, took)
		}
		f.state = func() (uint64, *jetstream.ClusterInfo) { return 0, &jetstream.ClusterInfo{} }
	})
	l.broker.newLink() // another connection may see something else
	if err := l.broker.Ready(testContext(t)); err == nil {
		t.Error("an answer of the connection before counts")
	}
}

// Concurrent callers of Ready wait no longer than a single one, and get the same answer.
func TestReadinessAskedByMany(t *testing.T) {
	f, l := newFake(t)
	f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 0, &jetstream.ClusterInfo{} } })
	timetest.Soon(t, 3*readyTime, func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := l.broker.Ready(testContext(t)); err == nil || !strings.Contains(err.Error(), "has no leader") {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
	})
}

// A leader that was deposed, and does not know it, makes no follower pass over what it has not.
func TestADeposedLeaderHidesNothing(t *testing.T) {
	for name, deposed := range map[string]func() (uint64, *jetstream.ClusterInfo){
		"it has not heard of what was stored": func() (uint64, *jetstream.ClusterInfo) { return 1, led(heard, heard) },
		"it has lost its quorum":              func() (uint64, *jetstream.ClusterInfo) { return 9, led(time.Minute, time.Minute) },
		"it leads no more":                    func() (uint64, *jetstream.ClusterInfo) { return 9, &jetstream.ClusterInfo{} },
	} {
		t.Run(name, func(t *testing.T) {
			f, l := newFake(t)
			asked := make(chan struct{}, 100)
			f.set(func() {
				f.tail, f.held = func() uint64 { return 1 }, []uint64{1}
				f.state = func() (uint64, *jetstream.ClusterInfo) {
					select {
					case asked <- struct{}{}:
					default:
					}
					return deposed()
				}
			})
			got, follower, _ := follow(t, l, "lobby")
			follower.live(Entry{Topic: "lobby", Seq: 5, Data: []byte("5")}, 3) // a gap before it
			for range 3 {
				select {
				case <-asked:
				case <-time.After(patience / 6):
					t.Fatal("it does not ask again")
				}
			}
			f.set(func() { // the leader of now
				f.state = func() (uint64, *jetstream.ClusterInfo) { return 5, led(heard, heard) }
				f.tail, f.held = func() uint64 { return 5 }, []uint64{1, 3, 5}
			})
			if ids := got.wait(t, 2); fmt.Sprint(ids) != "[3 5]" {
				t.Errorf("got %v", ids)
			}
		})
	}
}

// The deposed leader answers for the tail, and the one of now for the state: the tail is asked for again.
func TestATailIsBelievedTwice(t *testing.T) {
	f, l := newFake(t)
	tails := 0
	f.set(func() {
		f.held = []uint64{1}
		f.tail = func() uint64 {
			if tails++; tails <= 2 { // one of them for Follow
				return 1
			}
			f.held = []uint64{1, 3, 5}
			return 5
		}
		f.state = func() (uint64, *jetstream.ClusterInfo) { return 5, led(heard, heard) }
	})
	got, follower, _ := follow(t, l, "lobby")
	follower.live(Entry{Topic: "lobby", Seq: 5, Data: []byte("5")}, 3)
	if ids := got.wait(t, 2); fmt.Sprint(ids) != "[3 5]" {
		t.Errorf("got %v", ids)
	}
}

// An id that is being stored by an attempt before is tried again, and a refusal is not.
func TestWhatIsTriedAgain(t *testing.T) {
	f, l := newFake(t)
	var answers []string
	f.serve(t, "chat.lobby", func([]byte) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		next := answers[0]
		answers = answers[1:]
		return json.RawMessage(next)
	})
	if err := f.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	const stored = `{"stream":"CHAT","seq":7,"duplicate":true}`
	refusal := func(code, number int) string {
		return fmt.Sprintf(`{"stream":"CHAT","error":{"code":%d,"err_code":%d}}`, code, number)
	}
	f.set(func() { answers = []string{refusal(409, 10158), refusal(503, 10008), refusal(500, 10118), stored} })
	if seq, before, err := l.Append(testContext(t), "lobby", "a", nil); seq != 7 || !before || err != nil {
		t.Errorf("got %d, %v, %v", seq, before, err)
	}
	f.set(func() { answers = []string{refusal(400, 10054), stored} })
	_, _, err := l.Append(testContext(t), "lobby", "b", nil)
	f.set(func() {
		if !errors.Is(err, ErrUnavailable) || len(answers) != 1 {
			t.Errorf("got %v, %d answers are left", err, len(answers))
		}
	})
}

// A stream that answers and takes nothing is not ready, while an append still tries.
func TestAStreamThatRefusesIsNotReady(t *testing.T) {
	f, l := newFake(t)
	f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 0, led(heard, heard) } })
	var stored atomic.Bool
	f.serve(t, "chat.lobby", func([]byte) any {
		if stored.Load() {
			return json.RawMessage(`{"stream":"CHAT","seq":1}`)
		}
		return json.RawMessage(`{"stream":"CHAT","error":{"code":503,"err_code":10077,"description":"no space left on device"}}`)
	})
	if err := f.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	appended := make(chan error)
	go func() {
		_, _, err := l.Append(testContext(t), "lobby", "a", nil)
		appended <- err
	}()
	eventually(t, "it is not ready", func() bool { return l.broker.Ready(context.Background()) != nil })
	stored.Store(true)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return 1, led(heard, heard) } })
	if err := l.broker.Ready(context.Background()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// A request over a lost connection is repeated before it times out.
func TestALostConnectionEndsItsRequests(t *testing.T) {
	timetest.Soon(t, attemptTime, func() {
		f, l := newFake(t)
		came := make(chan struct{}, 10)
		_, err := f.conn.Subscribe("chat.lobby", func(m *nats.Msg) {
			if came <- struct{}{}; len(came) > 1 { // the first is not answered
				m.Respond([]byte(`{"stream":"CHAT","seq":7}`))
			}
		})
		if err != nil || f.conn.Flush() != nil {
			t.Fatal(err)
		}
		appended := make(chan error)
		go func() {
			_, _, err := l.Append(testContext(t), "lobby", "a", nil)
			appended <- err
		}()
		eventually(t, "an attempt", func() bool { return len(came) > 0 })
		l.broker.newLink()
		if err := <-appended; err != nil {
			t.Error(err)
		}
	})
}

// A server that does not answer an append holds it up less, once that is known.
func TestAnAppendThatFailedTriesMoreOften(t *testing.T) {
	f, l := newFake(t)
	attempts := make(chan time.Time, 100)
	_, err := f.conn.Subscribe("chat.lobby", func(m *nats.Msg) {
		if attempts <- time.Now(); len(attempts) == 4 {
			m.Respond([]byte(`{"stream":"CHAT","seq":7}`))
		}
	})
	if err != nil || f.conn.Flush() != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Append(testContext(t), "lobby", "a", nil); err != nil {
		t.Fatal(err)
	}
	<-attempts
	second := <-attempts
	third := <-attempts
	fourth := <-attempts
	if pause := min(third.Sub(second), fourth.Sub(third)); pause >= attemptTime { // a busy machine may hold up one of them
		t.Errorf("the pauses are %v at least", pause)
	}
}

// A new leader that lags behind for a moment has lost nothing; one that stays behind has.
func TestALostEndIsReportedWhenItIsCertain(t *testing.T) {
	f, l := newFake(t)
	last := uint64(1)
	f.set(func() { f.state = func() (uint64, *jetstream.ClusterInfo) { return last, led(heard, heard) } })
	l.mu.Lock()
	l.highest = 2
	l.mu.Unlock()
	said := func(after time.Duration) bool { // in the log, when the stream is looked at
		if !l.behind.IsZero() {
			l.behind = l.behind.Add(-after)
		}
		l.guard(testContext(t))
		return strings.Contains(f.log.String(), "what was stored last is lost")
	}
	if said(0) || said(lostDoubt/2) {
		t.Error("it is said at once")
	}
	f.set(func() { last = 2 })
	if said(lostDoubt) {
		t.Error("it is said though nothing is lost")
	}
	f.set(func() { last = 1 })
	if said(0) || said(lostDoubt/2) {
		t.Error("it is said at once, the second time")
	}
	if !said(lostDoubt) {
		t.Error("it is not said")
	}
}

// The same, where the connection is lost as a network loses it.
func TestAnAppendGoesOnAfterAReconnection(t *testing.T) {
	p := startProxy(t, startNATS(t, t.TempDir(), -1).ClientURL())
	b := openBroker(t, Config{URL: p.url()})
	l := openLog(t, b, chatLog)
	n := 0
	timetest.Soon(t, attemptTime, func() {
		n++
		eventually(t, "a connection", b.conn.IsConnected)
		p.Freeze()
		sent := b.conn.Stats().OutMsgs
		appended := make(chan error)
		go func() {
			_, _, err := l.Append(testContext(t), "lobby", fmt.Sprint(n), nil)
			appended <- err
		}()
		eventually(t, "the append is sent", func() bool { return b.conn.Stats().OutMsgs > sent })
		p.Cut()
		p.Mend()
		if err := <-appended; err != nil {
			t.Error(err)
		}
	})
}

// A node that finds another server within a moment is ready.
func TestReadinessWaitsForTheConnection(t *testing.T) {
	s := startNATS(t, t.TempDir(), -1)
	p := startProxy(t, s.ClientURL())
	b := openBroker(t, Config{URL: p.url()})
	openLog(t, b, chatLog)
	lose := func() {
		p.Cut()
		eventually(t, "the connection is lost", func() bool { return !b.conn.IsConnected() })
	}
	for tries := 5; ; tries-- { // a busy machine may find the server too late, but not each time
		lose()
		time.AfterFunc(readyTime/4, p.Mend)
		err := b.Ready(context.Background())
		eventually(t, "a connection", b.conn.IsConnected)
		if err == nil {
			break
		}
		if tries == 1 {
			t.Fatalf("not ready: %v", err)
		}
	}
	lose()
	timetest.Soon(t, 2*readyTime, func() {
		if err := b.Ready(context.Background()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no connection to NATS") {
			t.Errorf("ready: %v", err)
		}
	})
	p.Mend()
}

// An error says which part does not answer.
func TestErrorsNameThePart(t *testing.T) {
	f, l := newFake(t)
	f.conn.Close() // nobody answers
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, _, appendErr := l.Append(ctx, "lobby", "a", nil)
	_, readErr := l.read(testContext(t), "lobby", 0)
	_, tailErr := l.Tail(testContext(t), "lobby")
	_, _, stateErr := l.State(testContext(t))
	for err, want := range map[error]string{
		appendErr: "append to the stream CHAT", readErr: "read the stream CHAT",
		tailErr: "the leader of the stream CHAT", stateErr: "the state of the stream CHAT",
	} {
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
