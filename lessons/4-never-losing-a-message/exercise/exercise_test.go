package exercise

import (
	"errors"
	"slices"
	"testing"
)

// wire is a connection that remembers the ids of what was sent, and fails after some.
type wire struct {
	sent []string
	room int
}

func (w *wire) send(p Post) error {
	if w.room == 0 {
		return errors.New("the connection is about to end")
	}
	w.room--
	w.sent = append(w.sent, p.ID)
	return nil
}

func (w *wire) has(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.sent, want) {
		t.Errorf("%v were sent, want %v", w.sent, want)
	}
}

func pending(t *testing.T, o *Outbox, want ...string) {
	t.Helper()
	var ids []string
	for _, p := range o.Pending() {
		ids = append(ids, p.ID)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("%v are pending, want %v", ids, want)
	}
}

func TestSentAndAcknowledged(t *testing.T) {
	var o Outbox
	w := &wire{room: 10}
	o.Connected(w.send)
	o.Add(Post{"a", "one"})
	o.Add(Post{"b", "two"})
	w.has(t, "a", "b")
	pending(t, &o, "a", "b")
	o.Acknowledged("a")
	pending(t, &o, "b")
	o.Acknowledged("b")
	o.Acknowledged("b")
	o.Acknowledged("nobody's")
	pending(t, &o)
	o.Add(Post{"c", "three"})
	w.has(t, "a", "b", "c")
}

func TestWrittenWithoutAConnection(t *testing.T) {
	var o Outbox
	o.Add(Post{"a", "one"})
	o.Add(Post{"b", "two"})
	w := &wire{room: 10}
	o.Connected(w.send)
	w.has(t, "a", "b")
}

func TestAgainOnTheNext(t *testing.T) {
	var o Outbox
	first := &wire{room: 10}
	o.Connected(first.send)
	o.Add(Post{"a", "one"})
	o.Add(Post{"b", "two"})
	o.Acknowledged("a")
	o.Disconnected()
	o.Add(Post{"c", "three"})
	first.has(t, "a", "b")

	second := &wire{room: 10}
	o.Connected(second.send)
	second.has(t, "b", "c")
	o.Acknowledged("c") // b's was lost
	o.Disconnected()

	third := &wire{room: 10}
	o.Connected(third.send)
	third.has(t, "b")
}

func TestNothingOvertakes(t *testing.T) {
	var o Outbox
	full := &wire{room: 1}
	o.Connected(full.send)
	o.Add(Post{"a", "one"})
	o.Add(Post{"b", "two"}) // which does not go
	full.room = 1           // now there is room again
	o.Add(Post{"c", "three"})
	if slices.Equal(full.sent, []string{"a", "c"}) {
		t.Error("c has overtaken b")
	}
	o.Disconnected()
	next := &wire{room: 10}
	o.Connected(next.send)
	next.has(t, "a", "b", "c")
}
