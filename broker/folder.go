package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	startRoom  = 256 << 10       // bytes that a disk must have room for at the start
	mendedRoom = 1 << 20         // bytes that it must have room for after it was full
	lookTime   = time.Second     // between two checks of a folder
	mendTime   = 5 * time.Second // between two restarts of the server
)

// What can be wrong with the folder, for Ready and the log.
var (
	errFull       = errors.New("the disk of the data folder is full")
	errUnwritable = errors.New("the data folder cannot be written to")
	errGone       = errors.New("the data folder was removed or replaced while the server runs") // only a person can fix that
)

// folder watches the embedded server's data folder. Its methods may be called from any goroutine.
type folder struct {
	dir   string
	log   *slog.Logger
	soon  chan struct{} // holds one when there is something to fix
	heard chan string   // holds the server's complaint that it cannot write
	lose  func()        // ends requests that wait for the server

	mu      sync.Mutex
	failure error      // why nothing can be stored: one of the three, or nil
	broken  bool       // the server has failed to store something: it stores nothing more before a restart
	looked  time.Time  // when Ready last looked at the folder
	blamed  time.Time  // when an append did
	homes   []*os.File // the streams' folders, open so that no others get their inodes
}

func newFolder(dir string, log *slog.Logger, lose func()) *folder {
	return &folder{dir: dir, log: log, soon: make(chan struct{}, 1), heard: make(chan string, 1), lose: lose}
}

// hear accepts a complaint of the server, and reports whether it is about the folder; if so, mendFolder logs it. The
// server may hold its locks.
func (f *folder) hear(text string) bool {
	if !strings.Contains(text, "no space left") && !strings.Contains(text, "write error") && !strings.Contains(text, "failed to store") {
		return false
	}
	select {
	case f.heard <- text:
	default: // one is enough
	}
	return true
}

// folderFailure returns why nothing can be stored in the embedded server's folder, or nil.
func (b *Broker) folderFailure() error {
	if b.folder == nil {
		return nil
	}
	return b.folder.failed()
}

func (f *folder) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// failLocked notes why nothing can be stored, logs it once, and wakes mendFolder. A failure that only a person can fix
// replaces any other.
func (f *folder) failLocked(failure, reason error, advice string) {
	if f.failure != nil && failure != errGone || f.failure == errGone {
		return
	}
	f.failure = failure
	if reason != nil {
		failure = fmt.Errorf("%w: %w", failure, reason)
	}
	f.log.Error(failure.Error(), "folder", f.dir, "advice", advice)
	f.lose() // the server does not answer waiting requests
	select {
	case f.soon <- struct{}{}:
	default:
	}
}

// blame reports whether the folder is why an append failed.
func (b *Broker) blame(err error) bool {
	if b.folder == nil {
		return false
	}
	if f := b.folder; b.gone() || !f.toBlame() {
		return f.failed() != nil
	}
	var refused *jetstream.APIError
	broken := !b.server.storing() || errors.As(err, &refused) &&
		(refused.ErrorCode == codeStoreFailed || refused.ErrorCode == codeInsufficient || refused.ErrorCode == codeStorage)
	return b.folder.check(broken, err)
}

// toBlame lets one of the failing appends check the folder, once a second.
func (f *folder) toBlame() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil || time.Since(f.blamed) < lookTime {
		return false
	}
	f.blamed = time.Now()
	return true
}

// check writes to the folder, and notes why that fails; or, if broken, that the server stores nothing for another
// reason. It reports whether there is a failure. reason is the error that led here, or nil.
func (f *folder) check(broken bool, reason error) bool {
	const affected = "messages are refused, acknowledged ones are safe; "
	err := write(f.dir, startRoom)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case isFull(err):
		f.failLocked(errFull, nil, affected+"make room: messages are then accepted again, without a restart")
	case err != nil:
		f.failLocked(errUnwritable, err, affected+"make it writable: messages are then accepted again, without a restart")
	case broken:
		f.failLocked(errUnwritable, reason, affected+"the NATS server inside the process is restarted now")
	}
	f.broken = f.broken || f.failure != nil && reason != nil
	return f.failure != nil
}

