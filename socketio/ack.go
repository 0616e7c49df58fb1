package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

var noContext = context.Background()

// pendingAck is an acknowledgement that the client waits for. It can be sent once.
type pendingAck struct {
	id    uint64
	given atomic.Bool
}

// WantsAck reports whether the client asked for an acknowledgement.
func (e Event) WantsAck() bool { return e.ack != nil }

// Ack sends the acknowledgement. If the client did not ask for one, or has got it, Ack does nothing. The error is ErrClosed,
// which a listener may return, or says what is wrong with the arguments.
func (e Event) Ack(args ...any) error {
	if e.ack == nil || e.ack.given.Swap(true) {
		return nil
	}
	err := e.Socket.write(packet{kind: kindAck, namespace: e.Socket.namespace.name, id: e.ack.id, hasID: true}, "", args)
	if err != nil {
		e.ack.given.Store(false) // nothing was sent
	}
	return err
}

// EmitWithAck sends an event and waits for the client's acknowledgement until ctx ends, or, if ctx has no deadline, for
// Config.AckTimeout. A callback of the same connection must not call it, because it would block reading the answer.
// Recovery does not repeat the event; with a Journal, the event comes after those that this node emitted before, unless these
// take longer than two seconds. The error is ErrClosed if the socket has ended, wraps ctx.Err() if no answer came in time or
// ErrArguments if the answer is invalid, or says that Limits.Acks is reached or what is wrong with the arguments.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) ([]Arg, error) {
	n := s.namespace
	p, attachments, err := newEvent(n, event, args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := n.ackContext(ctx)
	defer cancel()
	n.journal.waitForOwn(ctx)
	type answer struct {
		args []Arg
		err  error
	}
	answered := make(chan answer, 1)
	p.id, p.hasID = n.lastAck.Add(1), true
	if err := s.expect(p.id, func(args []Arg, err error) { answered <- answer{args, err} }); err != nil {
		return nil, err
	}
	defer s.expectNoMore(p.id)
	if err := s.send(p, attachments); err != nil {
		return nil, err
	}
	s.notify(event, args)
	select {
	case a := <-answered:
		return a.args, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("socketio: no acknowledgement of %q: %w", event, ctx.Err())
	}
}

// EmitWithAck is like Socket.EmitWithAck, and decodes the first argument of the acknowledgement. If there is none, it
// returns the zero value.
func EmitWithAck[T any](ctx context.Context, s *Socket, event string, args ...any) (T, error) {
	var v T
	answer, err := s.EmitWithAck(ctx, event, args...)
	if err != nil || len(answer) == 0 {
		return v, err
	}
	if err = answer[0].Decode(&v); err != nil {
		err = named(err, "the acknowledgement of "+quoted(event))
	}
	return v, err
}

func (n *Namespace) ackContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ends := ctx.Deadline(); ends {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, n.server.config.AckTimeout)
}

// expect registers a function to be called with the acknowledgement with that id, or with the reason why it will not come.
func (s *Socket) expect(id uint64, answer func([]Arg, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.namespace.server.config.Limits.Acks
	switch {
	case s.state.Load() != connected:
		return ErrClosed
	case len(s.acks) >= most:
		s.namespace.server.counters.reached(limitAcks)
		return fmt.Errorf("socketio: %d acknowledgements from the client are outstanding", most)
	}
	if s.acks == nil {
		s.acks = map[uint64]func([]Arg, error){}
	}
	s.acks[id] = answer
	return nil
}

// expectNoMore forgets an expected acknowledgement, and reports whether it was still owed.
func (s *Socket) expectNoMore(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, owed := s.acks[id]
	delete(s.acks, id)
	return owed
}

// acked passes an acknowledgement to the function that expects it. If there is none, the acknowledgement is late and
// ignored.
func (s *Socket) acked(p packet, attachments [][]byte) error {
	s.mu.Lock()
	answer := s.acks[p.id]
	delete(s.acks, p.id)
	s.mu.Unlock()
	if answer == nil {
		return nil
	}
	args, err := decodeArgs(slices.Clone(p.data), attachments, s.namespace.server.config.Limits.Arguments)
	if err != nil {
		answer(nil, ErrArguments)
		return err
	}
	answer(args, nil)
	return nil
}

// Answer is one client's acknowledgement of an event sent by Emitter.EmitWithAck.
type Answer struct {
	Socket string `json:"socket"` // the id
	Args   []Arg  `json:"args"`
}

// Arg returns the argument with index i, counted from 0. An argument that the client left out is null.
func (a Answer) Arg(i int) Arg { return argOf(a.Args, i) }

// MissingError says that not all clients acknowledged an event.
type MissingError struct {
	Missing int   // number of sockets that did not, on the nodes that answered
	Cause   error // why, never nil: it wraps ctx.Err(), ErrClosed for clients that left, the errors of other nodes, or several
}

func (e *MissingError) Error() string {
	if e.Missing == 0 {
		return fmt.Sprintf("socketio: acknowledgements may be missing: %v", e.Cause)
	}
	return fmt.Sprintf("socketio: %d acknowledgements are missing: %v", e.Missing, e.Cause)
}
func (e *MissingError) Unwrap() error { return e.Cause }

var (
	errAckBytes = errors.New("socketio: the acknowledgements are too long (Limits.AckBytes)")
	errSkipped  = errors.New("socketio: a volatile event was not sent, because the client's queue is not empty")
)

// EmitWithAck sends the event and waits until each socket that received it has acknowledged it or ended, or until ctx ends,
// or, if ctx has no deadline, for Config.AckTimeout. It returns the acknowledgements received, and a *MissingError if some
// are missing, or may be missing because a node died. A callback of one of these sockets' connections must not call it.
// For Recovery and a Journal, see Socket.EmitWithAck.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) ([]Answer, error) {
	n := e.namespace
	p, attachments, err := newEvent(n, event, args)
	if err != nil || e.audience.isNobody() {
		return nil, err
	}
	ctx, cancel := n.ackContext(ctx)
	defer cancel()
	n.journal.waitForOwn(ctx)
	here := emission{
		audience: e.audience, packet: p, attachments: attachments, volatile: e.volatile, local: true,
		notify: func(watching []*Socket) {
			for _, s := range watching {
				n.server.guard(s.log(), "OnAnyOutgoing", func() { s.notify(event, args) })
			}
		},
	}
	if e.local || n.server.cluster == nil {
		answers, missing, err := n.emitWithAck(ctx, here)
		return answers, missingError(missing, err)
	}
	var answers []Answer
	var missing int
	var failed error
	var both sync.WaitGroup
	both.Go(func() { answers, missing, failed = n.emitWithAck(ctx, here) })
	there, missingThere, err := n.askForAcks(ctx, e, p, attachments)
	both.Wait()
	return append(answers, there...), missingError(missing+missingThere, joinCauses(failed, err))
}

