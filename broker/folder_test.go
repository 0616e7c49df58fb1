package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nothing is acknowledged into a folder that nobody finds any more, and only a person can mend that.
func TestAFolderThatIsRemoved(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
		"replaced": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.CopyFS(dir, os.DirFS(dir+".old")))
		},
		"removed and made again": func(dir string) error {
			home := filepath.Join(dir, "jetstream", "$G", "streams", "CHAT")
			copied := dir + ".copy"
			return errors.Join(os.CopyFS(copied, os.DirFS(home)), os.RemoveAll(home), os.CopyFS(home, os.DirFS(copied)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			var log lockedBuffer
			b := openBroker(t, Config{Dir: dir, Logger: testLogger(&log), Compare: 50 * time.Millisecond})
			l := openLog(t, b, chatLog)
			var last uint64
			for i := range 10 {
				last = appendTo(t, l, "lobby", fmt.Sprint(i))
			}
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, _, err := l.Append(testContext(t), "lobby", "lost", nil); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "removed or replaced") {
				t.Errorf("append: %v", err)
			}
			if took := time.Since(start); took > patience/2 {
				t.Errorf("the append takes %v", took)
			}
			for range 3 {
				if err := b.Ready(context.Background()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "the data folder was removed or replaced") {
					t.Errorf("ready: %v", err)
				}
			}
			b.Close()
			if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, fmt.Sprintf("up to sequence %d of the stream CHAT", last)) || strings.Contains(text, "cannot mark") {
				t.Errorf("the log:\n%s", text)
			}
		})
	}
}

// It is noticed without an append, and without anybody who asks whether it is ready.
func TestARemovedFolderIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var log lockedBuffer
	b := openBroker(t, Config{Dir: dir, Logger: testLogger(&log), Compare: 50 * time.Millisecond})
	openLog(t, b, chatLog)
	if err := b.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(context.Background()); err == nil { // the answer before does not count
		t.Error("ready without a folder")
	}
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "removed or replaced") })
}

// A server that cannot write, for a reason that has passed, is restarted, whether it says so or not.
func TestAServerThatFailedToWriteIsRestarted(t *testing.T) {
	for _, complaint := range []string{"JetStream stream critical write error: an error of the disk", ""} {
		var log lockedBuffer
		b := openBroker(t, Config{Logger: testLogger(&log)})
		l := openLog(t, b, chatLog)
		got, _, _ := follow(t, l, "lobby")
		for i := range 10 {
			appendTo(t, l, "lobby", fmt.Sprint(i))
		}
		b.server.mu.Lock()
		s, said := b.server.current, b.server.said
		b.server.mu.Unlock()
		if err := s.DisableJetStream(); err != nil { // as it does itself
			t.Fatal(err)
		}
		if complaint != "" {
			said.Errorf("%s", complaint)
			eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), complaint) })
		} else if _, _, err := l.Append(testContext(t), "lobby", "refused", nil); !errors.Is(err, ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
		if err := b.Ready(context.Background()); err != nil && !strings.Contains(err.Error(), "cannot be written to") { // nil after a second
			t.Errorf("ready: %v", err)
		}
		eventually(t, "it is ready again", func() bool { return b.Ready(context.Background()) == nil })
		appendTo(t, l, "lobby", "10")
		for i, id := range got.wait(t, 11) {
			if id != fmt.Sprint(i) {
				t.Errorf("entry %d is %s", i, id)
			}
		}
		if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, complaint) {
			t.Errorf("the log:\n%s", text)
		}
	}
}
