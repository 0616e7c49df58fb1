package broker

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// Messages around the servers' limit of 1 MiB, and far above it, arrive whole and in order.
func TestLargeMessages(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	listen(t, two, "a")
	const limit = 1<<20 - nodeSize
	var want []string
	for _, size := range []int{1, limit, limit + 1, 2, 5 << 20, 0} {
		data := randomBytes(size)
		if err := one.Publish("a", data); err != nil {
			t.Fatal(err)
		}
		want = append(want, one.Node()+" a "+string(data))
	}
	if !slices.Equal(two.wait(t, len(want)), want) {
		t.Error("they differ")
	}
	if err := one.Flush(testContext(t)); err != nil {
		t.Error(err)
	}
	if sent, got := one.Stats().Published, two.Stats().Received; sent != uint64(len(want)) || got != sent {
		t.Errorf("counted %d sent and %d received", sent, got)
	}
}

func TestLargeQuestionsAndAnswers(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	question, answered := randomBytes(3<<20), 0
	want := append([]byte("re: "), question...)
	err := one.Ask(testContext(t), question, func(_ string, answer []byte) {
		if answered++; !bytes.Equal(answer, want) {
			t.Error("another answer")
		}
	})
	if err != nil || answered != 2 {
		t.Errorf("%d answers, %v", answered, err)
	}
	if answer, err := one.AskNode(testContext(t), two.Node(), question); err != nil || !bytes.Equal(answer, want) {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
}

// An answer that is too large is an error at once, not when the time is over.
func TestAnAnswerThatIsTooLarge(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	question := make([]byte, busLargest-nodeSize-1-8-2) // the answers are 4 bytes longer
	if _, err := one.AskNode(testContext(t), two.Node(), question); err == nil || !strings.Contains(err.Error(), two.Node()) || !strings.Contains(err.Error(), "16777216") {
		t.Error(err)
	}
	err := one.Ask(testContext(t), question, func(string, []byte) { t.Error("an answer") })
	if err == nil || strings.Count(err.Error(), "could not send its answer") != 2 {
		t.Error(err)
	}
}

func TestTooLargeForTheBus(t *testing.T) {
	one, two, _ := peers(t, natsURL(t))
	listen(t, two, "a")
	err := one.Publish("a", make([]byte, busLargest-nodeSize+1))
	if err == nil || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("got %v", err)
	}
	if one.Stats().Failed != 1 {
		t.Errorf("counted %+v", one.Stats())
	}
	if err := one.Publish("a", make([]byte, busLargest-nodeSize)); err != nil {
		t.Error(err)
	}
	two.wait(t, 1)
}

// Parts without the others are dropped, and keep nothing else from arriving.
func TestMissingParts(t *testing.T) {
	url := natsURL(t)
	p := openPeer(t, url)
	listen(t, p, "a", "b")
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	send := func(subject, place, data string) {
		m := nats.NewMsg("bus.test." + subject)
		m.Data = []byte("stranger" + data)
		if place != "" {
			m.Header.Set(partHeader, place)
		}
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	const a, b = busMessages + "a", busMessages + "b"
	send(a, "3/6", "the first is missing")
	send(a, "0/6", "one")
	send(b, "3/6", "two") // of another subject
	send(a, "3/6", "two")
	send(a, "0/6", "one")
	send(a, "3/7", "more") // of another size
	send(a, "0/9", "one")
	send(a, "6/9", "two") // one in between is missing
	send(a, "6/9", "end")
	send(a, "0/2", "too much")
	send(a, "-1/-1", "")
	send(a, "nonsense", "")
	for sent := 0; sent <= busLargest; sent += 1 << 19 { // larger than any
		send(a, fmt.Sprintf("%d/%d", sent, busLargest+1<<19), strings.Repeat("x", 1<<19))
	}
	send(a, "0/5", "lost")
	send(a, "0/8", "in ") // replaces the one before
	send(a, "3/8", "parts")
	send(a, "", "whole")
	if got := p.wait(t, 2); !slices.Equal(got, []string{"stranger a in parts", "stranger a whole"}) {
		t.Errorf("got %q", got)
	}
	send(a, "0/6", "one")
	send(busAll, "", string(rune(kindBye)))
	send(a, "3/6", "two") // after the goodbye
	send(a, "0/4", "la")
	send(a, "2/4", "st")
	if got := p.wait(t, 3); got[2] != "stranger a last" {
		t.Errorf("got %q", got)
	}
	p.Bus.Close() // parts belongs to run, which has ended then
	if len(p.parts) != 0 {
		t.Errorf("%d parts are left", len(p.parts))
	}
}
