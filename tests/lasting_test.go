package tests

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

// Sessions and rooms survive a restart; a member that comes back misses nothing.
func TestARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := programtest.Start(t, "-data", dir)
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	m.post("1", "before")
	before := m.await("ack").Seq
	m.post("2", "unseen")
	m.await("ack")
	p.End()
	p = programtest.Start(t, "-data", dir)
	ana.url = p.URL
	m, history := ana.join("lobby", fmt.Sprint("&after=", before))
	if len(history.Messages) != 1 || history.Messages[0].Text != "unseen" || !history.Complete {
		t.Errorf("history %+v", history)
	}
	m.post("1", "before")
	if again := m.await("ack"); again.Seq != before {
		t.Errorf("the same id is acknowledged as %d, was %d", again.Seq, before)
	}
	res, body := programtest.Get(t, p.URL+"/readyz")
	if res.StatusCode != http.StatusOK {
		t.Errorf("not ready: %s", body)
	}
}

// The process is killed ten times in the middle of posts: each acknowledged message is stored exactly once.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := strings.Repeat("s", 32)
	start := func() *programtest.Program {
		return programtest.Start(t, "-data", dir, "-secret", secret, "-post-rate", "100000", "-keep-messages", "10000")
	}
	acked := map[string]uint64{}
	var mu sync.Mutex
	p := start()
	for round := range 10 {
		var all sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for i := range 4 {
			m, _ := signIn(t, p.URL, fmt.Sprint("poster ", i)).join("lobby", "")
			all.Go(func() {
				for n := range 200 { // all rounds together post no more than are kept
					id := fmt.Sprintf("%d-%d-%d", round, i, n)
					if websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": id, "text": id}) != nil {
						return
					}
				}
			})
			all.Go(func() {
				for {
					s, err := m.read()
					if err != nil {
						return
					}
					if s.Type == "ack" {
						mu.Lock()
						acked[s.ID] = s.Seq
						if len(acked) > 60*(round+1) {
							once.Do(func() { close(enough) })
						}
						mu.Unlock()
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(programtest.Patience):
			t.Fatal("no posts are acknowledged")
		}
		p.Kill()
		all.Wait()
		p = start()
	}
	m, history := signIn(t, p.URL, "reader").join("lobby", "&after=0")
	m.conn.Close()
	seqs := map[string]uint64{}
	for _, one := range history.Messages {
		if _, twice := seqs[one.ID]; twice {
			t.Errorf("%s is there twice", one.ID)
		}
		seqs[one.ID] = one.Seq
	}
	missing := maps.Clone(acked)
	maps.DeleteFunc(missing, func(id string, seq uint64) bool { return seqs[id] == seq })
	if len(missing) > 0 {
		t.Errorf("%d of %d acknowledged are missing: %v", len(missing), len(acked), missing)
	}
	t.Logf("%d acknowledged, %d stored", len(acked), len(seqs))
}
