package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"echows/chat"
	"echows/internal/porttest"
	"echows/ws"
)

// guest is a Chat whose messages a test waits for.
type guest struct {
	*Chat
	t         testing.TB
	messages  chan Message
	histories chan History
	counts    chan int
	states    chan State
}

// soon is chance with waits that a test can bear.
func soon() float64 { return 0.02 }

func join(t testing.TB, url, room string, cfg ChatConfig) *guest {
	t.Helper()
	g := &guest{
		t:         t,
		messages:  make(chan Message, 10_000),
		histories: make(chan History, 1000),
		counts:    make(chan int, 1000),
		states:    make(chan State, 1000),
	}
	cfg.random = soon
	cfg.OnMessage = func(m Message) { g.messages <- m }
	cfg.OnHistory = func(h History) { g.histories <- h }
	cfg.OnPresence = func(n int) { g.counts <- n }
	cfg.OnState = func(s State, _ time.Duration, _ error) { g.states <- s }
	g.Chat = JoinChat(t.Context(), url, room, cfg)
	t.Cleanup(func() { g.Close(); wait(t, g.Done()) })
	return g
}

// post posts, and expects it to be stored.
func (g *guest) post(text string) uint64 {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	seq, err := g.Post(ctx, text)
	if err != nil {
		g.t.Error(err)
	}
	return seq
}

// expect waits for messages of these texts, and no others between.
func (g *guest) expect(texts ...string) (last Message) {
	g.t.Helper()
	for _, text := range texts {
		m := wait(g.t, g.messages)
		if m.Text != text || m.Seq <= last.Seq {
			g.t.Errorf("%q came with %d after %d, want %q", m.Text, m.Seq, last.Seq, text)
		}
		last = m
	}
	return last
}

func TestChat(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: " ana "})
	if h := wait(t, ana.histories); len(h.Messages) > 0 || !h.Complete || h.More {
		t.Errorf("the first history is %+v", h)
	}
	seq := ana.post("hello <b>all</b> \u2028 😀\nand more")
	m := ana.expect("hello <b>all</b> \u2028 😀\nand more")
	if m.Seq != seq || m.From != "ana" || m.ID == "" || time.Since(m.At) > time.Minute {
		t.Errorf("got %+v for %d", m, seq)
	}
	bea := join(t, "ws://"+s.addr+"/?x#y", "lobby", ChatConfig{Name: "bea", Dial: ws.DialConfig{Compression: ws.CompressionOn}})
	if h := wait(t, bea.histories); len(h.Messages) != 1 || h.Messages[0] != m {
		t.Errorf("the second history is %+v", h)
	}
	bea.expect(m.Text)
	bea.post("hi")
	ana.expect("hi")
	for wait(t, ana.counts) != 2 {
	}
	late := join(t, s.url(), "lobby", ChatConfig{Name: "cem", After: new(m.Seq)})
	late.expect("hi")
	all := join(t, s.url(), "lobby", ChatConfig{Token: late.token, After: new(uint64)})
	all.expect(m.Text, "hi")
	ana.Close()
	wait(t, ana.Done())
	if _, err := ana.Post(t.Context(), "gone"); !errors.Is(err, ErrNotConnected) || ana.Err() != nil {
		t.Errorf("after Close: %v, %v", err, ana.Err())
	}
}

// More than the 50 that a history has without a sequence to go on after.
func TestManyMessages(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{Posts: 10_000})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	var texts []string
	for i := range 70 {
		texts = append(texts, fmt.Sprint("number ", i))
		ana.post(texts[i])
	}
	ana.expect(texts...)
	join(t, s.url(), "lobby", ChatConfig{Name: "bea", After: new(uint64)}).expect(texts...)
	join(t, s.url(), "lobby", ChatConfig{Name: "cem"}).expect(texts[20:]...)
}

