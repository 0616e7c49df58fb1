package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ackMargin is how long before the deadline other nodes send the acknowledgements that they have collected.
const ackMargin = 200 * time.Millisecond

// answer answers a message from another node.
func (c *cluster) answer(_ string, data []byte, answer func([]byte)) {
	m, err := decodeMessage(data)
	if err != nil {
		c.failed("another node sent an invalid request", err)
		answer(nil)
		return
	}
	reply := func(v any) {
		var encoded bytes.Buffer
		e := json.NewEncoder(&encoded)
		e.SetEscapeHTML(false) // it would make what clients sent up to six times as long
		c.failed("another node was not answered", e.Encode(v))
		answer(encoded.Bytes())
	}
	n := c.server.lookup(m.Namespace)
	if n == nil {
		answer(nil)
		return
	}
	switch m.Kind {
	case askLen:
		reply(n.localLen(m.audience()))
	case askRooms:
		reply(n.localRooms())
	case askSockets:
		reply(n.localInfos(m.audience()))
	case askAcks:
		c.server.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(m.Wait)*time.Millisecond)
			defer cancel()
			answers, missing, err := n.emitWithAck(ctx, emission{
				audience: m.audience(), packet: m.packet(), attachments: m.attachments, volatile: m.Volatile,
				notify: func(watching []*Socket) { n.notifyAll(watching, m) },
			})
			reply(acknowledgedBy(answers, missing, err))
		})
	case askSession:
		c.server.running.Go(func() { // it may wait for the journal
			n.giveUp(strings.Join(m.To, ""), func(r *record) {
				if r == nil {
					answer(nil)
					return
				}
				reply(r)
			})
		})
	default:
		answer(nil)
	}
}

// ask asks the other nodes, and calls each with each decoded answer. It skips the empty answers of nodes without the
// namespace.
func ask[T any](ctx context.Context, c *cluster, m message, each func(T)) error {
	return askNodes(ctx, c, m, func(string) {}, each)
}

// askNodes is like ask, and calls answered with the name of each node that has answered, even if the answer is empty.
func askNodes[T any](ctx context.Context, c *cluster, m message, answered func(node string), each func(T)) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	return c.adapter.Ask(ctx, data, func(node string, answer []byte) {
		answered(node)
		if len(answer) == 0 {
			return
		}
		var v T
		if err := json.Unmarshal(answer, &v); err != nil {
			c.failed("another node sent an invalid answer", err)
			return
		}
		each(v)
	})
}

// acknowledged is a node's answer to askAcks.
type acknowledged struct {
	Answers []wireAnswer `json:"answers"`
	Missing int          `json:"missing"`
	Late    bool         `json:"late,omitempty"`  // some are missing because the time is over
	Left    bool         `json:"left,omitempty"`  // some, because clients left
	Cause   string       `json:"cause,omitempty"` // of all that are missing
}

func acknowledgedBy(answers []Answer, missing int, err error) acknowledged {
	a := acknowledged{Answers: wireAnswers(answers), Missing: missing}
	if err != nil {
		a.Late, a.Left, a.Cause = errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed), err.Error()
	}
	return a
}

// err returns the error that acknowledgedBy encoded.
func (a acknowledged) err() error {
	if a.Cause == "" {
		return nil
	}
	e := &remoteError{text: a.Cause}
	if a.Late {
		e.causes = append(e.causes, context.DeadlineExceeded)
	}
	if a.Left {
		e.causes = append(e.causes, ErrClosed)
	}
	return e
}

// remoteError is another node's error, with those of its causes that callers look for.
type remoteError struct {
	text   string
	causes []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.causes }

// wireAnswer is an Answer, encoded for another node.
type wireAnswer struct {
	Socket      string            `json:"socket"`
	Args        []json.RawMessage `json:"args"`
	Attachments [][]byte          `json:"attachments,omitempty"`
}

func wireAnswers(answers []Answer) []wireAnswer {
	all := make([]wireAnswer, len(answers))
	for i, a := range answers {
		all[i].Socket = a.Socket
		for _, arg := range a.Args {
			all[i].Args, all[i].Attachments = append(all[i].Args, arg.raw), arg.attachments
		}
	}
	return all
}

func (w wireAnswer) answer() Answer {
	a := Answer{Socket: w.Socket}
	for _, raw := range w.Args {
		a.Args = append(a.Args, Arg{raw, w.Attachments})
	}
	return a
}

// askForAcks asks the other nodes to emit an event and collects the acknowledgements.
func (n *Namespace) askForAcks(ctx context.Context, e Emitter, p packet, attachments [][]byte) (answers []Answer, missing int, err error) {
	deadline, _ := ctx.Deadline()
	wait := time.Until(deadline)
	wait = max(wait-ackMargin, wait/2) // so that the answers arrive before the deadline
	m := message{
		Kind: askAcks, Namespace: n.name, Rooms: e.audience.rooms, Except: e.audience.except, Volatile: e.volatile,
		Wait: wait.Milliseconds(), payload: p.data, attachments: attachments,
	}
	c := n.server.cluster
	silent := map[string]bool{}
	for _, node := range c.adapter.Nodes() {
		silent[node] = true
	}
	var causes []error
	err = askNodes(ctx, c, m, func(node string) { delete(silent, node) }, func(a acknowledged) {
		missing += a.Missing
		causes = append(causes, a.err())
		for _, one := range a.Answers {
			answers = append(answers, one.answer())
		}
	})
	if err == nil && len(silent) > 0 {
		err = fmt.Errorf("socketio: nodes died before they answered: %s", strings.Join(slices.Sorted(maps.Keys(silent)), ", "))
	}
	return answers, missing, joinCauses(append(causes, err)...)
}
