// Package natstest starts NATS servers for tests.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Start starts a server with JetStream, on a free port, that runs until the test ends. It returns the server's URL.
func Start(t testing.TB) string {
	t.Helper()
	return JetStream(t, t.TempDir(), 0).ClientURL()
}

// JetStream starts a server that keeps its data in a folder, and listens on a port of 127.0.0.1, or on a free one if port is 0.
// It runs until Stop, or until the test ends.
func JetStream(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	return Run(t, &server.Options{Port: port, JetStream: true, StoreDir: dir})
}

// Run is like JetStream, but with any options: it sets only the host, the port if that is 0, and that the server neither logs
// nor handles signals.
func Run(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { Stop(s) })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("NATS does not start")
	}
	return s
}

// Stop stops a server and waits until it has ended. It may be called again.
func Stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}