func missingError(missing int, err error) error {
	if missing == 0 && err == nil {
		return nil
	}
	return &MissingError{missing, err}
}

// emitWithAck sends an event to this node's sockets and collects their answers until ctx ends. The error says why answers
// are missing, or why the event could not be sent.
func (n *Namespace) emitWithAck(ctx context.Context, e emission) (answers []Answer, missing int, err error) {
	g := &gathering{done: make(chan struct{}), room: n.server.config.Limits.AckBytes}
	e.packet.id, e.packet.hasID = n.lastAck.Add(1), true
	f, err := encodeFrame(e.packet, e.attachments)
	if err != nil {
		return nil, 0, err
	}
	var asked []*Socket
	n.mu.Lock()
	n.eachLocked(e.audience, func(s *Socket) {
		g.expect()
		if err := s.expect(e.packet.id, func(args []Arg, err error) { g.take(s, args, err) }); err != nil {
			g.take(s, nil, err)
			return
		}
		if !e.volatile {
			s.conn.session.Offer(f)
		} else if !s.conn.session.TrySend(f) {
			if s.expectNoMore(e.packet.id) {
				g.take(s, nil, errSkipped)
			}
			return
		}
		asked = append(asked, s)
	})
	n.mu.Unlock()
	n.server.counters.sent.many(len(asked))
	if n.watched.Load() > 0 {
		e.notify(asked)
	}
	g.expectNoMore()
	select {
	case <-g.done:
	case <-ctx.Done():
	}
	for _, s := range asked {
		s.expectNoMore(e.packet.id)
	}
	answers, missing, err = g.result(ctx)
	if errors.Is(err, errAckBytes) {
		n.server.counters.reached(limitAckBytes)
	}
	return answers, missing, err
}

// gathering collects acknowledgements.
type gathering struct {
	done chan struct{}

	mu       sync.Mutex
	sealed   bool // no more sockets will be asked
	expected int
	heard    int
	room     int // bytes that further answers may have
	answers  []Answer
	causes   []error // why others are missing, each once
}

func (g *gathering) expect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expected++
}

func (g *gathering) expectNoMore() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sealed = true
	g.lookLocked()
}

// take records a socket's answer, or, if err is not nil, that there is none.
func (g *gathering) take(s *Socket, args []Arg, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heard++
	if err == nil {
		if g.room -= sizeOf(args); g.room < 0 {
			err = errAckBytes
		}
	}
	if err == nil {
		g.answers = append(g.answers, Answer{s.id, args})
	}
	g.causes = addCause(g.causes, err)
	g.lookLocked()
}

// addCause adds err to causes, unless it is nil or has the text of one of them.
func addCause(causes []error, err error) []error {
	if err == nil || slices.ContainsFunc(causes, func(cause error) bool { return cause.Error() == err.Error() }) {
		return causes
	}
	return append(causes, err)
}

// joinCauses joins errors that may be nil, each text once.
func joinCauses(all ...error) error {
	var causes []error
	for _, err := range all {
		causes = addCause(causes, err)
	}
	return errors.Join(causes...)
}

// sizeOf returns how many bytes the arguments of one packet have, with their attachments.
func sizeOf(args []Arg) (n int) {
	for i, arg := range args {
		n += len(arg.raw)
		if i == 0 { // all share them
			for _, a := range arg.attachments {
				n += len(a)
			}
		}
	}
	return n
}

func (g *gathering) lookLocked() {
	if g.sealed && g.heard == g.expected {
		close(g.done)
	}
}

// result returns the answers, how many are missing, and why.
func (g *gathering) result(ctx context.Context) (answers []Answer, missing int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err = errors.Join(g.causes...)
	if g.heard < g.expected {
		err = errors.Join(err, ctx.Err())
	}
	return slices.Clone(g.answers), g.expected - len(g.answers), err
}
