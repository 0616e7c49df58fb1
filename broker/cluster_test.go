package broker

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"echows/internal/natstest"
	"echows/internal/porttest"
)

// cluster is three NATS servers with JetStream, inside this process and reached by TCP.
type cluster struct {
	options []*server.Options
	servers []*server.Server
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	for i := range 3 {
		c.start(t, i)
	}
	c.ready(t)
	return c
}

// newCluster is one whose servers are to be started.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	clients, routes := porttest.Reserve(t, 3), porttest.Reserve(t, 3)
	c := &cluster{servers: make([]*server.Server, 3)}
	for i := range 3 {
		o := &server.Options{
			ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: clients[i], NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: routes[i]},
		}
		for _, port := range routes {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
		}
		c.options = append(c.options, o)
	}
	t.Cleanup(func() {
		for i := range 3 {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	c.servers[i] = s
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
}

func (c *cluster) stop(i int) {
	if s := c.servers[i]; s != nil {
		c.servers[i] = nil
		natstest.Stop(s)
	}
}

// ready waits until JetStream answers through each server.
func (c *cluster) ready(t *testing.T) {
	t.Helper()
	for i, s := range c.servers {
		if s != nil {
			eventually(t, fmt.Sprint("JetStream of server ", i), func() bool {
				return s.JetStreamIsCurrent() && c.hasLeader()
			})
		}
	}
}

func (c *cluster) hasLeader() bool {
	for _, s := range c.servers {
		if s != nil && s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}

// url is one server's. It tells its clients of the others.
func (c *cluster) url(i int) string { return fmt.Sprint("nats://127.0.0.1:", c.options[i].Port) }

// eventually waits for a condition that no event tells of.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
