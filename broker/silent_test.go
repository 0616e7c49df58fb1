package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// startProxied is a cluster that is reached through proxies only: each server tells of its own.
func startProxied(t *testing.T) (c *cluster, proxies []proxy) {
	t.Helper()
	c = newCluster(t)
	for i := range 3 {
		p := startProxy(t, c.url(i))
		proxies = append(proxies, p)
		c.options[i].ClientAdvertise = p.Addr()
	}
	for i := range 3 {
		c.start(t, i)
	}
	c.ready(t)
	return c, proxies
}

// slack is how many times as long as promised something may take on a busy machine. The promise itself is bench/faults' to keep.
const slack = 4

func urls(proxies []proxy) string {
	var all []string
	for _, p := range proxies {
		all = append(all, p.url())
	}
	return strings.Join(all, ",")
}

// connected is the number of the server that b is connected to, by its proxy.
func connected(b *Broker, proxies []proxy) int {
	for i, p := range proxies {
		if strings.TrimPrefix(p.url(), "nats://") == strings.TrimPrefix(b.conn.ConnectedUrl(), "nats://") {
			return i
		}
	}
	return -1
}

// A server that takes everything and says nothing is left for another.
func TestAConnectionLeavesASilentServer(t *testing.T) {
	_, proxies := startProxied(t)
	var log lockedBuffer
	b := openBroker(t, Config{URL: urls(proxies), Logger: testLogger(&log)})
	l := openLog(t, b, chatLog)
	got, _, _ := follow(t, l, "lobby")
	appendTo(t, l, "lobby", "before")
	got.wait(t, 1)
	silent := connected(b, proxies)
	if silent < 0 {
		t.Fatalf("connected to %s", b.conn.ConnectedUrl())
	}
	proxies[silent].Freeze()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range 3 { // one that is under way when the server is left, and others after it
		if _, _, err := l.Append(ctx, "lobby", fmt.Sprint(i), []byte(fmt.Sprint(i))); err != nil {
			t.Fatalf("after %v: %v\n%s", time.Since(start), err, log.String())
		}
		if i == 0 {
			t.Logf("the first append took %v", time.Since(start))
			if took := time.Since(start); took > slack*8*time.Second {
				t.Errorf("the first append took %v", took)
			}
		}
	}
	if now := connected(b, proxies); now == silent {
		t.Error("connected to the silent server again")
	}
	if ids := got.wait(t, 4); fmt.Sprint(ids) != "[before 0 1 2]" {
		t.Errorf("got %v", ids)
	}
	if err := b.Ready(context.Background()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// The loss of a server that is not needed does not show in readiness, and that of two does, soon.
func TestReadinessFollowsTheCluster(t *testing.T) {
	c := startCluster(t)
	b := openBroker(t, Config{URL: strings.Join([]string{c.url(0), c.url(1), c.url(2)}, ",")})
	l := openLog(t, b, chatLog)
	appendTo(t, l, "lobby", "0")
	if err := b.Ready(context.Background()); err != nil {
		t.Fatalf("not ready: %v", err)
	}
	mine := 0
	for c.url(mine) != b.conn.ConnectedUrl() {
		mine++
	}
	leader := c.leaderOf(t, "CHAT")
	other := 0
	for other == leader {
		other++
	}
	if leader != mine { // the one it is connected to, which does not lead
		other = mine
	}
	c.stop(other)
	for start, n := time.Now(), 0; time.Since(start) < 3*time.Second; n++ {
		err := b.Ready(context.Background())
		for try := 0; err != nil && try < 4; try++ { // each waits 1.2 s for an answer, which a busy machine may exceed
			err = b.Ready(context.Background())
		}
		if err != nil {
			t.Fatalf("not ready %v after a server that is not needed was lost: %v", time.Since(start), err)
		}
		appendTo(t, l, "lobby", fmt.Sprint("one less ", n))
	}
	last := 3 - leader - other
	c.stop(last)
	lost := time.Now()
	var err error
	eventually(t, "the lost quorum shows", func() bool { err = b.Ready(context.Background()); return err != nil })
	if took := time.Since(lost); took > slack*5*time.Second {
		t.Errorf("it takes %v until readiness shows the lost quorum", took)
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("not ready: %v", err)
	}
	c.start(t, last)
	eventually(t, "an append works", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		_, _, err := l.Append(ctx, "lobby", "again", nil)
		return err == nil
	})
	back := time.Now()
	eventually(t, "it is ready again", func() bool { return b.Ready(context.Background()) == nil })
	if took := time.Since(back); took > slack*5*time.Second {
		t.Errorf("it takes %v until readiness shows the quorum", took)
	}
}

// leaderOf is the server that leads a stream.
func (c *cluster) leaderOf(t *testing.T, stream string) (leader int) {
	t.Helper()
	eventually(t, stream+" has a leader", func() bool {
		for i, s := range c.servers {
			if s != nil && s.JetStreamIsStreamLeader("$G", stream) {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}
