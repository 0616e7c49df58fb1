package socketio

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Event is what a client emitted. It may be kept.
type Event struct {
	Name   string
	Socket *Socket
	Args   []Arg
	ack    *pendingAck // nil where the client asked for none
}

// pendingAck is an acknowledgement that can be given once.
type pendingAck struct {
	id    uint64
	given atomic.Bool
}

// Decode decodes the arguments, in order, into pointers. A pointer for which there is no argument is left
// alone; arguments for which there is no pointer are ignored. The error is an ErrArguments.
func (e Event) Decode(to ...any) error {
	for i, v := range to[:min(len(to), len(e.Args))] {
		if err := e.Args[i].Decode(v); err != nil {
			return fmt.Errorf("argument %d of %q: %w", i+1, e.Name, err)
		}
	}
	return nil
}

// WantsAck reports whether the client asked for an acknowledgement.
func (e Event) WantsAck() bool { return e.ack != nil }

// Ack gives it. Where none was asked for, or one was given, it does nothing.
func (e Event) Ack(args ...any) error {
	if e.ack == nil || e.ack.given.Swap(true) {
		return nil
	}
	return e.Socket.write(packet{kind: kindAck, namespace: e.Socket.namespace.name, id: e.ack.id, hasID: true}, "", args)
}

// handler finds what is to be called with an event of that name, or nil.
func (s *Socket) handler(name Arg, to *string) func(Event) error {
	if text, ok := plainString(name.raw); ok {
		if h, ok := s.handlers[string(text)]; ok {
			*to = h.event
			return h.call
		}
	}
	if name.Decode(to) != nil {
		return nil // which decode does not let pass
	}
	if h, ok := s.handlers[*to]; ok {
		return h.call
	}
	return s.onAny
}

// dispatch calls the handler of an event.
func (s *Socket) dispatch(p packet, attachments [][]byte) error {
	args := decodeArgs(slices.Clone(p.data), attachments)
	e := Event{Socket: s, Args: args[1:]}
	if p.hasID {
		e.ack = &pendingAck{id: p.id}
	}
	h := s.handler(args[0], &e.Name)
	if h == nil {
		return nil
	}
	err := h(e)
	switch {
	case errors.Is(err, ErrArguments):
		s.namespace.server.log.Info("an event was refused", "sid", s.id, "event", e.Name, "error", err)
		err = s.Emit("error", map[string]string{"event": e.Name, "message": err.Error()})
	case err != nil:
		s.namespace.server.log.Error("an event's handler failed", "sid", s.id, "event", e.Name, "error", err)
	}
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}
