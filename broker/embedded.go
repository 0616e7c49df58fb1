package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// maxStore is the most that all streams of the embedded server may ask for together, in bytes. Each has
// a bound of its own; this only keeps the server from refusing them by a guess of the disk's size.
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
	if err := probe(dir); err != nil {
		return err
	}
	log := &serverLog{log: b.log}
	s, err := server.NewServer(&server.Options{
		ServerName:        "echows",
		DontListen:        true,
		NoSigs:            true,
		JetStream:         true,
		JetStreamMaxStore: maxStore,
		StoreDir:          dir,
		SyncAlways:        b.config.Sync == 0,
		SyncInterval:      b.config.Sync,
	})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	s.SetLoggerV2(log, false, false, false)
	b.server = s
	s.Start()
	if !s.ReadyForConnections(embedTime) {
		return fmt.Errorf("the NATS server inside the process does not start on the data folder %s: %s", dir, log.first())
	}
	if first := log.first(); first != "" {
		return fmt.Errorf("the data folder %s is damaged: %s; restore it, or begin anew with another folder (-data)", dir, first)
	}
	return nil
}

// probe writes as much as a full or read-only disk refuses.
func probe(dir string) error {
	name := filepath.Join(dir, "probe")
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, 256<<10))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk of the data folder %s is full; make room, or choose another with -data", dir)
	case err != nil:
		return fmt.Errorf("cannot write to the data folder %s: %w; choose another with -data", dir, reason(err))
	}
	return nil
}

// reason is a file error without the path, which our own text has.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// serverLog passes on what the embedded server has to complain of, and remembers the first complaint.
type serverLog struct {
	log *slog.Logger

	mu        sync.Mutex
	complaint string
}

func (l *serverLog) first() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complaint
}

func (l *serverLog) complain(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.complaint == "" {
		l.complaint = strings.TrimSpace(text)
	}
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("broker: " + fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.complain(fmt.Sprintf(format, v...))
	l.log.Error("broker: " + fmt.Sprintf(format, v...))
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

// errInUse says that the folder has a lock already.
func errInUse(dir string) error {
	return fmt.Errorf("the data folder %s is used by another process; stop it, or choose another with -data", dir)
}
