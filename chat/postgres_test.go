package chat

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// startPostgres returns the address of a server of the test's own, or skips the test where PostgreSQL is not
// installed. Where ECHOWS_POSTGRES is "required", as in CI, that fails.
func startPostgres(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
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
	var owner *syscall.SysProcAttr
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		os.Chown(dir, uid, gid)
		owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	run := func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(filepath.Dir(found[0]), name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, owner
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	if err := run("initdb", "--username=echows", "--auth=trust", "--no-sync", "-D", dir+"/data"); err != nil {
		t.Fatal(err)
	}
	if err := run("pg_ctl", "start", "-w", "-D", dir+"/data", "-l", dir+"/log", "-o",
		fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -c fsync=off", port, dir)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run("pg_ctl", "stop", "-D", dir+"/data", "-m", "immediate") })
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// databaseURL is of a database at an address, a proxy's perhaps.
func databaseURL(address, name string) string {
	return fmt.Sprintf("postgres://echows@%s/%s?sslmode=disable", address, name)
}

// admin is a connection of the test's own.
type admin struct {
	t    *testing.T
	conn *pgx.Conn
}

func openAdmin(t *testing.T, address, name string) *admin {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), databaseURL(address, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &admin{t, conn}
}

func (a *admin) exec(statement string) {
	a.t.Helper()
	if _, err := a.conn.Exec(testContext(a.t), statement); err != nil {
		a.t.Fatalf("%s: %v", statement, err)
	}
}

// number is what a query returns.
func (a *admin) number(query string) (n int) {
	a.t.Helper()
	if err := a.conn.QueryRow(testContext(a.t), query).Scan(&n); err != nil {
		a.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// await waits until a query returns n.
func (a *admin) await(query string, n int) {
	a.t.Helper()
	comesTrue(a.t, query, func() (string, bool) {
		got := a.number(query)
		return fmt.Sprint(got, ", want ", n), got == n
	})
}

// comesTrue waits until done.
func comesTrue(t *testing.T, what string, done func() (got string, ok bool)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got, ok := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, got)
		}
		time.Sleep(20 * time.Millisecond) // nothing tells when
	}
}

// proxy stands before a server, and can fail as a network does.
type proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	cond   *sync.Cond
	conns  []net.Conn
	refuse bool // new connections are
	frozen bool // nothing passes
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	p.cond = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.set(true, false)
		l.Close()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to)
		p.mu.Lock()
		if p.refuse || err != nil {
			from.Close()
			if err == nil {
				to.Close()
			}
		} else {
			p.conns = append(p.conns, from, to)
			p.running.Go(func() { p.copy(to, from) })
			p.running.Go(func() { p.copy(from, to) })
		}
		p.mu.Unlock()
	}
}

func (p *proxy) copy(to, from net.Conn) {
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		p.mu.Lock()
		for p.frozen {
			p.cond.Wait() // what is closed is not told either
		}
		p.mu.Unlock()
		if _, failed := to.Write(part[:n]); err != nil || failed != nil && failed != io.ErrShortWrite {
			to.Close()
			from.Close()
			return
		}
	}
}

// set ends the connections and refuses new ones, or lets nothing pass, or neither.
func (p *proxy) set(refuse, freeze bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.frozen = refuse, freeze
	if refuse {
		for _, c := range p.conns {
			c.Close()
		}
		p.conns = nil
	}
	p.cond.Broadcast()
}
