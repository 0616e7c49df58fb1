package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"echows/internal/natstest"
	"echows/internal/porttest"
)

func TestAFolderHasOneProcess(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, Config{Dir: dir})
	if _, err := Open(testContext(t), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "used by another process") {
		t.Fatalf("opened twice: %v", err)
	}
	openLog(t, b, chatLog)
	b.Close()
	openBroker(t, Config{Dir: dir})
}

func TestFoldersThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		file:                              "cannot make the data folder",
		filepath.Join(file, "below"):      "cannot make the data folder",
		"/proc/echows":                    "cannot make the data folder",
		"/proc/self":                      "cannot write to the data folder",
		filepath.Join(t.TempDir(), "new"): "",
	} {
		if runtime.GOOS != "linux" && strings.HasPrefix(dir, "/proc") {
			continue
		}
		b, err := Open(testContext(t), Config{Dir: dir})
		if want == "" {
			if err != nil {
				t.Fatal(err)
			}
			b.Close()
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("a new folder has mode %v, %v", info.Mode(), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "-data") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// Each damage loses something that NATS alone does not speak of.
func TestADamagedFolderIsRefused(t *testing.T) {
	files := func(dir string) string { return filepath.Join(dir, "jetstream", "$G", "streams", "CHAT") }
	block := func(dir string) string {
		blocks, _ := filepath.Glob(filepath.Join(strings.ReplaceAll(files(dir), "$G", "?G"), "msgs", "*.blk"))
		if len(blocks) != 1 {
			t.Fatalf("the stream has the blocks %q, want one", blocks)
		}
		return blocks[0]
	}
	wipe := func(dir string) error {
		data, err := os.ReadFile(block(dir))
		if err == nil {
			copy(data[5000:], make([]byte, 512))
			err = os.WriteFile(block(dir), data, 0o600)
		}
		return err
	}
	for name, damage := range map[string]func(dir string) error{
		"an empty sector": wipe,
		"a cut file":      func(dir string) error { return os.Truncate(block(dir), 5000) },
		"a lost file":     func(dir string) error { return os.Remove(block(dir)) },
		"a lost stream":   func(dir string) error { return os.RemoveAll(files(dir)) },
		"a lost index, an empty sector": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(files(dir), "msgs", "index.db")), wipe(dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := openBroker(t, Config{Dir: dir, Sync: time.Second})
			l := openLog(t, b, chatLog)
			for i := range 300 {
				appendTo(t, l, "lobby", fmt.Sprint(i))
			}
			b.Close()
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			b, err := Open(testContext(t), Config{Dir: dir})
			if err == nil {
				_, err = b.OpenLog(testContext(t), chatLog)
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

func TestDeletionByLimitsIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, Config{Dir: dir, Sync: time.Second})
	l := openLog(t, b, chatLog)
	for i := range 100 {
		appendTo(t, l, "lobby", fmt.Sprint(i))
	}
	b.Close()
	fewer := chatLog
	fewer.PerTopic = 10
	b = openBroker(t, Config{Dir: dir})
	l = openLog(t, b, fewer)
	if entries, err := l.Before(testContext(t), "lobby", 1<<53, 50); err != nil || len(entries) != 10 {
		t.Errorf("%d entries are left, %v", len(entries), err)
	}
	b.Close()
	openLog(t, openBroker(t, Config{Dir: dir}), fewer)
}

// startNATS runs a NATS server of its own, as a cluster is reached: by TCP.
// startNATS starts a server on a port, or with -1 on one that no other test gets, so that it can be started there again.
func startNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	if port == -1 {
		port = porttest.Reserve(t, 1)[0]
	}
	return natstest.JetStream(t, dir, port)
}

func TestAServerThatRestarts(t *testing.T) {
	dir := t.TempDir()
	s := startNATS(t, dir, -1)
	url := s.ClientURL()
	one, two := openBroker(t, Config{URL: url}), openBroker(t, Config{URL: url})
	from, to := openLog(t, one, chatLog), openLog(t, two, chatLog)
	got, _, _ := follow(t, to, "lobby")
	once, err := one.OpenOnce(testContext(t), "tickets", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, from, "lobby", "0")
	got.wait(t, 1)
	port := s.Addr().(*net.TCPAddr).Port
	natstest.Stop(s)
	if err := one.Ready(context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready without a server: %v", err)
	}
	appended := make(chan error)
	go func() { // waits for the server
		_, _, err := from.Append(testContext(t), "lobby", "1", []byte("1"))
		appended <- err
	}()
	startNATS(t, dir, port)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if ids := got.wait(t, 2); fmt.Sprint(ids) != "[0 1]" {
		t.Errorf("got %v", ids)
	}
	if err := one.Ready(context.Background()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	// What was kept in memory only is made anew.
	if err := once.Put(testContext(t), "key", []byte("value")); err != nil {
		t.Errorf("put: %v", err)
	}
	if ok, err := once.Take(testContext(t), "key", func([]byte) bool { return true }); !ok || err != nil {
		t.Errorf("take: %v %v", ok, err)
	}
}

// A caller that gives up an append says nothing about the broker: it stays ready.
func TestACancelledAppend(t *testing.T) {
	b := openBroker(t, Config{})
	l := openLog(t, b, chatLog)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := l.Append(ctx, "lobby", "a", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	if err := b.Ready(context.Background()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestAnEndedBrokerIsUnavailable(t *testing.T) {
	b := openBroker(t, Config{})
	l := openLog(t, b, chatLog)
	if err := b.Ready(context.Background()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	b.Close()
	if _, _, err := l.Append(testContext(t), "lobby", "a", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.read(testContext(t), "lobby", 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if _, _, err := l.Follow(testContext(t), "lobby", func(Entry) {}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("follow: %v", err)
	}
	if err := b.Ready(context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	b.Close()
}
