package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// maxStore is the most that all streams of the embedded server may reserve together, in bytes. Each stream has a
// limit of its own; this one only keeps the server from refusing streams because of its guess at the disk's size.
const maxStore = 1 << 50

// embed locks the data folder and starts the server on it.
func (b *Broker) embed() error {
	dir := b.config.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the data folder %s: %w; choose another with -data", dir, reason(err))
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	b.unlock = unlock
	if err := write(dir, startRoom); isFull(err) {
		return fmt.Errorf("the disk of the data folder %s is full; make room, or choose another with -data", dir)
	} else if err != nil {
		return fmt.Errorf("cannot write to the data folder %s: %w; choose another with -data", dir, reason(err))
	}
	b.server = &embedded{log: b.log, options: server.Options{
		ServerName:        "echows",
		DontListen:        true,
		NoSigs:            true,
		JetStream:         true,
		JetStreamMaxStore: maxStore,
		StoreDir:          dir,
		SyncAlways:        b.config.Sync == 0,
		SyncInterval:      b.config.Sync,
	}}
	if err := b.server.start(); err != nil {
		return err
	}
	if first := b.server.complaint(); first != "" {
		return fmt.Errorf("the data folder %s is damaged: %s; restore it, or start over with another folder (-data)", dir, first)
	}
	b.folder = newFolder(dir, b.log, b.newLink)
	b.server.hearBy(b.folder.hear)
	b.running.Go(b.mendFolder)
	return nil
}

// embedded is the NATS server inside the process, which may be restarted. The connection asks it for the running
// server.
type embedded struct {
	options server.Options
	log     *slog.Logger

	mu      sync.Mutex
	current *server.Server // nil while none is running
	said    *serverLog     // the current one's
	hear    func(complaint string) bool
}

// hearBy makes the server's complaints go to hear from now on. Those for which it returns true are not logged here.
func (e *embedded) hearBy(hear func(string) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hear = hear
	e.said.hearBy(hear)
}

// start starts a server. The previous one must have been stopped.
func (e *embedded) start() error {
	options := e.options // a copy, as the server changes them
	said := &serverLog{log: e.log}
	s, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	s.SetLoggerV2(said, false, false, false)
	s.Start()
	e.mu.Lock()
	e.current, e.said = s, said
	said.hearBy(e.hear)
	e.mu.Unlock()
	if !s.ReadyForConnections(embedTime) {
		return fmt.Errorf("the NATS server inside the process cannot start on the data folder %s: %s", e.options.StoreDir, said.first())
	}
	return nil
}

// stop ends the server, and waits.
func (e *embedded) stop() {
	e.mu.Lock()
	s := e.current
	e.current = nil
	e.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn returns a connection to the running server.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	s := e.current
	e.mu.Unlock()
	if s == nil {
		return nil, errors.New("the NATS server inside the process is restarting")
	}
	return s.InProcessConn()
}

// storing reports whether the server stores messages: it stops when the disk is full.
func (e *embedded) storing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current != nil && e.current.JetStreamEnabled()
}

// complaint returns the server's first complaint, or "".
func (e *embedded) complaint() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said.first()
}

// reason returns a file error without the path, which our own message has.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// serverLog logs the embedded server's complaints, and remembers the first one.
type serverLog struct {
	log *slog.Logger

	mu        sync.Mutex
	complaint string
	hear      func(complaint string) bool // nil for none
}

func (l *serverLog) hearBy(hear func(string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hear = hear
}

func (l *serverLog) first() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complaint
}

// complain remembers the first complaint, and reports whether somebody else logs this one.
func (l *serverLog) complain(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.complaint == "" {
		l.complaint = strings.TrimSpace(text)
	}
	return l.hear != nil && l.hear(text)
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("warning from the NATS server inside the process", "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); !l.complain(text) {
		l.log.Error("error from the NATS server inside the process", "text", text)
	}
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

// errInUse says that another process has locked the folder.
func errInUse(dir string) error {
	return fmt.Errorf("the data folder %s is used by another process; stop it, or choose another with -data", dir)
}
