package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// asking is a question that waits for answers.
type asking struct {
	waiting map[string]bool // nodes; Bus.mu guards it
	answers chan answer     // one of each node that was alive, so that nobody waits to send
}

type answer struct {
	node string
	data []byte
	gone bool // the node died instead
}

// settleLocked notes what a node answered, unless that is known.
func (a *asking) settleLocked(node string, w answer) {
	if a.waiting[node] {
		delete(a.waiting, node)
		a.answers <- w
	}
}

// Unanswered says which nodes did not answer in time.
type Unanswered struct {
	Nodes []string // sorted
	cause error    // why the context ended
}

func (u *Unanswered) Error() string {
	return fmt.Sprintf("broker: no answer of %s: %v", strings.Join(u.Nodes, ", "), u.cause)
}

func (u *Unanswered) Unwrap() error { return u.cause }

// Ask sends data to all other nodes that are alive and calls each, one at a time, with each one's answer,
// until all have answered. When ctx ends before, after 30 s where it has no deadline, the error is an
// *Unanswered. Nodes that die meanwhile are not waited for. It must not be called from a function given
// to Serve.
func (b *Bus) Ask(ctx context.Context, data []byte, each func(node string, answer []byte)) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, busAskTime)
		defer cancel()
	}
	id, a := b.newAsking()
	defer b.endAsking(id)
	if err := b.post(outgoing{subject: b.prefix + busAll, data: b.mark([]byte{kindAsk}, number(id), data), counted: true}); err != nil {
		return err
	}
	for range cap(a.answers) {
		select {
		case w := <-a.answers:
			if err := b.take(w, each); err != nil {
				return err
			}
		case <-ctx.Done():
			return b.unanswered(ctx, a, each)
		case <-b.end:
			return fmt.Errorf("%w: the bus is closed", ErrUnavailable)
		}
	}
	return nil
}

func (b *Bus) take(w answer, each func(node string, answer []byte)) error {
	switch {
	case !w.gone:
		each(w.node, w.data)
	case !b.broker.up.Load(): // it may be us who is gone
		return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
	}
	return nil
}

// unanswered hands over what came in the last moment, and says what is missing.
func (b *Bus) unanswered(ctx context.Context, a *asking, each func(node string, answer []byte)) error {
	b.mu.Lock()
	missing := slices.Sorted(maps.Keys(a.waiting))
	clear(a.waiting) // nothing comes from now on
	b.mu.Unlock()
	close(a.answers)
	for w := range a.answers {
		if err := b.take(w, each); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &Unanswered{Nodes: missing, cause: context.Cause(ctx)}
}

// ErrNoNode is what AskNode returns for a node that is not there: it has ended, or never was.
var ErrNoNode = errors.New("broker: there is no such node")

// AskNode sends data to one other node and returns its answer. A node that is not there, to NATS or to us, is
// ErrNoNode at once. A broker that is away is ErrUnavailable, and so is a node that does not answer before ctx
// ends, after 30 s where it has no deadline: what was asked may have been done or not. It must not be called
// from a function given to Serve.
func (b *Bus) AskNode(ctx context.Context, node string, data []byte) ([]byte, error) {
	if len(node) != nodeSize || !ValidTopic(node) || node == b.node {
		return nil, ErrNoNode
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, busAskTime)
		defer cancel()
	}
	b.mu.Lock()
	id, a := b.askLocked(node)
	b.mu.Unlock()
	defer b.endAsking(id)
	question := outgoing{subject: b.prefix + busTo + node, data: b.mark([]byte{kindAsk}, number(id), data), counted: true}
	question.reply = fmt.Sprintf("%s%s%s.%d", b.prefix, busTo, b.node, id)
	if err := b.post(question); err != nil {
		return nil, err
	}
	select {
	case w := <-a.answers:
		switch {
		case !w.gone:
			return w.data, nil
		case !b.broker.up.Load(): // it may be us who is gone
			return nil, fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
		}
		return nil, ErrNoNode
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no answer of node %s: %w", ErrUnavailable, node, context.Cause(ctx))
	case <-b.end:
		return nil, fmt.Errorf("%w: the bus is closed", ErrUnavailable)
	}
}

// nobodyThere reports whether a message is what NATS answers itself, where nobody listens.
func nobodyThere(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") == "503" }

// notThere settles a question to one node that is not there; subject is the question's reply.
func (b *Bus) notThere(subject string) {
	id, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.asking[id]; a != nil {
		for node := range a.waiting {
			a.settleLocked(node, answer{node: node, gone: true})
		}
	}
}

// newAsking begins a question to all nodes that are alive.
func (b *Bus) newAsking() (uint64, *asking) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.askLocked(slices.Collect(maps.Keys(b.nodes))...)
}

func (b *Bus) askLocked(nodes ...string) (uint64, *asking) {
	a := &asking{waiting: make(map[string]bool, len(nodes)), answers: make(chan answer, len(nodes))}
	for _, id := range nodes {
		a.waiting[id] = true
	}
	b.lastAsk++
	b.asking[b.lastAsk] = a
	return b.lastAsk, a
}

func (b *Bus) endAsking(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.asking, id)
}

// answerTo hands over a question, and sends its first answer.
func (b *Bus) answerTo(node string, question [8]byte, data []byte) {
	var once atomic.Bool
	b.asked(node, data, func(answer []byte) {
		if once.Swap(true) {
			return
		}
		err := b.post(outgoing{subject: b.prefix + busTo + node, data: b.mark([]byte{kindAnswer}, question[:], answer), counted: true})
		if err != nil {
			b.broker.log.Warn("another node gets no answer", "node", node, "error", err)
		}
	})
}

// answered finds who waits for an answer.
func (b *Bus) answered(node string, question uint64, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.asking[question]; a != nil {
		a.settleLocked(node, answer{node: node, data: data})
	}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
