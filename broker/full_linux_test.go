package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("cannot mount a small disk here:", err)
	}
	defer syscall.Unmount(dir, 0)
	_, err := Open(testContext(t), Config{Dir: filepath.Join(dir, "data")})
	if err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("got %v", err)
	}
}

// smallDisk mounts a disk of some MiB, and returns a folder on it and the file that fills it.
func smallDisk(t *testing.T, size string) (dir, filler string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("cannot mount a small disk here:", err)
	}
	t.Cleanup(func() { syscall.Unmount(mount, syscall.MNT_DETACH) })
	return filepath.Join(mount, "data"), filepath.Join(mount, "filler")
}

// fill takes all that is left of a disk, but for so many bytes.
func fill(t *testing.T, filler string, left uint64) {
	t.Helper()
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		free := freeSpace(filepath.Dir(filler))
		if free <= left {
			return
		}
		if n, err := f.Write(make([]byte, min(uint64(size), free-left))); err != nil && n == 0 {
			size /= 2
		}
	}
}

// A disk that is full, at whatever moment, heals in the same process, and nothing acknowledged is lost.
func TestADiskThatFillsUpHeals(t *testing.T) {
	for _, c := range []struct {
		name string
		left uint64 // bytes when it is full
		size int    // of a message
		sync time.Duration
	}{
		{"nothing is left", 0, 100, 0},
		{"for a part of a message", 4096, 6000, 0},
		{"some messages fit", 600 << 10, 20_000, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, filler := smallDisk(t, "24m")
			var log lockedBuffer
			b := openBroker(t, Config{Dir: dir, Sync: c.sync, Logger: testLogger(&log), Compare: 100 * time.Millisecond})
			l := openLog(t, b, chatLog)
			got, _, _ := follow(t, l, "lobby")
			acknowledged := map[string]bool{}
			post := func(id string, patience time.Duration) error {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				_, _, err := l.Append(ctx, "lobby", id, append([]byte(id+" "), make([]byte, c.size)...))
				if err == nil {
					acknowledged[id] = true
				}
				return err
			}
			for i := range 50 {
				if err := post(fmt.Sprint("before-", i), patience); err != nil {
					t.Fatal(err)
				}
			}
			for round := range 2 {
				fill(t, filler, c.left)
				var err error
				for i := 0; err == nil; i++ {
					err = post(fmt.Sprint("full-", round, "-", i), patience)
				}
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "the disk of the data folder is full") {
					t.Errorf("got %v", err)
				}
				const refused = 20
				slow := 0
				for range refused { // without flapping
					if err := b.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "the disk of the data folder is full") {
						t.Errorf("ready on a full disk: %v", err)
					}
					start := time.Now()
					if err := post("refused", patience); err == nil {
						t.Error("a post on a full disk is stored")
					}
					if time.Since(start) > time.Second {
						slow++
					}
					pause(t.Context(), 50*time.Millisecond)
				}
				if slow > refused/2 { // a busy machine may hold up some
					t.Errorf("on a full disk %d posts of %d take more than a second", slow, refused)
				}
				if err := os.Remove(filler); err != nil {
					t.Fatal(err)
				}
				eventually(t, "it is ready again", func() bool { return b.Ready(context.Background()) == nil })
				for i := range 50 {
					if err := post(fmt.Sprint("after-", round, "-", i), patience); err != nil {
						t.Fatal(err)
					}
				}
			}
			missing := func(entries []string) []string {
				left := maps.Clone(acknowledged)
				for _, e := range entries {
					id, _, _ := strings.Cut(e, " ")
					delete(left, id)
				}
				return slices.Sorted(maps.Keys(left))
			}
			eventually(t, "what was acknowledged is delivered", func() bool { // maybe after what was refused and is stored nevertheless
				return len(missing(got.wait(t, 0))) == 0
			})
			if n := strings.Count(log.String(), `msg="the disk of the data folder is full"`); n != 2 {
				t.Errorf("the log says it %d times", n)
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
				t.Errorf("there are %d errors in the log:\n%s", n, log.String())
			}
			b.Close()
			l = openLog(t, openBroker(t, Config{Dir: dir}), chatLog) // as after a restart of the process
			entries, err := l.between(testContext(t), "lobby", 0, 1<<53, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, e := range entries {
				texts = append(texts, string(e.Data))
			}
			if left := missing(texts); len(left) > 0 {
				t.Errorf("not stored: %v", left)
			}
		})
	}
}

// Nobody has to post for a full disk to be noticed.
func TestAFullDiskIsNotReady(t *testing.T) {
	dir, filler := smallDisk(t, "8m")
	b := openBroker(t, Config{Dir: dir})
	openLog(t, b, chatLog)
	fill(t, filler, 0)
	eventually(t, "it is not ready", func() bool { return b.Ready(context.Background()) != nil })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready", func() bool { return b.Ready(context.Background()) == nil })
}
