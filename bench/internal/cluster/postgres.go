package cluster

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server of its own, which accepts everyone on this machine.
type Postgres struct {
	bin, dir  string
	host      string
	port      string
	owner     *syscall.Credential // who runs it, if not us: it refuses root
	databases int
	cmd       *exec.Cmd
}

// FindPostgres returns the folder of PostgreSQL's programs, or "".
func FindPostgres() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // on Debian they are in nobody's PATH
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[0])
}

// StartPostgres makes a server with its files in a folder of its own.
func StartPostgres(bin string) *Postgres {
	dir, err := os.MkdirTemp("", "echows-postgres") // a path short enough for a socket, and open to postgres
	if err != nil {
		log.Fatal(err)
	}
	p := &Postgres{bin: bin, dir: dir}
	p.host, p.port, _ = net.SplitHostPort(FreeAddrs(1)[0])
	if os.Getuid() == 0 {
		p.owner = credential("postgres")
		if err := os.Chown(dir, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			log.Fatal(err)
		}
	}
	if out, err := p.command("initdb", "--username=echows", "--auth=trust", "--no-sync", "-D", dir+"/data").CombinedOutput(); err != nil {
		log.Fatalf("initdb: %v\n%s", err, out)
	}
	p.Start()
	return p
}

func credential(name string) *syscall.Credential {
	u, err := user.Lookup(name)
	if err != nil {
		log.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

// Start starts the server; after Kill, as soon as the processes that were left have ended.
func (p *Postgres) Start() {
	for end := time.Now().Add(Patience); ; time.Sleep(100 * time.Millisecond) {
		p.cmd = p.command("postgres", "-D", p.dir+"/data", "-h", p.host, "-p", p.port, "-k", p.dir)
		if Run(p.cmd, p.cmd.StderrPipe, "database system is ready to accept connections", end) {
			return
		}
	}
}

// Kill ends the server as a crash does. Its children notice, and end too.
func (p *Postgres) Kill() { Kill(p.cmd) }

// NewDatabase makes an empty database and returns its URL.
func (p *Postgres) NewDatabase() (url string) {
	p.databases++
	name := fmt.Sprint("chat", p.databases)
	if out, err := p.command("createdb", "-h", p.host, "-p", p.port, "-U", "echows", name).CombinedOutput(); err != nil {
		log.Fatalf("createdb: %v\n%s", err, out)
	}
	return fmt.Sprintf("postgres://echows@%s/%s?sslmode=disable", net.JoinHostPort(p.host, p.port), name)
}

// Close ends the server and removes its files.
func (p *Postgres) Close() {
	p.Kill()
	os.RemoveAll(p.dir)
}
