package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"echows/internal/natstest"
	"echows/internal/porttest"
)

// opening is an Open that is under way.
type opening struct {
	log    lockedBuffer
	stop   context.CancelFunc
	opened chan error
	broker *Broker
	chat   *Log
}

// beginOpening opens a Broker and its chat, which have to wait.
func beginOpening(t *testing.T, cfg Config) *opening {
	t.Helper()
	o := &opening{opened: make(chan error, 1)}
	ctx, stop := context.WithCancel(testContext(t))
	o.stop = stop
	cfg.Logger = testLogger(&o.log)
	go func() {
		b, err := Open(ctx, cfg)
		if err == nil {
			o.broker = b
			o.chat, err = b.OpenLog(ctx, chatLog)
		}
		o.opened <- err
	}()
	t.Cleanup(func() {
		stop()
		<-o.opened
		if o.broker != nil {
			o.broker.Close()
		}
	})
	return o
}

func (o *opening) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-o.opened:
		o.opened <- err
		return err
	case <-time.After(patience):
		t.Fatalf("it is not opened:\n%s", o.log.String())
		return nil
	}
}

func (o *opening) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool { return strings.Contains(o.log.String(), text) })
}

func TestOpenWaitsForNATS(t *testing.T) {
	port := porttest.Reserve(t, 1)[0]
	o := beginOpening(t, Config{URL: fmt.Sprint("nats://me:secret@127.0.0.1:", port)})
	o.says(t, "waiting for NATS at nats://me:xxxxx@127.0.0.1")
	o.says(t, "connection refused")
	natstest.JetStream(t, t.TempDir(), port)
	if err := o.wait(t); err != nil {
		t.Fatal(err)
	}
	appendTo(t, o.chat, "lobby", "a")
	if n := strings.Count(o.log.String(), "waiting for"); n != 1 {
		t.Errorf("it says %d times that it waits:\n%s", n, o.log.String())
	}
}

// The servers of a cluster come one by one, after the node that needs them.
func TestOpenWaitsForTheCluster(t *testing.T) {
	c := newCluster(t)
	c.start(t, 0)
	o := beginOpening(t, Config{URL: c.url(0)})
	o.says(t, "waiting for the cluster to elect a leader")
	c.start(t, 1)
	c.start(t, 2)
	if err := o.wait(t); err != nil {
		t.Fatal(err)
	}
	appendTo(t, o.chat, "lobby", "a")
	s, err := o.broker.js.Stream(testContext(t), "CHAT")
	if err != nil || s.CachedInfo().Config.Replicas != 3 {
		t.Errorf("%d copies are kept, %v", s.CachedInfo().Config.Replicas, err)
	}
}

func TestOpenCanBeToldToEnd(t *testing.T) {
	var urls []string
	dialled := make(chan struct{}, 10)
	var accepting sync.WaitGroup
	defer accepting.Wait()
	for range 3 { // each takes connections and says nothing, for two seconds
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		urls = append(urls, "nats://"+silent.Addr().String())
		accepting.Go(func() {
			for {
				c, err := silent.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				dialled <- struct{}{}
			}
		})
	}
	o := beginOpening(t, Config{URL: strings.Join(urls, ",")})
	<-dialled
	o.stop()
	start := time.Now()
	if err := o.wait(t); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 2*connectTime {
		t.Errorf("it takes %v", took)
	}
}

// It says at first what it waits for, when that is something else, and then now and then.
func TestWaitingIsTold(t *testing.T) {
	var log lockedBuffer
	b := &Broker{log: testLogger(&log)}
	for _, what := range []string{"NATS", "NATS", "NATS", "a leader", "a leader"} {
		b.tellWaiting(what, errors.New("the reason"))
	}
	b.told = b.told.Add(-tellTime)
	b.tellWaiting("a leader", errors.New("the reason"))
	if text := log.String(); strings.Count(text, `"waiting for NATS"`) != 1 || strings.Count(text, `"waiting for a leader"`) != 2 || !strings.Contains(text, "the reason") {
		t.Errorf("the log:\n%s", text)
	}
}