func TestTheSameIDTwice(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	one, err := ana.PostID(t.Context(), "mine", "once")
	two, err2 := ana.PostID(t.Context(), "mine", "once")
	if one != two || one == 0 || err != nil || err2 != nil {
		t.Errorf("stored as %d and %d: %v, %v", one, two, err, err2)
	}
	ana.post("after it")
	ana.expect("once", "after it")
}

func TestPostsThatAreRefused(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	for _, c := range []struct{ id, text, code string }{
		{"1", "", "bad_text"},
		{"2", " \u200b ", "bad_text"},
		{"3", strings.Repeat("é", 2001), "bad_text"},
		{"4", "bell \a", "bad_text"},
		{"5", "\xff", "bad_text"},
		{"6", strings.Repeat("long ", 100_000), "bad_text"},
		{"", "text", "bad_id"},
		{"\xff", "text", "bad_id"},
		{" ", "text", "bad_id"},
		{strings.Repeat("i", 65), "text", "bad_id"},
	} {
		var refused *Refused
		if _, err := ana.PostID(t.Context(), c.id, c.text); !errors.As(err, &refused) || refused.Code != c.code || refused.Message == "" {
			t.Errorf("%q %.20q: %v", c.id, c.text, err)
		}
	}
	ana.post("good")
	ana.expect("good")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no time")
	cancel(why)
	if _, err := ana.Post(ctx, "late"); !errors.Is(err, why) {
		t.Errorf("without time: %v", err)
	}
}

// A post is stored once even if its acknowledgement is lost and the server restarts before the poster is back; so is a
// post made while there is no server.
func TestAPostDuringAnOutage(t *testing.T) {
	dir := t.TempDir()
	s := startChat(t, dir, porttest.Address(t), chat.Limits{})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	bea := join(t, s.url(), "lobby", ChatConfig{Name: "bea"})
	ana.post("one")
	ana.expect("one")
	bea.expect("one") // both are in the room
	seqs := make(chan uint64, 2)
	s.cut.next(`"type":"ack","id":"two"`)
	go func() {
		seq, err := ana.PostID(t.Context(), "two", "two")
		if err != nil {
			t.Error(err)
		}
		seqs <- seq
	}()
	wait(t, s.cut.done)
	s.close()
	for wait(t, bea.states) != StateWaiting {
	}
	go func() { seqs <- bea.post("three") }()
	s = startChat(t, dir, s.addr, chat.Limits{})
	got := map[uint64]bool{wait(t, seqs): true, wait(t, seqs): true}
	ana.expect("two", "three")
	bea.expect("two", "three")
	ana.post("four")
	ana.expect("four")
	bea.expect("four")
	all := join(t, s.url(), "lobby", ChatConfig{Name: "cem", After: new(uint64)})
	h := wait(t, all.histories)
	if all.expect("one", "two", "three", "four"); len(h.Messages) != 4 || !h.Complete {
		t.Errorf("stored are %+v", h)
	}
	for _, m := range h.Messages[1:3] {
		if !got[m.Seq] {
			t.Errorf("%q is stored as %d, but acknowledged were %v", m.Text, m.Seq, got)
		}
	}
}

// Each time one of them posts, the connection is cut before the acknowledgement, or before the message.
func TestConnectionsAreCut(t *testing.T) {
	s := startChat(t, t.TempDir(), "127.0.0.1:0", chat.Limits{})
	ana := join(t, s.url(), "lobby", ChatConfig{Name: "ana"})
	bea := join(t, s.url(), "lobby", ChatConfig{Name: "bea", After: new(uint64)})
	var texts []string
	for i, at := range []string{"ack", "message", "ack", "history", "message", "presence"} {
		s.cut.next(`"type":"` + at)
		texts = append(texts, fmt.Sprint("number ", i))
		ana.post(texts[i])
	}
	s.cut.at.Store(nil)
	ana.expect(texts...)
	bea.expect(texts...)
	all := join(t, s.url(), "lobby", ChatConfig{Name: "cem", After: new(uint64)})
	if h := wait(t, all.histories); len(h.Messages) != len(texts) || !h.Complete {
		t.Errorf("stored are %+v", h)
	}
}
