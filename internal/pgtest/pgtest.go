// Package pgtest starts PostgreSQL for tests.
package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"echows/internal/porttest"
)

// Server is a PostgreSQL server of a test's own. It accepts everyone on this machine, as the user echows.
type Server struct {
	t     testing.TB
	bin   string // the folder of PostgreSQL's programs
	dir   string
	addr  string
	owner *owner // who runs it, if not us
}

// Start starts a server until the test ends, or skips the test if PostgreSQL is not installed. If the environment's
// ECHOWS_POSTGRES is "required", as in CI, it fails the test instead.
func Start(t testing.TB) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // on Debian they are in nobody's PATH
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("ECHOWS_POSTGRES") == "required" {
			t.Fatal("no PostgreSQL on this machine, and ECHOWS_POSTGRES requires it: apt-get install postgresql")
		}
		t.Skip("no PostgreSQL on this machine: apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("", "echows-postgres") // a path short enough for a socket, and open to postgres
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{t: t, bin: filepath.Dir(found[0]), dir: dir, addr: porttest.Address(t)}
	if s.owner, err = ownerOf(dir); err != nil {
		t.Fatal(err)
	}
	s.run("initdb", "--username=echows", "--auth=trust", "--no-sync", "-D", s.data())
	s.Restart()
	t.Cleanup(func() { s.command("pg_ctl", "stop", "-D", s.data(), "-m", "immediate").Run() }) // fails if it was stopped
	return s
}

// Addr is the server's address, with its port.
func (s *Server) Addr() string { return s.addr }

// URL returns the URL of a database, such as postgres, which every server has.
func (s *Server) URL(database string) string { return URL(s.addr, database) }

// URL returns the URL of a database at an address, which may be a proxy's.
func URL(addr, database string) string {
	return fmt.Sprintf("postgres://echows@%s/%s?sslmode=disable", addr, database)
}

// Restart starts the server again after Stop.
func (s *Server) Restart() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	s.run("pg_ctl", "start", "-w", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-o",
		fmt.Sprintf("-p %s -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -c fsync=off", port, s.dir))
}

// Stop stops the server as a crash does.
func (s *Server) Stop() {
	s.t.Helper()
	s.run("pg_ctl", "stop", "-w", "-D", s.data(), "-m", "immediate")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	s.owner.run(cmd)
	return cmd
}

func (s *Server) run(name string, args ...string) {
	s.t.Helper()
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", name, err, out)
	}
}
