package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Size is how many servers a NATS cluster has.
const Size = 3

// NATS is a cluster of three servers of the version that go.mod names. Its methods are for one goroutine at a time.
type NATS struct {
	Cmds  [Size]*exec.Cmd // nil before the first start
	Addrs []string        // for clients
	Logs  bool            // each server says what it does, in a file beside its folder; false by default

	program, temp string
	routes        []string
	syncs         bool
}

// BuildNATS compiles the server that go.mod names into a folder.
func BuildNATS(temp, dir string) (program string) {
	program = filepath.Join(temp, "nats-server")
	Build(program, dir, "github.com/nats-io/nats-server/v2")
	return program
}

// NewNATS returns a cluster with its files in temp, of which nothing is running. With syncs, what is acknowledged is on
// disk.
func NewNATS(program, temp string, syncs bool) *NATS {
	return &NATS{program: program, temp: temp, Addrs: FreeAddrs(Size), routes: FreeAddrs(Size), syncs: syncs}
}

// Start starts a server, and waits until it listens; whether there is a cluster is another question.
func (n *NATS) Start(i int) {
	_, port, _ := net.SplitHostPort(n.Addrs[i])
	var routes []string
	for _, addr := range n.routes {
		routes = append(routes, "nats://"+addr)
	}
	words := []string{"-a", "127.0.0.1", "-p", port, "--server_name", fmt.Sprint("s", i), "-js",
		"-sd", filepath.Join(n.temp, fmt.Sprint("nats", i)), "--cluster_name", "nodes", "--cluster", "nats://" + n.routes[i],
		"--routes", strings.Join(routes, ","), "--no_advertise"} // otherwise nodes would bypass their proxies
	if n.syncs {
		words = append(words, "-c", n.config())
	}
	output := func() (io.ReadCloser, error) { return n.Cmds[i].StderrPipe() }
	if n.Logs {
		words = append(words, "-D")
		output = func() (io.ReadCloser, error) { return n.logged(i) }
	}
	n.Cmds[i] = exec.Command(n.program, words...)
	Run(n.Cmds[i], output, "Server is ready")
}

// logged is what a server writes, which goes to its log as it is read.
func (n *NATS) logged(i int) (io.ReadCloser, error) {
	out, err := n.Cmds[i].StderrPipe()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(n.temp, fmt.Sprint("nats", i, ".log")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(out, file), file}, nil // nobody closes it before the program ends
}

// URL returns the URLs of all servers.
func (n *NATS) URL() string { return "nats://" + strings.Join(n.Addrs, ",nats://") }

// Leader returns the index of the server that leads a stream.
func (n *NATS) Leader(stream string) int {
	var place int
	n.admin(func(ctx context.Context, conn *nats.Conn, js jetstream.JetStream) bool {
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil || s.CachedInfo().Cluster.Leader == "" {
			return false
		}
		place = int(s.CachedInfo().Cluster.Leader[1] - '0')
		return true
	})
	return place
}

// StepDown makes another server lead a stream.
func (n *NATS) StepDown(stream string) {
	n.admin(func(ctx context.Context, conn *nats.Conn, _ jetstream.JetStream) bool {
		m, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
		return err == nil && strings.Contains(string(m.Data), `"success":true`)
	})
}

// admin tries something until it works, within Patience.
func (n *NATS) admin(try func(context.Context, *nats.Conn, jetstream.JetStream) bool) {
	conn, err := nats.Connect(n.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a server that is about to start does not answer
		ok := try(ctx, conn, js)
		cancel()
		if ok {
			return
		}
	}
	log.Fatal("the NATS servers are not ready in time")
}

// Stop kills all servers.
func (n *NATS) Stop() {
	for _, cmd := range n.Cmds {
		if cmd != nil {
			Kill(cmd)
		}
	}
}

// config writes a file with the settings that have no flag.
func (n *NATS) config() string {
	name := filepath.Join(n.temp, "nats.conf")
	if err := os.WriteFile(name, []byte("jetstream { sync_interval: always }\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	return name
}

// Meet waits until the servers have found each other, and can create streams.
func (n *NATS) Meet() {
	n.admin(func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) bool {
		_, err := js.AccountInfo(ctx)
		return err == nil
	})
}