// look notices a full disk before an append does.
func (f *folder) look() {
	f.mu.Lock()
	late := f.failure == nil && time.Since(f.looked) >= lookTime
	if late {
		f.looked = time.Now()
	}
	f.mu.Unlock()
	if late && freeSpace(f.dir) < startRoom {
		f.check(false, nil)
	}
}

// write writes a file of the given size, and removes it, to see whether the disk has room.
func write(dir string, size int64) error {
	name := filepath.Join(dir, "probe")
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, size))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	return err
}

// isFull reports whether err says that a disk or a quota is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// homeOf finds a stream's folder, and keeps it open.
func (b *Broker) homeOf(stream string) (os.FileInfo, error) {
	if b.folder == nil {
		return nil, nil
	}
	f := b.folder
	home, err := os.Open(f.streamDir(stream))
	if err != nil {
		return nil, fmt.Errorf("the data folder %s: %w", f.dir, reason(err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.homes = append(f.homes, home)
	return home.Stat()
}

func (f *folder) streamDir(stream string) string {
	return filepath.Join(f.dir, "jetstream", "$G", "streams", stream)
}

// close closes the streams' folders.
func (f *folder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, home := range f.homes {
		home.Close()
	}
	f.homes = nil
}

// checkHome makes sure that the stream's folder is where it was. The server would go on writing to the files of a
// removed folder, and acknowledge messages that are lost when it ends.
func (l *Log) checkHome() error {
	if l.home == nil {
		return nil
	}
	f := l.broker.folder
	now, err := os.Stat(f.streamDir(l.stream))
	switch {
	case err == nil && os.SameFile(now, l.home):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the data folder: %w", reason(err))
	}
	l.mu.Lock()
	highest := l.highest
	l.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failLocked(errGone, nil, fmt.Sprintf("messages are refused from now on; those up to sequence %d of the stream %s "+
		"are in the folder that was removed, and lost without it: stop the server, restore the folder, start again", highest, l.stream))
	return errGone
}

// gone reports whether a stream's folder is not where it was.
func (b *Broker) gone() bool {
	return slices.ContainsFunc(b.allLogs(), func(l *Log) bool { return errors.Is(l.checkHome(), errGone) })
}

// mendFolder waits until the folder can be written to again, and then restarts the server, which does not recover from a
// failed write by itself. It leaves a folder that is gone to a person.
func (b *Broker) mendFolder() {
	f := b.folder
	var restarted time.Time
	var said string
	for {
		select {
		case <-f.soon:
		case text := <-f.heard:
			if !b.gone() {
				f.check(true, errors.New(text))
			}
		case <-b.ctx.Done():
			return
		}
		for f.failed() != nil && f.failed() != errGone {
			if pause(b.ctx, lookTime) != nil {
				return
			}
			if write(f.dir, mendedRoom) != nil || time.Since(restarted) < mendTime {
				continue
			}
			restarted = time.Now()
			if err := b.mend(); err != nil && b.ctx.Err() == nil && err.Error() != said {
				said = err.Error()
				f.log.Error("the data folder can be written to, but cannot be used yet", "folder", f.dir, "error", err)
			}
		}
	}
}

// mend restarts the server, if it has failed, and accepts messages again if the streams have everything they had.
func (b *Broker) mend() error {
	f := b.folder
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken || !b.server.storing() {
		b.server.stop()
		if err := b.server.start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, requestTime)
	defer cancel()
	for _, l := range b.allLogs() {
		if err := l.askReady(ctx); err != nil { // waits until the connection has noticed the restart
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == errGone {
		return errGone
	}
	f.failure, f.broken = nil, false
	select {
	case <-f.heard: // from the server that was stopped
	default:
	}
	f.log.Info("the data folder can be written to again: messages are accepted", "folder", f.dir)
	return nil
}
