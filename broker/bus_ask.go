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
	answers chan answer     // room for one from each node that was alive, so that sending does not block
}

type answer struct {
	node string
	data []byte
	gone bool // the node died instead

	failed string // why the node's answer could not be sent
}

// settleLocked notes a node's answer, unless there is one already.
func (a *asking) settleLocked(node string, w answer) {
	if a.waiting[node] {
		delete(a.waiting, node)
		a.answers <- w
	}
}

// Unanswered is the error that says which nodes did not answer in time.
type Unanswered struct {
	Nodes []string // sorted
	cause error    // why the context ended
}

func (u *Unanswered) Error() string {
	return fmt.Sprintf("broker: no answer from %s: %v", strings.Join(u.Nodes, ", "), u.cause)
}

func (u *Unanswered) Unwrap() error { return u.cause }

// Ask sends data to all other nodes that are alive and calls each with every answer, one at a time, until
// all have answered. The error says whose answer could not be sent, such as one that is too large. If ctx ends first, or
// after 30 s if it has no deadline, the error is an *Unanswered. Ask does not wait for nodes that die in the meantime. It
// must not be called from a function given to Serve.
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
	var failed error
	for range cap(a.answers) {
		select {
		case w := <-a.answers:
			if w.failed != "" { // the others' answers count
				failed = errors.Join(failed, w.err())
				continue
			}
			if err := b.take(w, each); err != nil {
				return err
			}
		case <-ctx.Done():
			return errors.Join(failed, b.unanswered(ctx, a, each))
		case <-b.end:
			return fmt.Errorf("%w: the bus is closed", ErrUnavailable)
		}
	}
	return failed
}

func (w answer) err() error {
	return fmt.Errorf("broker: node %s could not send its answer: %s", w.node, w.failed)
}

func (b *Bus) take(w answer, each func(node string, answer []byte)) error {
	switch {
	case w.failed != "":
		return w.err()
	case !w.gone:
		each(w.node, w.data)
	case !b.broker.up.Load(): // we may be the ones cut off
		return fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
	}
	return nil
}

// unanswered hands over answers that came in the last moment, and returns which are missing.
func (b *Bus) unanswered(ctx context.Context, a *asking, each func(node string, answer []byte)) error {
	b.mu.Lock()
	missing := slices.Sorted(maps.Keys(a.waiting))
	clear(a.waiting) // no answer is accepted from now on
	b.mu.Unlock()
	close(a.answers)
	var failed error
	for w := range a.answers {
		failed = errors.Join(failed, b.take(w, each))
	}
	if len(missing) == 0 {
		return failed
	}
	return errors.Join(&Unanswered{Nodes: missing, cause: context.Cause(ctx)}, failed)
}

// ErrNoNode is AskNode's error for a node that is not there: it has ended, or never existed.
var ErrNoNode = errors.New("broker: there is no such node")

// AskNode sends data to one other node and returns its answer. If the node is not there, as far as NATS or this
// node knows, the error is ErrNoNode, immediately. It is ErrUnavailable if the broker is unavailable, or if the node
// does not answer before ctx ends, or within 30 s if ctx has no deadline: it may or may not have handled the
// question. AskNode must not be called from a function given to Serve.
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
		case w.failed != "":
			return nil, w.err()
		case !w.gone:
			return w.data, nil
		case !b.broker.up.Load(): // we may be the ones cut off
			return nil, fmt.Errorf("%w: no connection to NATS", ErrUnavailable)
		}
		return nil, ErrNoNode
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no answer from node %s: %w", ErrUnavailable, node, context.Cause(ctx))
	case <-b.end:
		return nil, fmt.Errorf("%w: the bus is closed", ErrUnavailable)
	}
}

// nobodyThere reports whether a message is NATS' own answer that nobody listens.
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

// newAsking begins a question to all live nodes.
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

// answerTo hands over a question, and sends the first answer to it.
func (b *Bus) answerTo(node string, question [8]byte, data []byte) {
	var once atomic.Bool
	b.asked(node, data, func(answer []byte) {
		if once.Swap(true) {
			return
		}
		err := b.post(outgoing{subject: b.prefix + busTo + node, data: b.mark([]byte{kindAnswer}, question[:], answer), counted: true})
		if err != nil {
			b.broker.log.Warn("cannot answer another node", "node", node, "error", err)
			b.post(outgoing{subject: b.prefix + busTo + node, data: b.mark([]byte{kindFailed}, question[:], []byte(err.Error())), counted: true})
		}
	})
}

// answered hands an answer to the goroutine that waits for it.
func (b *Bus) answered(node string, question uint64, data []byte) {
	b.settle(question, answer{node: node, data: data})
}

func (b *Bus) settle(question uint64, w answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.asking[question]; a != nil {
		a.settleLocked(w.node, w)
	}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
