package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lateAck is an answer that comes after a while.
type lateAck struct{ ok chan *jetstream.PubAck }

func (a lateAck) Ok() <-chan *jetstream.PubAck { return a.ok }
func (lateAck) Err() <-chan error              { return nil }
func (lateAck) Msg() *nats.Msg                 { return nil }

// After a failure, answers that are outstanding are waited for as long as nats.go does, or a second after the Journal is closed.
func TestOutstandingAnswersAreAwaited(t *testing.T) {
	const never = time.Hour
	for name, test := range map[string]struct {
		closed, answered time.Duration // after the failure
		stored           bool
		took             time.Duration
	}{
		"in time":                     {never, pipeSettle - 1, true, pipeSettle - 1},
		"late":                        {never, never, false, pipeSettle},
		"soon after Close":            {time.Second, time.Second + drainTime - 1, true, time.Second + drainTime - 1},
		"late after Close":            {time.Second, never, false, time.Second + drainTime},
		"in time, closed before":      {0, drainTime - 1, true, drainTime - 1},
		"late, closed shortly before": {pipeSettle - drainTime/2, never, false, pipeSettle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, closed := context.WithCancel(t.Context())
				p := &pipe{journal: &Journal{ctx: ctx}}
				ack := lateAck{make(chan *jetstream.PubAck, 1)}
				time.AfterFunc(test.closed, closed)
				time.AfterFunc(test.answered, func() { ack.ok <- &jetstream.PubAck{Sequence: 7} })
				begin := time.Now()
				all := []sent{{ack: ack}, {ack: lateAck{}, err: nats.ErrTimeout}}
				last := p.settle(all)
				if took := time.Since(begin); took != test.took || all[0].stored != test.stored || (last == 0) != test.stored {
					t.Errorf("after %v: stored %v, the last is %d; want %v after %v", took, all[0].stored, last, test.stored, test.took)
				}
				if all[1].stored || all[1].err != nats.ErrTimeout {
					t.Errorf("one that has failed: %v, %v", all[1].stored, all[1].err)
				}
				closed()
			})
		})
	}
}
