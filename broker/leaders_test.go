package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// elect has a stream get another leader, as the servers say it.
func (f *fakeStream) elect(t *testing.T, stream string) {
	t.Helper()
	if err := errors.Join(f.conn.Publish(electedSubject+stream, []byte("{}")), f.conn.Flush()); err != nil {
		t.Error(err)
	}
}

// serveLate answers a subject from the third question on: the first goes to a leader that has stopped, the second to one that is not
// ready. first is called with the first.
func (f *fakeStream) serveLate(t *testing.T, subject, answer string, first func()) {
	t.Helper()
	n := 0
	_, err := f.conn.Subscribe(subject, func(m *nats.Msg) {
		switch n++; {
		case n == 1:
			first()
		case n > 2:
			m.Respond([]byte(answer))
		}
	})
	if err == nil {
		err = f.conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a leader that has stopped was asked is asked again when there is another, and until that answers; nothing else would
// have it asked again.
func TestAnElectionHasAllAskAgain(t *testing.T) {
	for name, c := range map[string]struct {
		subject, answer string
		ask             func(*Log) (uint64, error)
	}{
		"append": {"other.lobby", `{"stream":"OTHER","seq":7}`, func(l *Log) (uint64, error) {
			seq, _, err := l.attempt(testContext(t), requestTime, "lobby", "a", nil)
			return seq, err
		}},
		"tail": {"$JS.API.STREAM.MSG.GET.OTHER", `{"message":{"subject":"other.lobby","seq":7}}`, func(l *Log) (uint64, error) {
			return l.Tail(testContext(t), "lobby")
		}},
		"state": {"$JS.API.STREAM.INFO.OTHER", `{"state":{"last_seq":7}}`, func(l *Log) (uint64, error) {
			_, last, err := l.State(testContext(t))
			return last, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f, l := newFake(t)
			l.stream, l.config.Name = "OTHER", "other"
			f.serveLate(t, c.subject, c.answer, func() { f.elect(t, "OTHER") })
			if seq, err := c.ask(l); seq != 7 || err != nil {
				t.Errorf("got %d, %v", seq, err)
			}
		})
	}
}

// Another stream's election is of no interest, and an answer is one, also where it is no.
func TestWhoIsAskedOnce(t *testing.T) {
	f, l := newFake(t)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	asked := 0
	others := l.broker.elections.of("OTHER")
	err := l.broker.askLeader(ctx, "CHAT", func(try context.Context) error {
		asked++
		f.elect(t, "OTHER")
		<-others.ctx.Done()
		if try.Err() != nil {
			t.Error("another stream's election ends it")
		}
		cancel()
		<-try.Done()
		return try.Err()
	})
	if asked != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("asked %d times: %v", asked, err)
	}
	for _, refusal := range []error{nats.ErrNoResponders, &jetstream.APIError{Code: 503}} {
		asked = 0
		if err := l.broker.askLeader(testContext(t), "CHAT", func(context.Context) error { asked++; return refusal }); err != refusal || asked != 1 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	}
}

// A leader that is just elected may not listen yet.
func TestALeaderThatIsNotThereYet(t *testing.T) {
	f, l := newFake(t)
	asked := 0
	err := l.broker.askLeader(testContext(t), "CHAT", func(try context.Context) error {
		switch asked++; asked {
		case 1:
			f.elect(t, "CHAT")
			<-try.Done()
			return try.Err()
		case 2:
			return fmt.Errorf("nats: %w", nats.ErrNoResponders)
		case 3:
			return jetstream.ErrNoStreamResponse
		}
		return nil
	})
	if asked != 4 || err != nil {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

// What the leader before has stored last may not be heard of: tails are compared.
func TestAnElectionHasTailsCompared(t *testing.T) {
	f, l := newFake(t)
	f.elect(t, "OTHER")
	f.elect(t, "CHAT")
	select {
	case <-l.soon:
	case <-testContext(t).Done():
		t.Error("nobody compares")
	}
}

// The servers may let a copy answer that has stopped.
func TestACopyThatIsSilent(t *testing.T) {
	f, l := newFake(t)
	l.stream = "OTHER"
	f.set(func() { f.held = []uint64{3, 5} })
	asked := 0
	_, err := f.conn.Subscribe("$JS.API.DIRECT.GET.OTHER", func(m *nats.Msg) {
		var g get
		if err := json.Unmarshal(m.Data, &g); err != nil || g.Seq != 4 || g.Next != "chat.lobby" {
			t.Errorf("asked for %s", m.Data)
		}
		if asked++; asked > 1 {
			f.get(m)
		}
	})
	if err != nil || f.conn.Flush() != nil {
		t.Fatal(err)
	}
	entries, err := l.read(testContext(t), "lobby", 3)
	if err != nil || len(entries) != 1 || entries[0].Seq != 5 {
		t.Errorf("got %v, %v", entries, err)
	}
}
