package broker

import (
	"context"
	"errors"
	"testing"
)

// An append whose answer is lost is tried again, and is stored once even if the first attempt arrives last.
func TestALateCopyOfAMessage(t *testing.T) {
	r := startRelay(t)
	l := openLog(t, openBroker(t, Config{URL: "nats://" + r.listen(t, natsURL(t))}), chatLog)
	r.set(map[string]what{"first": delay})
	type result struct {
		seq    uint64
		before bool
		err    error
	}
	appended := make(chan result)
	go func() {
		seq, before, err := l.Append(testContext(t), "lobby", "a", []byte("first"))
		appended <- result{seq, before, err}
	}()
	r.await(t, 1)
	r.set(nil)
	r.cut()
	first := <-appended
	if first.err != nil || first.before {
		t.Fatalf("got %+v", first)
	}
	second := appendTo(t, l, "lobby", "b")
	r.release(1)
	third := appendTo(t, l, "lobby", "c")
	if second != first.seq+1 || third != second+1 {
		t.Errorf("sequences %d, %d, %d", first.seq, second, third)
	}
}

// A message whose append failed may be stored later, behind others of its writer. Who appends it again is told its sequence.
func TestALateMessageIsFoundByItsID(t *testing.T) {
	r := startRelay(t)
	l := openLog(t, openBroker(t, Config{URL: "nats://" + r.listen(t, natsURL(t))}), chatLog)
	r.set(map[string]what{"first": delay})
	ctx, giveUp := context.WithCancel(testContext(t))
	failed := make(chan error)
	go func() {
		_, _, err := l.Append(ctx, "lobby", "a", []byte("first"))
		failed <- err
	}()
	r.await(t, 1)
	r.cut()
	giveUp()
	if err := <-failed; !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	r.set(nil)
	second := appendTo(t, l, "lobby", "b")
	r.release(1)
	eventually(t, "it is stored", func() bool {
		_, last, err := l.State(testContext(t))
		return err == nil && last == second+1
	})
	if seq, before, err := l.Append(testContext(t), "lobby", "a", []byte("first")); seq != second+1 || !before || err != nil {
		t.Errorf("got %d, %v, %v", seq, before, err)
	}
}