// Open returns immediately with an error that waiting cannot fix.
func TestOpenRefuses(t *testing.T) {
	run := func(o *server.Options) string { return natstest.Run(t, o).ClientURL() }
	alone := natstest.Start(t)
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"no JetStream":    {Config{URL: run(&server.Options{})}, "has no JetStream"},
		"a wrong user":    {Config{URL: run(&server.Options{Username: "me", Password: "secret", JetStream: true, StoreDir: t.TempDir()})}, "Authorization Violation"},
		"too little room": {Config{URL: run(&server.Options{JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 20})}, "insufficient storage"},
		"no cluster":      {Config{URL: alone, Replicas: 3}, "replicas"},
		"no URL":          {Config{URL: "http://127.0.0.1:1"}, "not the URL of a NATS server"},
		"no host":         {Config{URL: "nats://one:4222,nats://"}, "not the URL of a NATS server"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			b, err := Open(testContext(t), c.config)
			if err == nil {
				_, err = b.OpenLog(testContext(t), chatLog)
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > patience/2 {
				t.Errorf("it takes %v", took)
			}
		})
	}
}

// Nodes that start at once make the same stream.
func TestOpenAtOnce(t *testing.T) {
	url := startNATS(t, t.TempDir(), -1).ClientURL()
	var openings []*opening
	for range 5 {
		openings = append(openings, beginOpening(t, Config{URL: url}))
	}
	for _, o := range openings {
		if err := o.wait(t); err != nil {
			t.Error(err)
		}
	}
	for _, code := range []jetstream.ErrorCode{codeNameInUse, codeNotFound} {
		if hopeless(&jetstream.APIError{Code: 400, ErrorCode: code}) {
			t.Errorf("%d is final, though another node makes the stream just now", code)
		}
	}
}

func TestReplicas(t *testing.T) {
	c := startCluster(t)
	for _, replicas := range []int{3, 1} {
		b := openBroker(t, Config{URL: c.url(0), Replicas: replicas})
		l := openLog(t, b, chatLog)
		appendTo(t, l, "lobby", fmt.Sprint(replicas))
		s, err := b.js.Stream(testContext(t), "CHAT")
		if err != nil || s.CachedInfo().Config.Replicas != replicas {
			t.Errorf("%d copies are kept, want %d: %v", s.CachedInfo().Config.Replicas, replicas, err)
		}
		b.Close()
	}
}

// A cluster gets time for its servers to come up before fewer copies are kept, and none where somebody said
// how many.
func TestTooFewServers(t *testing.T) {
	noPeers := &jetstream.APIError{Code: 400, ErrorCode: codeNoPeers}
	notClustered := &jetstream.APIError{Code: 500, ErrorCode: codeNotClustered}
	b := &Broker{}
	if b.tooFewServers(noPeers) || !b.tooFewServers(notClustered) || b.tooFewServers(context.DeadlineExceeded) {
		t.Error("at first")
	}
	b.few = b.few.Add(-fewTime)
	if !b.tooFewServers(noPeers) {
		t.Error("they did not come, and it does not go on with fewer")
	}
	b.config.Replicas = 3
	if b.tooFewServers(noPeers) || b.tooFewServers(notClustered) {
		t.Error("fewer than what was asked for")
	}
}

// A request that JetStream refuses is repeated if that can help.
func TestFinalRefusals(t *testing.T) {
	for _, c := range []struct {
		code   int
		number jetstream.ErrorCode
		final  bool
	}{
		{400, 10054, true},  // a message that is too large
		{400, 10060, true},  // another stream
		{400, 10002, false}, // the account is full
		{409, 10158, false}, // the same id is being stored
		{429, 10167, false}, // too many requests
		{500, 10009, false}, // no leader
		{500, 10118, false}, // offline
		{503, 10008, false}, // no leader of the cluster
		{503, 10023, false}, // a full disk
		{503, 10077, false}, // the same
	} {
		err := fmt.Errorf("nats: %w", &jetstream.APIError{Code: c.code, ErrorCode: c.number})
		if isFinal(err) != c.final || refused(err) != c.final {
			t.Errorf("%d is final for a Log: %v, for a Journal: %v", c.number, isFinal(err), refused(err))
		}
	}
	if !isFinal(nats.ErrMaxPayload) || isFinal(context.DeadlineExceeded) || isFinal(nats.ErrNoResponders) {
		t.Error("an error of the client is judged wrongly")
	}
}
